// The manifests of k8s/ against the fields that Kubernetes knows and the rules of the baseline Pod Security Standard.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';

const folder = join(import.meta.dirname, '../../k8s');

/** The fields that the manifests may use, as Kubernetes' API reference has them: a list has one shape for all its items. */
type Shape = 'text' | 'number' | 'boolean' | 'map' | readonly [Shape] | { readonly [field: string]: Shape };

const securityContext = {
  runAsUser: 'number',
  runAsNonRoot: 'boolean',
  allowPrivilegeEscalation: 'boolean',
  seccompProfile: { type: 'text' },
  capabilities: { drop: ['text'], add: ['text'] },
} as const;
const container = {
  name: 'text',
  image: 'text',
  args: ['text'],
  env: [{ name: 'text', value: 'text' }],
  terminationMessagePolicy: 'text',
  securityContext,
  resources: { requests: 'map', limits: 'map' },
  volumeMounts: [{ name: 'text', mountPath: 'text', subPath: 'text', readOnly: 'boolean' }],
} as const;
const items = [{ key: 'text', path: 'text' }] as const;
const podSpec = {
  restartPolicy: 'text',
  automountServiceAccountToken: 'boolean',
  enableServiceLinks: 'boolean',
  hostUsers: 'boolean',
  securityContext: { seccompProfile: { type: 'text' } },
  initContainers: [container],
  containers: [container],
  volumes: [
    {
      name: 'text',
      configMap: { name: 'text', items },
      emptyDir: { sizeLimit: 'text' },
      secret: { secretName: 'text', optional: 'boolean', items },
    },
  ],
} as const;
const metadata = { name: 'text', generateName: 'text', labels: 'map', annotations: 'map' } as const;
const shapes: Readonly<Record<string, Shape>> = {
  ConfigMap: { apiVersion: 'text', kind: 'text', metadata, data: 'map' },
  Pod: { apiVersion: 'text', kind: 'text', metadata, spec: podSpec },
  Job: {
    apiVersion: 'text',
    kind: 'text',
    metadata,
    spec: {
      backoffLimit: 'number',
      activeDeadlineSeconds: 'number',
      ttlSecondsAfterFinished: 'number',
      podFailurePolicy: {
        rules: [
          {
            action: 'text',
            onPodConditions: [{ type: 'text', status: 'text' }],
            onExitCodes: { containerName: 'text', operator: 'text', values: ['number'] },
          },
        ],
      },
      template: { metadata, spec: podSpec },
    },
  },
};

type Json = Readonly<Record<string, unknown>>;

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Where `value` is not of `shape`, as paths. */
function strangers(value: unknown, shape: Shape, path: string): readonly string[] {
  if (shape === 'text') return typeof value === 'string' ? [] : [`${path} is no text`];
  if (shape === 'number' || shape === 'boolean') return typeof value === shape ? [] : [`${path} is no ${shape}`];
  if (shape === 'map') {
    if (!isJson(value)) return [`${path} is no map`];
    return Object.entries(value).flatMap(([key, item]) => strangers(item, 'text', `${path}.${key}`));
  }
  if (isList(shape)) {
    return Array.isArray(value) ? value.flatMap((item, index) => strangers(item, shape[0], `${path}[${index}]`)) : [`${path} is no list`];
  }
  if (!isJson(value)) return [`${path} is no object`];
  return Object.entries(value).flatMap(([key, item]) => {
    const inner = shape[key];
    return inner === undefined ? [`${path}.${key} is unknown`] : strangers(item, inner, `${path}.${key}`);
  });
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}

const baselineCapabilities = new Set(
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(' '),
);

/** What the baseline standard forbids in a pod, of the fields that the shapes above allow; the others can't be there. */
function baselineBreaches(spec: Json): readonly string[] {
  const podProfile = read(spec, 'securityContext', 'seccompProfile', 'type');
  return containersOf(spec).flatMap((one) => {
    const added = list(read(one, 'securityContext', 'capabilities', 'add')).filter((name) => !baselineCapabilities.has(String(name)));
    const profile = read(one, 'securityContext', 'seccompProfile', 'type') ?? podProfile;
    return [...added.map((name) => `${String(one['name'])} adds ${String(name)}`), ...(profile === 'Unconfined' ? ['seccomp is off'] : [])];
  });
}

