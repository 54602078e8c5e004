// The manifests of k8s/ against the fields that their readers know and the rules of the baseline Pod Security Standard: each file as it
// is, and what kustomize makes of base, overlays and components.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { parseTargetsFile } from '../../src/cli/build/targets-file.ts';
import { baselineBreaches, containersOf, manifestBreaches, podSpec, podSpecOf, read, strangers } from '../support/manifest-shapes.ts';
import { asList, asObject, asText, isObject, type ParsedObject } from '../support/parsed.ts';

const root = join(import.meta.dirname, '../..');
const folder = join(root, 'k8s');
const seven = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'SETUID', 'SETGID', 'SETFCAP'];

function parseManifests(text: string, name: string): readonly ParsedObject[] {
  return parseAllDocuments(text).map((document) => {
    assert.deepEqual(document.errors, [], name);
    return asObject(document.toJS(), name);
  });
}

const files = globSync('**/*.yaml', { cwd: folder })
  .filter((file) => !file.startsWith('gitlab/'))
  .toSorted();
const documents = files.flatMap((file) =>
  parseManifests(readFileSync(join(folder, file), 'utf8'), file).map((value) => ({ file, value, kind: asText(value['kind']) })),
);

for (const { file, value, kind } of documents) {
  test(`${file}: the ${kind} has the fields that its kind needs and none that nobody knows`, () => {
    assert.deepEqual(manifestBreaches(value), []);
  });
}

for (const { file, value } of documents) {
  const spec = podSpecOf(value);
  if (spec !== undefined) test(`${file}: the pod is one that a builder should be`, () => assertBuilderPod(spec));
}

/** Baseline, no capability too many, no token, an end, an amount of room, no Secret beside a RUN but where nothing else is possible. */
function assertBuilderPod(spec: ParsedObject): void {
  assert.deepEqual(baselineBreaches(spec), []);
  assert.equal(read(spec, 'securityContext', 'seccompProfile', 'type'), 'RuntimeDefault');
  assert.equal(spec['automountServiceAccountToken'], false);
  assert.equal(spec['restartPolicy'], 'Never');
  for (const one of containersOf(spec)) {
    assert.equal(read(one, 'securityContext', 'allowPrivilegeEscalation'), false);
    assert.deepEqual(read(one, 'securityContext', 'capabilities', 'drop'), ['ALL']);
    assert.deepEqual(asList(read(one, 'securityContext', 'capabilities', 'add')), one['name'] === 'build' ? seven : []);
  }
  const volumes = asList(spec['volumes']).filter(isObject);
  const mounts = containersOf(spec).flatMap((one) => asList(one['volumeMounts']).filter(isObject));
  assert.deepEqual(new Set(mounts.map((mount) => mount['name'])), new Set(volumes.map((volume) => volume['name'])));
}

/** The pod of a file that makes one. */
function podOf(file: string): ParsedObject {
  const specs = documents.flatMap((one) => (one.file === file ? (podSpecOf(one.value) ?? []) : []));
  return asObject(specs[0], file);
}

for (const file of ['job.yaml', 'pod.yaml', 'base/job.yaml']) {
  test(`${file}: the Secret is mounted into the init container alone, and its copy where the builder looks for it`, () => {
    const spec = podOf(file);
    const mountsIn = (name: string): readonly unknown[] =>
      containersOf(spec)
        .filter((one) => one['name'] === name)
        .flatMap((one) => asList(one['volumeMounts']));
    assert.deepEqual(mountsIn('credentials'), [
      { name: 'secret', mountPath: '/secret', readOnly: true },
      { name: 'credentials', mountPath: '/kaniko/.docker' },
    ]);
    assert.ok(!mountsIn('build').some((mount) => read(mount, 'name') === 'secret'));
    const volume = asList(spec['volumes']).find((one) => read(one, 'name') === 'credentials');
    assert.equal(read(volume, 'emptyDir', 'medium'), 'Memory');
  });
}

for (const file of ['pod.yaml', 'base/job.yaml', 'jenkins/pod.yaml']) {
  test(`${file}: the build says how much room it takes`, () => {
    const spec = podOf(file);
    const build = containersOf(spec).find((one) => one['name'] === 'build');
    for (const amount of ['requests', 'limits']) {
      assert.match(String(read(build, 'resources', amount, 'ephemeral-storage')), /^\d+Gi$/);
      assert.match(String(read(build, 'resources', amount, 'memory')), /^\d+[MG]i$/);
    }
  });
}

test('a build that failed is not started again, one that was killed is: whatever its exit status', () => {
  const job = documents.find(({ file }) => file === 'base/job.yaml')?.value;
  const rules = asList(read(job, 'spec', 'podFailurePolicy', 'rules'));
  assert.deepEqual(rules.at(-1), {
    action: 'FailJob',
    onExitCodes: { containerName: 'build', operator: 'NotIn', values: [137, 143] },
  });
});

