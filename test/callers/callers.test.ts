// CI systems and others that call kaniko, as their own documents write it: the image's name is another, and nothing else. Each builds
// and pushes twice and gets the digest; who has a shell still has it afterwards.
import assert from 'node:assert/strict';
import { mkdtemp, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parse } from 'yaml';
import { builderImage } from '../support/builder.ts';
import { type CallersScene, plain, startCallersScene } from '../support/callers-scene.ts';
import { must } from '../support/command.ts';
import { missingContainerd } from '../support/cri/containerd.ts';
import { podOfManifest } from '../support/cri/manifest.ts';
import { type Pod, type PodResult, startPod } from '../support/cri/pod.ts';
import { asList, asObject, asText } from '../support/parsed.ts';
import { podmanCommand } from '../support/podman.ts';
import { tarArchive } from '../support/tar-writer.ts';

const k8s = resolve(import.meta.dirname, '../../k8s');
const examples = resolve(import.meta.dirname, '../../examples/cloud');
const shell = '/busybox/sh';

describe('callers', { skip: missingContainerd() ?? false, timeout: 600_000 }, () => {
  let scene: CallersScene;
  let [image, debug, folder, dockerfile] = ['', '', '', ''];
  before(async () => {
    scene = await startCallersScene();
    ({ image, debug, folder, dockerfile } = scene);
  });
  after(() => scene?.stop());
  const nameOf = (repository: string): string => scene.nameOf(repository);
  const context = async (): Promise<string> => await scene.context();
  const pushed = async (repository: string): Promise<string> => await scene.pushed(repository);
  const archive = (): Buffer =>
    tarArchive([
      { name: 'Dockerfile', content: dockerfile },
      { name: 'hello', content: 'hello\n' },
    ]);
  const succeed = async (pod: Pod): Promise<PodResult> => await scene.succeed(pod);

  test("Tekton: the steps of the catalog's task, with its workspace, results and home", async () => {
    const task = asObject(parse(await readFile(join(k8s, 'tekton/task.yaml'), 'utf8')));
    const [step] = asList(asObject(task['spec'])['steps']).map((value) => asObject(value));
    const results = await mkdtemp(join(folder, 'results-'));
    const words: Readonly<Record<string, readonly string[]>> = {
      'params.EXTRA_ARGS': plain,
      'params.BUILDER_IMAGE': [image],
      'params.DOCKERFILE': ['./Dockerfile'],
      'params.CONTEXT': ['./'],
      'params.IMAGE': [nameOf('tekton')],
      'workspaces.source.path': ['/workspace/source'],
      'results.IMAGE_DIGEST.path': ['/tekton/results/IMAGE_DIGEST'],
      'results.IMAGE_URL.path': ['/tekton/results/IMAGE_URL'],
    };
    const fill = (text: string): readonly string[] =>
      words[/^\$\((.*)\)$/.exec(text)?.[1] ?? ''] ?? [text.replaceAll(/\$\(([^)]*)\)/g, (_, name: string) => words[name]?.join(' ') ?? '')];
    const container = {
      ...step,
      image: fill(asText(step?.['image']))[0],
      workingDir: '/workspace/source',
      args: asList(step?.['args']).flatMap((arg) => fill(asText(arg))),
    };
    const pod = podOfManifest({ containers: [container] });
    for (const round of [1, 2]) {
      await succeed({
        ...pod,
        env: { HOME: '/tekton/home' },
        volumes: {
          source: { kind: 'hostPath', path: await context() },
          results: { kind: 'hostPath', path: results },
          ...Object.fromEntries(['home', 'bin', 'steps'].map((name) => [name, { kind: 'emptyDir' as const }])),
        },
        mounts: [
          { path: '/workspace/source', volume: 'source' },
          ...['results', 'home', 'bin', 'steps'].map((name) => ({ path: `/tekton/${name}`, volume: name })),
        ],
      });
      const digest = await pushed('tekton');
      assert.equal(await readFile(join(results, 'IMAGE_DIGEST'), 'utf8'), digest, `round ${round}`);
      assert.equal((await readFile(join(results, 'IMAGE_URL'), 'utf8')).trim(), `${nameOf('tekton')}@${digest}`);
    }
  });

  test('Argo: a binary of its own starts the command, and takes the outputs when the root is another', async () => {
    const outputs = await mkdtemp(join(folder, 'argo-'));
    const argoexec = '/var/run/argo/busybox'; // knows what it is by this name
    const mounts = [{ path: '/var/run/argo', volume: 'var-run-argo' }];
    const script = `"$@"; status=$?; for f in /kaniko/digest /tmp/name; do ${argoexec} cp $f /mainctrfs/; done; exit $status`;
    const executor = ['/kaniko/executor', '--context=/workspace', `--destination=${nameOf('argo')}`, '--digest-file=/kaniko/digest'];
    const also = ['--image-name-with-digest-file=/tmp/name', ...plain];
    for (const round of [1, 2]) {
      await succeed({
        image,
        initContainers: [{ image: debug, command: [shell, '-c', `cp /busybox/busybox ${argoexec}`], mounts }],
        command: [argoexec, 'sh', '-c', script, 'emissary', ...executor, ...also],
        volumes: {
          'var-run-argo': { kind: 'emptyDir' },
          context: { kind: 'hostPath', path: await context() },
          outputs: { kind: 'hostPath', path: outputs },
        },
        mounts: [...mounts, { path: '/workspace', volume: 'context' }, { path: '/mainctrfs', volume: 'outputs' }],
      });
      const digest = await pushed('argo');
      assert.equal(await readFile(join(outputs, 'digest'), 'utf8'), digest, `round ${round}`);
      assert.match(await readFile(join(outputs, 'name'), 'utf8'), new RegExp(`@${digest}`));
    }
  });

  test('Jenkins: a container kept alive by cat, two builds and a shell after each, node on PATH', async () => {
    const manifest = asObject(parse(await readFile(join(k8s, 'jenkins/pod.yaml'), 'utf8')));
    const spec = asObject(manifest['spec']);
    const containers = asList(spec['containers']).map((value) => ({ ...asObject(value), image: debug }));
    const secrets = { 'registry-credentials': { '.dockerconfigjson': '{"auths":{}}' } };
    const pod = podOfManifest({ ...spec, containers }, { secrets });
    const place = '/home/jenkins/agent/workspace/app';
    const running = await startPod(scene.containerd, {
      ...pod,
      volumes: { ...pod.volumes, workspace: { kind: 'hostPath', path: await context() } },
      mounts: [...(pod.mounts ?? []), { path: place, volume: 'workspace' }],
    });
    try {
      const step = `cd ${place} && PATH=/busybox:/kaniko:$PATH && /kaniko/executor --context "$PWD" --destination ${nameOf('jenkins')} --digest-file image.digest ${plain.join(' ')} && echo && cat image.digest`;
      for (const round of [1, 2]) {
        const { status, output } = await running.exec([shell, '-c', step]);
        assert.equal(status, 0, output);
        assert.ok(output.includes(await pushed('jenkins')), `round ${round}: ${output}`);
        const alive = await running.exec([shell, '-c', `ls -d ${place}/hello; node --version; executor version`]);
        assert.match(alive.output, /app\/hello\nv26\.\d+\.\d+\nyadokari /);
      }
    } finally {
      await running.stop(0);
      await running.ended;
    }
  });

  test('GitLab: the shell that the runner looks for, config.json by echo, two builds, artifacts and after_script', async () => {
    const place = '/builds/group/project';
    const found = '/usr/local/bin/bash /usr/bin/bash /bin/bash /usr/local/bin/sh /usr/bin/sh /bin/sh /busybox/sh';
    const detect = `for one in ${found}; do [ -x $one ] && exec $one /scripts/step; done; echo shell not found; exit 1`;
    const executor = `/kaniko/executor --context "$CI_PROJECT_DIR" --dockerfile "$CI_PROJECT_DIR/Dockerfile" --destination "${nameOf('gitlab')}" --digest-file image.digest ${plain.join(' ')}`;
    const script = [
      `set -eo pipefail; cd ${place}; mkdir -p /kaniko/.docker`,
      `echo "{\\"auths\\":{\\"$CI_REGISTRY\\":{\\"username\\":\\"me\\",\\"password\\":\\"pw\\"}}}" > /kaniko/.docker/config.json`,
      executor,
      'echo "first $(cat image.digest)"',
      executor,
      'grep -c pw /kaniko/.docker/config.json; ls hello; [ -x /bin/sh ]; echo "after_script $(cat image.digest)"',
    ];
    const { output } = await succeed({
      image: debug,
      command: ['sh', '-c', detect],
      env: { CI_PROJECT_DIR: place, CI_REGISTRY: 'registry.example', GITLAB_CI: 'true' },
      volumes: { builds: { kind: 'hostPath', path: await context() }, scripts: { kind: 'configMap', files: { step: script.join('\n') } } },
      mounts: [
        { path: place, volume: 'builds' },
        { path: '/scripts', volume: 'scripts' },
      ],
    });
    assert.match(output, new RegExp(`first sha256:[^]*\\n1\\nhello\\nafter_script ${await pushed('gitlab')}`));
  });

  test('Drone and Woodpecker: settings as variables, no arguments', async () => {
    for (const round of [1, 2]) {
      await succeed({
        image,
        env: {
          PLUGIN_REGISTRY: scene.registry.host,
          PLUGIN_REPO: 'plugin',
          PLUGIN_TAGS: '1',
          PLUGIN_INSECURE: 'true',
          PLUGIN_INSECURE_PULL: 'true',
          PLUGIN_USERNAME: 'me',
          PLUGIN_PASSWORD: 'pw',
          PLUGIN_DIGEST_FILE: '/woodpecker/src/digest',
        },
        workingDir: '/woodpecker/src',
        volumes: { src: { kind: 'hostPath', path: await context() } },
        mounts: [{ path: '/woodpecker/src', volume: 'src' }],
      });
      assert.match(await pushed('plugin'), /^sha256:/, `round ${round}`);
    }
  });

  test('Skaffold: an init container fetches the context into /kaniko/buildcontext', async () => {
    const mounts = [{ path: '/kaniko/buildcontext', volume: 'kaniko-emptydir' }];
    const fetch = `cd /kaniko/buildcontext && printf '%s' "$DOCKERFILE" > Dockerfile && echo hello > hello`;
    const args = [
      '--destination',
      nameOf('skaffold'),
      '--dockerfile',
      'Dockerfile',
      '--context',
      'dir:///kaniko/buildcontext',
      '-v',
      'info',
      '--skip-unused-stages',
    ];
    for (const round of [1, 2]) {
      const { terminationMessage } = await succeed({
        image,
        initContainers: [{ image: debug, command: [shell, '-c', fetch], env: { DOCKERFILE: dockerfile }, mounts }],
        args: [...args, '--digest-file', '/dev/termination-log', ...plain],
        env: { UPSTREAM_CLIENT_TYPE: 'UpstreamClient(skaffold-v2)' },
        volumes: { 'kaniko-emptydir': { kind: 'emptyDir' } },
        mounts,
      });
      assert.equal(terminationMessage, await pushed('skaffold'), `round ${round}`);
    }
  });

  test('Cloud Build: the step of examples/cloud/cloudbuild.yaml in /workspace, whose images are told in $BUILDER_OUTPUT', async () => {
    const output = await mkdtemp(join(folder, 'output-'));
    const [step] = asList(asObject(parse(await readFile(join(examples, 'cloudbuild.yaml'), 'utf8')))['steps']).map((value) =>
      asObject(value),
    );
    const args = asList(step?.['args']).map((arg) => asText(arg).replace(/=\$_REGION.*/, `=${nameOf('cloud')}`));
    for (const round of [1, 2]) {
      await succeed({
        image,
        args: [...args, ...plain],
        workingDir: '/workspace',
        env: { BUILDER_OUTPUT: '/builder/outputs' },
        volumes: { workspace: { kind: 'hostPath', path: await context() }, output: { kind: 'hostPath', path: output } },
        mounts: [
          { path: '/workspace', volume: 'workspace' },
          { path: '/builder/outputs', volume: 'output' },
        ],
      });
      const lines = (await readFile(join(output, 'images'), 'utf8')).trim().split('\n');
      assert.deepEqual(JSON.parse(lines.at(-1) ?? ''), { name: nameOf('cloud'), digest: await pushed('cloud') }, `round ${round}`);
    }
  });

  test('ACR: the command line of examples/cloud/acr-task.yaml in /workspace, with the login in its home', async () => {
    const [step] = asList(asObject(parse(await readFile(join(examples, 'acr-task.yaml'), 'utf8')))['steps']).map((value) =>
      asObject(value),
    );
    const [, ...args] = asText(step?.['cmd']).split(' ');
    const filled = args.map((arg) => arg.replace(/=\{\{\.Run\.Registry\}\}.*/, `=${nameOf('acr')}`));
    const login = { auths: { [scene.registry.host]: { username: '00000000-0000-0000-0000-000000000000', password: 'token' } } };
    for (const round of [1, 2]) {
      const home = { kind: 'configMap', files: { 'config.json': JSON.stringify(login) } } as const;
      await succeed({
        image,
        args: [...filled, ...plain],
        workingDir: '/workspace',
        volumes: { workspace: { kind: 'hostPath', path: await context() }, home },
        mounts: [
          { path: '/workspace', volume: 'workspace' },
          { path: '/root/.docker', volume: 'home' },
        ],
      });
      assert.match(await pushed('acr'), /^sha256:/, `round ${round}`);
    }
  });

  test('kubectl run --stdin: a pod whose standard input is attached gets the context as an archive', async () => {
    for (const round of [1, 2]) {
      const args = ['--dockerfile=Dockerfile', '--context=tar://stdin', `--destination=${nameOf('kubectl')}`, ...plain];
      const pod = await startPod(scene.containerd, { image, args, stdin: true });
      await pod.send(gzipSync(archive()));
      const { status, output } = await pod.ended;
      assert.equal(status, 0, output);
      assert.ok(output.includes(await pushed('kubectl')), `round ${round}: ${output}`);
    }
  });

  test('docker run: the context as an archive on standard input', async () => {
    const name = await builderImage();
    const limits = ['--network=host', '--ulimit', 'nofile=20000:20000', '--ulimit', 'nproc=5000:5000'];
    for (const round of [1, 2]) {
      const args = ['--context=tar://stdin', `--destination=${nameOf('stdin')}`, '--quiet', ...plain];
      const said = await must(podmanCommand(['run', '--rm', '-i', ...limits, name, ...args]), { input: archive() });
      assert.match(said, new RegExp(`@${await pushed('stdin')}\\n$`), `round ${round}`);
    }
  });
});
