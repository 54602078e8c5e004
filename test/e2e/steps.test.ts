// `yadokari steps` in a plain pod: no engine, no store, no right to make containers; the source is what is mounted at /workspace.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readRegistryImage } from '../support/registry-image.ts';
import { Scene } from '../support/scene.ts';

let scene: Scene;
before(async () => {
  scene = await Scene.start();
});
after(async () => {
  await scene?.stop();
});

const files = (host: string): Readonly<Record<string, string>> => ({
  'cloudbuild.yaml': `steps:
  - id: prepare
    name: ${host}/base
    dir: web
    env: ['TEXT=$_TEXT', 'BYTE=a"b $$HOME']
    volumes: [{ name: kept, path: /kept }]
    script: |
      echo "$TEXT $BYTE" > out
      echo kept > /kept/note
      echo noted > $HOME/note
      pwd > place
  - name: gcr.io/cloud-builders/docker
    args: [build, -t, '${host}/app:$_TAG', --network=cloudbuild, -f, /workspace/web/Dockerfile, web]
  - name: gcr.io/kaniko-project/executor:latest
    args: [--dockerfile=web/Dockerfile, '--context=dir:///workspace/web', '--destination=${host}/kaniko:$_TAG', --cache=true]
  - name: '${host}/app:$_TAG'
    entrypoint: sh
    args: [-c, 'cat /out /kept/note $$HOME/note > result; exit 4']
    volumes: [{ name: kept, path: /kept }]
    allowFailure: true
substitutions: { _TEXT: hello, _TAG: '1.10' }
images: ['${host}/app:$_TAG']
`,
  'web/Dockerfile': `FROM ${host}/base\nCOPY out /out\nRUN test "$(cat /out)" && echo ran > /ran\n`,
});

for (const mounted of ['/workspace', '/builds/team/app'])
  test(`a Cloud Build file with builds, scripts and volumes, its source at ${mounted}`, async () => {
    const { host } = scene.registry;
    const folder = await scene.folder(files(host));
    const result = await scene.run({
      args: ['steps', `--insecure-registry=${host}`, mounted],
      volumes: [`${folder}:${mounted}`],
    });
    assert.equal(result.status, 0, result.output);
    const text = async (name: string): Promise<string> => await readFile(join(folder, name), 'utf8');
    assert.equal(await text('web/out'), 'hello a"b $HOME\n');
    assert.equal(await text('web/place'), `${mounted}/web\n`);
    assert.equal(await text('result'), 'hello a"b $HOME\nkept\nnoted\n');
    for (const name of ['app', 'kaniko']) {
      const image = await readRegistryImage(host, name, '1.10');
      assert.ok(image?.flattened.tree.has('/ran') || image?.flattened.tree.has('ran'), `${name}: ${result.output}`);
    }
  });

test('a step of an image needs a volume to work in, and a failing one ends the rest', async () => {
  const { host } = scene.registry;
  const folder = await scene.folder({
    'acr-task.yaml': `version: v1.1.0\nsteps:\n  - cmd: ${host}/base sh -c 'exit 9'\n  - push: [app]\n`,
  });
  const args = [`--insecure-registry=${host}`, '--registry', host];
  const failed = await scene.run({ args: ['acr', 'run', ...args, '/workspace'], volumes: [`${folder}:/workspace`] });
  assert.equal(failed.status, 9, failed.output);
  assert.match(failed.output, /error: step #0 \(\/workspace\/acr-task\.yaml:3\) failed with status 9; not done: #1/);
  const inRoot = await scene.run({ args: ['steps', ...args, '--file=/task/acr-task.yaml', '/kaniko'], volumes: [`${folder}:/task`] });
  assert.match(inRoot.output, /Cannot run .*\/base in \/kaniko: the folder is a part of this container's own root/);
});
