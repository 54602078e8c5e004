// A pod that mounts a volume over /tmp, for its room: Dockerfiles copy archives there, unpack them in a RUN, and take them to another
// stage, and none of that is to change because of the volume.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chosenEngine } from '../support/engine.ts';
import { Scene, treeOf } from '../support/scene.ts';

let scene: Scene;

before(async () => {
  scene = await Scene.start();
});

after(() => scene?.stop());

const portrait = (folder: string): string =>
  execFileSync('find', ['.', '-printf', '%p %i %y %m %U %G %T@\\n'], { cwd: folder, encoding: 'utf8' });

async function emptyVolume(): Promise<string> {
  const volume = await scene.folder();
  chmodSync(volume, 0o777); // as the kubelet makes an emptyDir
  return volume;
}

test('an image works in an empty volume at /tmp as it does anywhere, and the volume is empty again', async () => {
  const volume = await emptyVolume();
  const portraitBefore = portrait(volume);
  const result = await scene.build({
    dockerfile: `FROM @REG@/base AS build
COPY f /tmp/f
WORKDIR /tmp/made
RUN cp /tmp/f here && ln here there && rm /tmp/f && stat -c %a /tmp
FROM @REG@/base
RUN test -z "$(ls /tmp)" && echo left > /tmp/left
COPY --from=build /tmp/made /made
RUN cat /made/there /tmp/left && find /tmp -type f | wc -l && rm -rf /tmp/* /tmp/.[!.]* /made/here
`,
    files: { f: 'content' },
    volumes: [`${volume}:/tmp`],
    args: ['--digest-file=/tmp/digest'],
  });
  const tree = treeOf(result);
  assert.match(result.output, /the image works in \/tmp, which is mounted and empty/);
  assert.match(result.output, /\| 1777$/m);
  assert.equal(tree.get('/made/there')?.size, 7);
  assert.deepEqual(
    [...tree.keys()].filter((path) => path.startsWith('/tmp/') || path === '/made/here'),
    [],
  );
  assert.equal(tree.get('/tmp')?.mode, 0o1777);
  assert.deepEqual(readdirSync(volume), ['digest']);
  execFileSync('rm', [join(volume, 'digest')]);
  const ownTimes = (text: string): string => text.replace(/ [\d.]+$/gm, '');
  assert.equal(ownTimes(portrait(volume)), ownTimes(portraitBefore));
});

test('RUN --mount covers such a volume, the context’s place where the image works, and /run with the token of every pod', async () => {
  const volume = await emptyVolume();
  const result = await scene.build({
    pod: 'kubernetes',
    dockerfile: `FROM @REG@/base
WORKDIR /workspace
RUN echo own > own && echo own > /tmp/own && echo own > /run/own
RUN --mount=type=tmpfs,target=/tmp --mount=type=tmpfs,target=/run --mount=target=. \
 cat f && test ! -e own && test ! -e /tmp/own && test ! -e /run/own && cat /run/secrets/kubernetes.io/serviceaccount/namespace \
 && rm -rf /tmp/.[!.]* && touch /tmp/left /run/left
RUN cat own /tmp/own /run/own && test ! -e f && test ! -e /tmp/left && test ! -e /run/left
`,
    files: { f: 'content' },
    volumes: [`${volume}:/tmp`],
  });
  const tree = treeOf(result);
  assert.deepEqual(
    ['/workspace/own', '/tmp/own', '/run/own', '/workspace/f', '/tmp/left', '/run/left'].map((path) => tree.get(path)?.size),
    [4, 4, 4, undefined, undefined, undefined],
  );
  assert.deepEqual(readdirSync(volume), []);
});

const isPods = chosenEngine() === 'pods';
test(
  'a RUN that leaves such a volume full ends the build by naming it',
  { skip: isPods && 'the mount is told in the words of podman' },
  async () => {
    const result = await scene.build({
      dockerfile: 'FROM @REG@/base\nRUN dd if=/dev/zero of=/tmp/big bs=64k; true\n',
      extra: ['--mount=type=tmpfs,destination=/tmp,tmpfs-size=2m'],
    });
    assert.equal(result.status, 1, result.output);
    assert.match(result.output, /^error: Cannot write in \/tmp, which the image works in: no space left on device$/m);
  },
);

test('what a killed build left in such a volume is gone with the next one', async () => {
  const volume = await emptyVolume();
  const portraitBefore = portrait(volume);
  const volumes = [`${volume}:/tmp`];
  const asleep = Promise.withResolvers<void>();
  const onOutput = (text: string): void => (text.includes('asleep') ? asleep.resolve() : undefined);
  const dockerfile = 'FROM @REG@/base\nRUN echo made > /tmp/made && echo aslee""p && sleep 300\n';
  const run = await scene.start({ dockerfile, volumes }, { onOutput });
  await Promise.race([asleep.promise, run.ended]);
  await run.kill('SIGKILL');
  await run.ended;
  assert.notDeepEqual(readdirSync(volume), []);
  const again = await scene.build({ dockerfile: 'FROM @REG@/base\nRUN ls /tmp > /list\n', volumes });
  assert.equal(treeOf(again).get('/list')?.size, 0, again.output);
  assert.equal(portrait(volume), portraitBefore);
});

test('a volume with files at /tmp is left alone, and what RUN can’t see is said', async () => {
  const volume = await emptyVolume();
  writeFileSync(join(volume, 'somebody’s'), '');
  const portraitBefore = portrait(volume);
  const result = await scene.build({
    dockerfile: 'FROM @REG@/base\nCOPY f /tmp/f\nRUN ls /tmp\n',
    files: { f: 'f' },
    volumes: [`${volume}:/tmp`],
  });
  assert.ok(treeOf(result).has('/tmp/f'), result.output);
  assert.match(result.output, /RUN can't see the image's \/tmp: /);
  assert.equal(portrait(volume), portraitBefore);
});
