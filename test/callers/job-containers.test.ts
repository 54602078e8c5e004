// Callers that bring programs of their own into the container of a job, or want the image in a file. Each builds twice.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type CallersScene, plain, startCallersScene } from '../support/callers-scene.ts';
import { must } from '../support/command.ts';
import { missingContainerd } from '../support/cri/containerd.ts';
import { startPod } from '../support/cri/pod.ts';

const shell = '/busybox/sh';

describe('job containers', { skip: missingContainerd() ?? false, timeout: 600_000 }, () => {
  let scene: CallersScene;
  before(async () => {
    scene = await startCallersScene();
  });
  after(() => scene?.stop());

  test('Buildkite: its agent, in the volume that has the checkout, too, starts the command', async () => {
    const agent = '/workspace/busybox'; // knows what it is by this name
    const mounts = [{ path: '/workspace', volume: 'workspace' }];
    const checkout = `mkdir -p /workspace/build/app /workspace/sockets; cp /busybox/busybox ${agent}; cd /workspace/build/app; printf '%s' "$DOCKERFILE" > Dockerfile; echo hello > hello`;
    const command = `cd /workspace/build/app; /kaniko/executor --context=. --destination=${scene.nameOf('buildkite')} --digest-file=digest ${plain.join(' ')}; test -S /workspace/sockets || ls /workspace/build/app/hello`;
    for (const round of [1, 2]) {
      const { output } = await scene.succeed({
        image: scene.image,
        initContainers: [{ image: scene.debug, command: [shell, '-c', checkout], env: { DOCKERFILE: scene.dockerfile }, mounts }],
        command: [agent, 'sh', '-ec', command],
        env: { BUILDKITE: 'true' },
        volumes: { workspace: { kind: 'emptyDir' } },
        mounts,
      });
      assert.match(output, /^--- /m, `round ${round}`);
      assert.match(output, /hello/);
      await scene.pushed('buildkite');
    }
  });

  test('GitHub ARC and Gitea: a JavaScript action checks out by the node on PATH, run steps build, the digest is an output', async () => {
    const action = [
      "const { writeFileSync, appendFileSync, mkdirSync } = require('node:fs');",
      'const place = process.env.GITHUB_WORKSPACE;',
      'mkdirSync(place, { recursive: true });',
      'writeFileSync(`${place}/Dockerfile`, process.env.INPUT_DOCKERFILE);',
      "writeFileSync(`${place}/hello`, 'hello\\n');",
      "appendFileSync(process.env.GITHUB_OUTPUT, 'ref=main\\n');",
    ].join('\n');
    const step = `set -e; cd "$GITHUB_WORKSPACE"; /kaniko/executor --context . --destination ${scene.nameOf('actions')} ${plain.join(' ')}`;
    const pod = await startPod(scene.containerd, {
      image: scene.debug,
      command: ['tail', '-f', '/dev/null'],
      env: {
        GITHUB_ACTIONS: 'true',
        GITHUB_WORKSPACE: '/__w/app/app',
        GITHUB_OUTPUT: '/__w/_temp/output',
        GITHUB_STEP_SUMMARY: '/__w/_temp/summary',
        INPUT_DOCKERFILE: scene.dockerfile,
      },
      volumes: {
        work: { kind: 'emptyDir' },
        act: { kind: 'configMap', files: { 'index.js': action, '1.sh': step } },
      },
      mounts: [
        { path: '/__w', volume: 'work' },
        { path: '/var/run/act', volume: 'act' },
      ],
    });
    try {
      for (const round of [1, 2]) {
        const script = `mkdir -p /__w/_temp; : > $GITHUB_OUTPUT; : > $GITHUB_STEP_SUMMARY; node /var/run/act/index.js && sh -e /var/run/act/1.sh && cat $GITHUB_OUTPUT && wc -c < $GITHUB_STEP_SUMMARY`;
        const { status, output } = await pod.exec(['sh', '-c', script]);
        assert.equal(status, 0, output);
        assert.match(output, new RegExp(`ref=main\\ndigest=${await scene.pushed('actions')}\\nimage=`), `round ${round}`);
        assert.match(output, /::group::/);
      }
    } finally {
      await pod.stop(0);
      await pod.ended;
    }
  });

  test('Shipwright: its strategy wants an archive, with its capabilities, its home and dummies for AWS', async () => {
    const output = await mkdtemp(join(scene.folder, 'shipwright-'));
    const capabilities = { drop: ['ALL'], add: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID', 'SETFCAP', 'KILL'] };
    const words = ['--dockerfile', 'Dockerfile', '--context', '/workspace/source', '--destination', scene.nameOf('shipwright')];
    for (const round of [1, 2]) {
      await scene.succeed({
        image: scene.image,
        command: ['/kaniko/executor'],
        args: [
          ...words,
          '--snapshot-mode',
          'redo',
          '--no-push',
          '--tar-path',
          '/workspace/output-image/image.tar',
          '--ignore-path',
          '/product_uuid',
          ...plain,
        ],
        workingDir: '/workspace/source',
        env: { HOME: '/tekton/home', DOCKER_CONFIG: '/tekton/home/.docker', AWS_ACCESS_KEY_ID: 'NOT_SET', AWS_SECRET_KEY: 'NOT_SET' },
        securityContext: { runAsUser: 0, allowPrivilegeEscalation: false, capabilities, seccompProfile: 'RuntimeDefault' },
        volumes: {
          source: { kind: 'hostPath', path: await scene.context() },
          output: { kind: 'hostPath', path: output },
          home: { kind: 'emptyDir' },
        },
        mounts: [
          { path: '/workspace/source', volume: 'source' },
          { path: '/workspace/output-image', volume: 'output' },
          { path: '/tekton/home', volume: 'home' },
        ],
      });
      const archive = join(output, 'image.tar');
      assert.ok(existsSync(archive), `round ${round}`);
      const tags = await must(['skopeo', 'inspect', '--format={{.RepoTags}}', `docker-archive:${archive}`]);
      assert.ok((await readFile(archive)).length > 0 && tags.length > 0);
    }
  });
});