test('steps of Tekton and templates of Argo that build ask for the same seven capabilities as the Job, those that make an index for none', () => {
  const contextsOf = (kind: string, ...fields: readonly string[]): readonly unknown[] =>
    documents
      .filter((one) => one.kind === kind)
      .flatMap(({ value }) => asList(read(value, ...fields)))
      .map((one) => read(one, 'securityContext') ?? read(one, 'container', 'securityContext'))
      .filter((context) => context !== undefined);
  const openshift = documents.find(({ kind }) => kind === 'SecurityContextConstraints')?.value;
  const contexts = [...contextsOf('Task', 'spec', 'steps'), ...contextsOf('WorkflowTemplate', 'spec', 'templates')];
  const added = contexts.map((context) => asList(read(context, 'capabilities', 'add')));
  assert.deepEqual(
    added.filter((names) => names.length > 0).map(String),
    Array.from({ length: 3 }, () => seven.join(',')),
  );
  for (const [position, context] of contexts.entries()) {
    const add = added[position]?.length === 0 ? {} : { add: seven };
    assert.deepEqual(context, { runAsUser: 0, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'], ...add } });
  }
  assert.deepEqual(read(openshift, 'allowedCapabilities'), seven);
});

test('the YAML of README is k8s/job.yaml', () => {
  const blocks = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => text);
  assert.equal(blocks[0], readFileSync(join(folder, 'job.yaml'), 'utf8'));
});

test('the GitLab templates have jobs with the keywords of GitLab and the debug image', () => {
  const job = {
    extends: 'text',
    stage: 'text',
    parallel: { 'matrix!': [{ ARCH: ['text'] }] },
    tags: ['text'],
    image: { 'name!': 'text', 'entrypoint!': ['text'] },
    variables: 'map',
    script: ['text'],
    artifacts: { 'paths!': ['text'] },
  } as const;
  for (const file of ['build', 'multi-arch']) {
    const [jobs = {}] = parseManifests(readFileSync(join(folder, `gitlab/${file}.gitlab-ci.yml`), 'utf8'), file);
    for (const [name, value] of Object.entries(jobs)) {
      assert.deepEqual(strangers(value, job, name), []);
      if (read(value, 'extends') === undefined) assert.match(asText(read(value, 'image', 'name')), /:debug$/);
    }
  }
});

test('targets in k8s/overlays/many-images are as many as the Job has completions', () => {
  const bake = readFileSync(join(folder, 'overlays/many-images/docker-bake.json'), 'utf8');
  const kustomization = readFileSync(join(folder, 'overlays/many-images/kustomization.yaml'), 'utf8');
  const { length } = parseTargetsFile(bake, 'docker-bake.json', {}).choose([]);
  assert.match(kustomization, new RegExp(`/spec/completions\\n +value: ${length}\\n`));
});

describe('kustomize', { skip: missingKustomize() }, () => {
  const made = mkdtempSync(join(tmpdir(), 'yadokari-kustomize-'));
  after(() => rmSync(made, { recursive: true, force: true }));
  const kustomize = (path: string): readonly ParsedObject[] => {
    const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', path], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return parseManifests(stdout, path);
  };
  const built = (path: string): void => {
    const objects = kustomize(path);
    assert.ok(objects.length > 0);
    for (const object of objects) {
      assert.deepEqual(manifestBreaches(object), []);
      const spec = podSpecOf(object);
      if (spec !== undefined) assertBuilderPod(spec);
    }
  };
  for (const overlay of ['base', ...readdirSync(join(folder, 'overlays')).map((name) => `overlays/${name}`)])
    test(`${overlay} builds to what the rules above allow`, () => built(join(folder, overlay)));
  const components = readdirSync(join(folder, 'components'));
  // The two contexts replace the same volume, the two caches say the same flags.
  const together = components.filter((name) => !['s3-context', 'cache-pvc'].includes(name));
  for (const names of [...components.map((name) => [name]), together]) {
    test(`so does base with ${names.length === 1 ? names.join('') : 'all components that go together'}`, () => {
      const place = join(made, names.join('+').slice(0, 60));
      mkdirSync(place);
      const paths = names.map((name) => relative(place, join(folder, 'components', name)));
      writeFileSync(
        join(place, 'kustomization.yaml'),
        JSON.stringify({ resources: [relative(place, join(folder, 'base'))], components: paths }),
      );
      built(place);
    });
  }
});

/** Why kustomize can't be tried; false where it can. Components came with kubectl 1.21. */
function missingKustomize(): string | false {
  const { error, stdout } = spawnSync('kubectl', ['version', '--client', '--output=json'], { encoding: 'utf8' });
  if (error !== undefined) return 'kubectl is not installed';
  const minor = Number(/"minor": "(\d+)/.exec(stdout)?.[1] ?? 0);
  return minor >= 21 ? false : `kubectl 1.${minor} knows no components`;
}

test('the rules of this test notice what they are for', () => {
  const bad = {
    containers: [{ name: 'build', securityContext: { capabilities: { add: ['SYS_ADMIN'] }, seccompProfile: { type: 'Unconfined' } } }],
  };
  assert.deepEqual(baselineBreaches(bad), ['build adds SYS_ADMIN', 'seccomp is off']);
  assert.deepEqual(strangers({ containers: [{ privileged: true }], hostNetwork: true }, podSpec, 'spec'), [
    'spec.containers[0].name is missing',
    'spec.containers[0].image is missing',
    'spec.containers[0].privileged is unknown',
    'spec.hostNetwork is unknown',
  ]);
  assert.deepEqual(manifestBreaches({ apiVersion: 'batch/v2', kind: 'Job' }), ['batch/v2 Job is no kind that is known']);
});
