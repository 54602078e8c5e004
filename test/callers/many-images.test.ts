// Many machines by engines that exist: the examples of k8s/, but for their names of images and registries, in pods as their engines make
// them. What stands in for git has the context in its volume.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { builderLayout } from '../support/builder.ts';
import { must } from '../support/command.ts';
import { type Containerd, missingContainerd, startContainerd } from '../support/cri/containerd.ts';
import { podOfManifest } from '../support/cri/manifest.ts';
import { type Pod, type PodResult, runPod } from '../support/cri/pod.ts';
import { type RunningRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { pushLayout } from '../support/image-writer.ts';
import { read } from '../support/manifest-shapes.ts';
import { asList, asObject, asText, type ParsedObject } from '../support/parsed.ts';

const k8s = resolve(import.meta.dirname, '../../k8s');
const conformance = resolve(import.meta.dirname, '../conformance/base');
const noKustomize = spawnSync('kubectl', ['kustomize', join(k8s, 'base')]).status === 0 ? false : 'no kubectl that knows kustomize';
const htpasswd = 'crab:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';
const copies = 'FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /for-$TARGETARCH\n';

describe('many images and many machines', { skip: missingContainerd() ?? noKustomize, timeout: 600_000 }, () => {
  let containerd: Containerd;
  let registry: RunningRegistry;
  let image = '';
  let debug = '';
  let folder = '';
  let auth = '';

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'yadokari-many-'));
    [containerd, registry] = await Promise.all([startContainerd(), startDockerRegistry({ htpasswd })]);
    image = await containerd.load(builderLayout(), 'latest', 'yadokari');
    debug = await containerd.load(builderLayout(), 'debug', 'yadokari');
    auth = JSON.stringify({ auths: { [registry.host]: { username: 'crab', password: 'secret' } } });
    await pushLayout(conformance, 'base', `${registry.host}/base:latest`, 'crab:secret');
  });
  after(async () => {
    await containerd?.stop();
    await registry?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const named = (text: string): string => text.replaceAll('registry.example/team', registry.host);
  /** What skopeo says of a name, whole where all of it is there. */
  const inspect = async (name: string): Promise<ParsedObject> => {
    const place = `docker://${registry.host}/${name}`;
    const credentials = ['--creds=crab:secret', '--tls-verify=false'];
    const from = ['--src-creds=crab:secret', '--src-tls-verify=false'];
    await must(['skopeo', 'copy', '--all', '--quiet', ...from, place, `dir:${join(folder, name.replaceAll('/', '_'))}`]);
    return asObject(JSON.parse(await must(['skopeo', 'inspect', '--raw', ...credentials, place])));
  };
  const architecturesOf = async (name: string): Promise<readonly unknown[]> =>
    asList((await inspect(name))['manifests']).map((entry) => read(entry, 'platform', 'architecture'));

  const kustomize = async (overlay: string): Promise<readonly ParsedObject[]> =>
    parseAllDocuments(await must(['kubectl', 'kustomize', join(k8s, 'overlays', overlay)])).map((document) => asObject(document.toJS()));

  /** The pod of a Job, whose checkout is what `script` leaves in /workspace. */
  const podOfJob = (
    job: ParsedObject,
    script: string,
    more: { readonly args?: readonly string[]; readonly configMaps?: Record<string, Record<string, string>> } = {},
  ): Pod => {
    const { nodeSelector: _node, ...spec } = asObject(read(job, 'spec', 'template', 'spec'));
    const containers = asList(spec['containers']).map((value) => {
      const container = asObject(value);
      const args = more.args ?? asList(container['args']).map((arg) => named(asText(arg)));
      return { ...container, image, args: [...args, '--insecure', '--insecure-pull'] };
    });
    const initContainers = asList(spec['initContainers']).map((value) => {
      const container = asObject(value);
      const stands = { ...container, image: debug, command: ['/busybox/sh', '-c'], args: [script] };
      return container['name'] === 'fetch-context' ? stands : { ...container, image };
    });
    const secrets = { 'registry-credentials': { '.dockerconfigjson': auth } };
    return podOfManifest({ ...spec, containers, initContainers }, { secrets, configMaps: more.configMaps ?? {} });
  };

  const succeed = async (pod: Pod): Promise<PodResult> => {
    const result = await runPod(containerd, pod);
    assert.equal(result.status, 0, result.output);
    return result;
  };

  /** Of the Indexed Job, its ConfigMap and a checkout that its targets have. */
  const manyImages = async (): Promise<{
    readonly job: ParsedObject;
    readonly script: string;
    readonly configMaps: Record<string, Record<string, string>>;
  }> => {
    const objects = await kustomize('many-images');
    const config = objects.find(({ kind }) => kind === 'ConfigMap');
    const job = objects.find(({ kind }) => kind === 'Job');
    assert.ok(config !== undefined && job !== undefined);
    const bake = named(asText(read(config, 'data', 'docker-bake.json')));
    const dockerfile = `FROM ${registry.host}/base AS release\\nARG MODE\\nRUN test ! -e /made && echo made > /made\\n`;
    const folders = ['web', 'worker', 'tools'];
    const script = `cd /workspace; for f in ${folders.join(' ')}; do mkdir $f; printf '${dockerfile}' > $f/Dockerfile; done`;
    return { job, script, configMaps: { [asText(read(config, 'metadata', 'name'))]: { 'docker-bake.json': bake } } };
  };

  test('Indexed Job: each pod builds the target of its index, whose digest is its termination message', async () => {
    const { job, script, configMaps } = await manyImages();
    const pod = podOfJob(job, script, { configMaps });
    for (const [index, name] of ['web', 'worker'].entries()) {
      const { terminationMessage } = await succeed({ ...pod, env: { ...pod.env, JOB_COMPLETION_INDEX: `${index}` } });
      const digest = await must([
        'skopeo',
        'inspect',
        '--creds=crab:secret',
        '--tls-verify=false',
        '--format={{.Digest}}',
        `docker://${registry.host}/${name}:1.0`,
      ]);
      assert.equal(terminationMessage, digest.trim());
    }
    const beyond = await runPod(containerd, { ...pod, env: { ...pod.env, JOB_COMPLETION_INDEX: '3' } });
    assert.match(beyond.output, /Cannot choose a target by JOB_COMPLETION_INDEX=3: \/targets\/docker-bake.json has 3/);
  });

  test('without an index all targets are built in one container, each in a clean root, by credentials that the first took away', async () => {
    const { job, script, configMaps } = await manyImages();
    const args = ['--targets-file=/targets/docker-bake.json', '--digest-file=/workspace/{target}.digest', '--targets=tools,web'];
    // Read-only in the manifest, as no build needs more.
    const pod = podOfJob(job, script, { configMaps, args });
    const { output } = await succeed({
      ...pod,
      mounts: (pod.mounts ?? []).map((mount) => ({ ...mount, readOnly: false })),
      env: { ...pod.env, TAG: 'all' },
    });
    assert.match(output, /target tools \(1 of 2\)[^]*target web \(2 of 2\)/);
    for (const name of ['tools', 'web']) await inspect(`${name}:all`);
    const refused = await runPod(
      containerd,
      podOfJob(job, script, { configMaps, args: [...args.slice(0, 1), '--digest-file=/kaniko/digest'] }),
    );
    assert.match(refused.output, /Cannot write --digest-file for 3 targets: each would replace the one before\n {2}try: .*\{target\}/);
  });

  test('a Job for each platform, and one that waits for both in the registry and makes their index', async () => {
    const jobs = (await kustomize('multi-arch')).filter(({ kind }) => kind === 'Job');
    const pods = jobs.map((job) => podOfJob(job, `printf '${copies.replaceAll('\n', '\\n')}' > /workspace/Dockerfile`));
    // The one that waits begins first.
    const results = await Promise.all(pods.toReversed().map(succeed));
    assert.equal(results.length, 3);
    assert.deepEqual(await architecturesOf('app:1.0'), ['amd64', 'arm64']);
  });

  /** A Tekton task's step as a pod with these parameters; its results. */
  const runTask = async (
    file: string,
    params: Readonly<Record<string, readonly string[]>>,
    context?: string,
  ): Promise<(result: string) => Promise<string>> => {
    const task = asObject(parse(await readFile(join(k8s, 'tekton', file), 'utf8')));
    const results = await mkdtemp(join(folder, 'results-'));
    const defaults = asList(read(task, 'spec', 'params')).map((value) => {
      const { name, default: fallback } = asObject(value);
      return [asText(name), Array.isArray(fallback) ? asList(fallback).map((item) => asText(item)) : [asText(fallback ?? '')]] as const;
    });
    const values = new Map([...defaults, ...Object.entries(params), ['EXTRA_ARGS', ['--insecure', '--insecure-pull']] as const]);
    const fill = (text: string): readonly string[] => {
      const whole = values.get(/^\$\(params\.(\w+)\)$/.exec(text)?.[1] ?? '');
      if (whole !== undefined) return whole;
      const places = text
        .replaceAll(/\$\(results\.(\w+)\.path\)/g, '/tekton/results/$1')
        .replaceAll('$(workspaces.source.path)', '/workspace/source');
      return [places.replaceAll(/\$\(params\.(\w+)\)/g, (_, name: string) => values.get(name)?.join(' ') ?? '')];
    };
    const step = asObject(asList(read(task, 'spec', 'steps'))[0]);
    const args = asList(step['args']).flatMap((arg) => fill(asText(arg)));
    const pod = podOfManifest({ containers: [{ ...step, image, workingDir: '/workspace/source', args }] });
    const source = context ?? results;
    await succeed({
      ...pod,
      env: { HOME: '/tekton/home', DOCKER_AUTH_CONFIG: auth },
      volumes: { source: { kind: 'hostPath', path: source }, results: { kind: 'hostPath', path: results } },
      mounts: [
        { path: '/workspace/source', volume: 'source' },
        { path: '/tekton/results', volume: 'results' },
      ],
    });
    return async (result) => await readFile(join(results, result), 'utf8');
  };

  const context = async (): Promise<string> => {
    const place = await mkdtemp(join(folder, 'context-'));
    await must(['sh', '-c', `printf '%s' "$0" > ${place}/Dockerfile`, copies]);
    return place;
  };

  test('Tekton: what a matrix of builds has as results goes into an index, and the index into the results of Konflux', async () => {
    const [at, source] = [`${registry.host}/tekton`, await context()];
    const parts: string[] = [];
    for (const arch of ['amd64', 'arm64']) {
      const result = await runTask('task.yaml', { IMAGE: [`${at}:1-parts`], ARCH: [arch] }, source);
      parts.push(await result('IMAGE_URL'));
    }
    const result = await runTask('index-task.yaml', { IMAGE: [`${at}:1`], IMAGES: parts });
    assert.deepEqual(await architecturesOf('tekton:1'), ['amd64', 'arm64']);
    assert.equal((await result('IMAGE_REF')).trim(), `${at}@${await result('IMAGE_DIGEST')}`);
    assert.equal((await result('IMAGES')).split(',').length, 2);
  });

  test('Argo: the results of a fan-out, a list in JSON, become an index', async () => {
    const workflow = asObject(parse(await readFile(join(k8s, 'argo/multi-arch.yaml'), 'utf8')));
    const templates = asList(read(workflow, 'spec', 'templates')).map((value) => asObject(value));
    const run = async (name: string, words: Readonly<Record<string, string>>, volumes: Pod['volumes'] = {}): Promise<void> => {
      const { image: _image, volumeMounts: _mounts, ...container } = asObject(templates.find((one) => one['name'] === name)?.['container']);
      const fill = (text: string): string =>
        text.replaceAll(/\{\{(?:workflow|inputs)\.parameters\.(\w+)\}\}/g, (_, word: string) => words[word] ?? '');
      const args = [...asList(container['args']).map((arg) => fill(asText(arg))), '--insecure', '--insecure-pull'];
      const outputs = { path: '/kaniko/out', volume: 'out' };
      const mounts = Object.keys(volumes).map((volume) => (volume === 'out' ? outputs : { path: '/workspace', volume }));
      const pod = podOfManifest({
        containers: [{ name, ...container, image, args: args.map((arg) => arg.replace('=/kaniko/image', '=/kaniko/out/image')) }],
      });
      await succeed({ ...pod, env: { DOCKER_AUTH_CONFIG: auth }, volumes, mounts });
    };
    const source = await context();
    const images: string[] = [];
    for (const arch of ['amd64', 'arm64']) {
      const out = await mkdtemp(join(folder, 'argo-'));
      await run(
        'build',
        { image: `${registry.host}/argo:1`, arch },
        { context: { kind: 'hostPath', path: source }, out: { kind: 'hostPath', path: out } },
      );
      images.push((await readFile(join(out, 'image'), 'utf8')).trimEnd());
    }
    await run('index', { image: `${registry.host}/argo:1`, images: JSON.stringify(images) });
    assert.deepEqual(await architecturesOf('argo:1'), ['amd64', 'arm64']);
  });

  test('GitLab: jobs of a matrix push for each architecture, and the last one makes the index of this pipeline', async () => {
    const jobs = asObject(
      parse(
        `${await readFile(join(k8s, 'gitlab/build.gitlab-ci.yml'), 'utf8')}\n${await readFile(join(k8s, 'gitlab/multi-arch.gitlab-ci.yml'), 'utf8')}`,
      ),
    );
    const place = '/builds/group/project';
    const job = async (name: string, env: Readonly<Record<string, string>>): Promise<string> => {
      const { variables, script } = { ...asObject(jobs['.build-image']), ...asObject(jobs[name]) };
      const set = Object.entries({ DOCKERFILE: 'Dockerfile', ...asObject(variables) }).map(
        ([key, value]) => `export ${key}="${asText(value)}"`,
      );
      const plain = 'BUILD_FLAGS="$BUILD_FLAGS --insecure --insecure-pull" INDEX_FLAGS="--insecure --insecure-pull"';
      const lines = [
        'set -eo pipefail',
        `cd ${place}`,
        ...set,
        `export ${plain}`,
        ...asList(script).map((line) => asText(line)),
        'echo && cat image.digest',
      ];
      const { output } = await succeed({
        image: debug,
        command: ['sh', '-c', lines.join('\n')],
        env: {
          CI_PROJECT_DIR: place,
          CI_REGISTRY: registry.host,
          CI_REGISTRY_USER: 'crab',
          CI_REGISTRY_PASSWORD: 'secret',
          CI_REGISTRY_IMAGE: `${registry.host}/gitlab`,
          CI_COMMIT_REF_SLUG: 'main',
          CI_PIPELINE_ID: '7',
          ...env,
        },
        volumes: { builds: { kind: 'hostPath', path: await context() } },
        mounts: [{ path: place, volume: 'builds' }],
      });
      return output;
    };
    for (const ARCH of ['amd64', 'arm64']) await job('build-image', { ARCH });
    assert.match(await job('index-image', {}), /sha256:\w{64}/);
    assert.deepEqual(await architecturesOf('gitlab:main'), ['amd64', 'arm64']);
  });
});