function read(value: unknown, ...fields: readonly string[]): unknown {
  return fields.reduce<unknown>((inner, field) => (isJson(inner) ? inner[field] : undefined), value);
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function containersOf(spec: Json): readonly Json[] {
  return [...list(spec['initContainers']), ...list(spec['containers'])].filter(isJson);
}

const documents = readdirSync(folder)
  .toSorted()
  .flatMap((file) =>
    parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => {
      assert.deepEqual(document.errors, [], file);
      const value: unknown = document.toJS();
      assert.ok(isJson(value), file);
      return { file, value, kind: String(value['kind']) };
    }),
  );
const pods = documents.flatMap(({ file, value, kind }) => {
  const spec = kind === 'Job' ? read(value, 'spec', 'template', 'spec') : read(value, 'spec');
  return isJson(spec) ? [{ file, spec }] : [];
});

test('k8s/ has a Job and a Pod', () => {
  assert.deepEqual(
    documents.map(({ file, kind }) => `${file} ${kind}`),
    ['job.yaml Job', 'pod.yaml ConfigMap', 'pod.yaml Pod'],
  );
});

for (const { file, value, kind } of documents) {
  test(`${file}: the ${kind} has only fields that Kubernetes knows`, () => {
    const shape = shapes[kind];
    assert.ok(shape !== undefined);
    assert.deepEqual(strangers(value, shape, kind), []);
    assert.equal(value['apiVersion'], kind === 'Job' ? 'batch/v1' : 'v1');
  });
}

for (const { file, spec } of pods) {
  test(`${file}: the pod keeps to the baseline standard and drops every capability that it does not need`, () => {
    assert.deepEqual(baselineBreaches(spec), []);
    assert.equal(read(spec, 'securityContext', 'seccompProfile', 'type'), 'RuntimeDefault');
    for (const one of containersOf(spec)) {
      assert.equal(read(one, 'securityContext', 'allowPrivilegeEscalation'), false);
      assert.deepEqual(read(one, 'securityContext', 'capabilities', 'drop'), ['ALL']);
      const needed = one['name'] === 'build' ? ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'SETUID', 'SETGID', 'SETFCAP'] : [];
      assert.deepEqual(list(read(one, 'securityContext', 'capabilities', 'add')), needed);
    }
  });

  test(`${file}: the pod gets no token, ends with its build and says how much room it takes`, () => {
    assert.equal(spec['automountServiceAccountToken'], false);
    assert.equal(spec['restartPolicy'], 'Never');
    const build = containersOf(spec).find((one) => one['name'] === 'build');
    for (const amount of ['requests', 'limits']) {
      assert.match(String(read(build, 'resources', amount, 'ephemeral-storage')), /^\d+Gi$/);
      assert.match(String(read(build, 'resources', amount, 'memory')), /^\d+[MG]i$/);
    }
  });

  test(`${file}: the credentials lie where the builder looks for them, and every mount has its volume`, () => {
    const volumes = list(spec['volumes']).filter(isJson);
    const credentials = volumes.find((volume) => isJson(volume['secret']));
    assert.deepEqual(list(read(credentials, 'secret', 'items')), [{ key: '.dockerconfigjson', path: 'config.json' }]);
    const mounts = containersOf(spec).flatMap((one) => list(one['volumeMounts']).filter(isJson));
    assert.deepEqual(new Set(mounts.map((mount) => mount['name'])), new Set(volumes.map((volume) => volume['name'])));
    const mount = mounts.find((one) => one['name'] === credentials?.['name']);
    assert.deepEqual([mount?.['mountPath'], mount?.['readOnly']], ['/kaniko/.docker', true]);
  });
}

test('the rules of this test notice what they are for', () => {
  const bad = {
    containers: [{ name: 'build', securityContext: { capabilities: { add: ['SYS_ADMIN'] }, seccompProfile: { type: 'Unconfined' } } }],
  };
  assert.deepEqual(baselineBreaches(bad), ['build adds SYS_ADMIN', 'seccomp is off']);
  assert.deepEqual(strangers({ containers: [{ privileged: true }], hostNetwork: true }, podSpec, 'spec'), [
    'spec.containers[0].privileged is unknown',
    'spec.hostNetwork is unknown',
  ]);
});
