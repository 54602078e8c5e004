// `yadokari steps` on a machine, by real command lines, as root and as an ordinary user: builds, commands of images that share a folder,
// and pushes to a registry.
import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type RunningRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { readRegistryImage } from '../../support/registry-image.ts';
import { openContainerBench, whyNoContainers } from '../../support/working-containers.ts';

for (const caller of ['root', 'user'] as const) {
  const skip = whyNoContainers(caller);
  const bench = skip === false ? await openContainerBench(caller) : undefined;
  suite(`steps of ${caller === 'root' ? 'root' : 'an ordinary user'}`, { skip }, () => {
    if (bench === undefined) return;
    const { folder, run } = bench;
    let registry: RunningRegistry;
    before(async () => {
      registry = await startDockerRegistry();
    });
    after(async () => {
      await registry.stop();
      bench[Symbol.dispose]();
    });

    /** A folder with these files, whose owner is the caller. */
    const source = (name: string, files: Readonly<Record<string, string>>): string => {
      const path = join(folder, name);
      for (const [file, text] of Object.entries(files)) {
        mkdirSync(dirname(join(path, file)), { recursive: true });
        writeFileSync(join(path, file), text.replaceAll('@REG@', registry.host));
        const { uid, gid } = statSync(folder);
        for (const each of [path, dirname(join(path, file)), join(path, file)]) chownSync(each, uid, gid);
      }
      return path;
    };

    test('a Cloud Build file: what a script leaves in /workspace is built, pushed, and seen by later steps', async () => {
      const app = source('app', {
        'cloudbuild.yaml': `steps:
  - id: prepare
    name: busybox
    dir: web
    env: ['TEXT=$_TEXT', 'BYTE=a"b $$HOME']
    script: |
      echo "$TEXT $BYTE" > out
      echo kept > $HOME/note
  - name: gcr.io/cloud-builders/docker
    args: [build, -t, '@REG@/app:$SHORT_SHA', '--build-arg=A=\${_TEXT^^}', web]
  - id: lint
    name: busybox
    entrypoint: sh
    args: [-c, 'exit 3']
    allowExitCodes: [3]
  - name: gcr.io/cloud-builders/docker
    entrypoint: bash
    args: [-c, 'docker pull @REG@/none:latest || true && docker tag @REG@/app:$SHORT_SHA @REG@/app:latest']
  - name: '@REG@/app:$SHORT_SHA'
    args: [sh, -c, 'cat /out "$$HOME/note" > result']
substitutions: { _TEXT: hello }
images: ['@REG@/app:$SHORT_SHA', '@REG@/app']
`,
        'web/Dockerfile': 'FROM busybox\nARG A\nENV A=$A\nCOPY out /out\n',
      });
      const { status, stderr } = run('steps', '--substitutions=COMMIT_SHA=0123456789', app);
      assert.equal(status, 0, stderr);
      assert.equal(readFileSync(join(app, 'web/out'), 'utf8'), 'hello a"b $HOME\n');
      assert.equal(readFileSync(join(app, 'result'), 'utf8'), 'hello a"b $HOME\nkept\n');
      assert.equal(statSync(join(app, 'result')).uid, statSync(folder).uid);
      assert.match(stderr, /step lint failed with status 3, as it may/);
      for (const tag of ['0123456', 'latest']) {
        const image = await readRegistryImage(registry.host, 'app', tag);
        assert.ok(JSON.stringify(image?.config).includes('"A=HELLO"'), tag);
      }
    });

    test('an ACR task: steps in the order of when, again where they failed, and names without a registry are its', async () => {
      const task = source('task', {
        'acr-task.yaml': `version: v1.1.0
steps:
  - id: push
    push: ['made:{{.Run.ID}}']
    when: [check]
  - id: make
    build: -t made:$ID --build-arg "WORDS=two words" .
    when: ['-']
  - id: check
    cmd: made:$ID sh -c 'echo "$WORDS" >> seen; test $(cat seen | dd bs=1 2>/dev/null | sh -c "n=0; while read x; do n=\\$((n+1)); done; echo \\$n") = 2'
    env: [MORE={{.Values.more}}]
    when: [make]
    retries: 1
    retryDelay: 1
`,
        Dockerfile: 'FROM busybox\nARG WORDS\nENV WORDS=$WORDS\n',
      });
      const { status, stderr } = run('acr', 'run', `--registry=${registry.host}`, '--id=r1', '--set=more=x', task);
      assert.equal(status, 0, stderr);
      assert.equal(readFileSync(join(task, 'seen'), 'utf8'), 'two words\ntwo words\n');
      assert.ok((await readRegistryImage(registry.host, 'made', 'r1')) !== undefined);
    });

    test('the first step that fails ends it with its status, and so does the end of its time; containers are gone', () => {
      const broken = source('broken', {
        'cloudbuild.json': JSON.stringify({
          steps: [
            { name: 'busybox', args: ['sh', '-c', 'exit 7'] },
            { name: 'busybox', id: 'never' },
          ],
        }),
        'slow.yaml': 'steps:\n  - name: busybox\n    args: [sleep, "60"]\n    timeout: 1s\n',
      });
      const { status, stderr } = run('steps', broken);
      assert.equal(status, 7, stderr);
      assert.match(stderr, /error: step #0 \(.*cloudbuild\.json:1\) failed with status 7; not done: never\n$/);
      const slow = run('steps', '-f', 'slow.yaml', broken);
      assert.equal(slow.status, 124, slow.stderr);
      assert.match(slow.stderr, /step #0 took longer than its timeout of 1 s/);
      assert.equal(run('containers', '-q').stdout, '');
    });
  });
}
