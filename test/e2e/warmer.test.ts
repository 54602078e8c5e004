// The warmer as kaniko's users have it: its own program in the builder's image, many of them on one volume, read by builds.
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { CommandResult } from '../support/command.ts';
import { Scene } from '../support/scene.ts';

let scene: Scene;
before(async () => {
  scene = await Scene.start();
});
after(async () => {
  await scene.stop();
});

/** Warms the volume. */
async function warm(volume: string, args: readonly string[], context?: string): Promise<CommandResult> {
  const command = ['--insecure-pull', ...args];
  const container = {
    image: scene.builder,
    entrypoint: '/kaniko/warmer',
    command,
    volumes: [`${volume}:/cache`, ...(context === undefined ? [] : [`${context}:/workspace:ro`])],
  };
  return await (
    await scene.engine.start(container)
  ).ended;
}

test('three warmers fill one volume at once, and a build takes its base from it, read-only', async () => {
  const volume = await scene.folder();
  const name = `${scene.registry.host}/base:latest`;
  const context = await scene.folder({ Dockerfile: `ARG NAME\nFROM $NAME AS unused\nFROM ${name}\n` });
  const runs = await Promise.all([
    warm(volume, [`--image=${name}`]),
    warm(volume, ['-i', name, '--image', `${scene.registry.host}/none:1`, '-c', '/cache']),
    warm(volume, ['-i', name, '--force', '--customPlatform=linux/amd64', '--cache-ttl=6h', '--verbosity=debug']),
  ]);
  for (const { status, output } of runs) assert.equal(status, 0, output);
  assert.match(runs[1]?.output ?? '', /warning: .*none:1: there is no such image\n1 of 2 images are in \/cache/);
  const [found] = readdirSync(volume).filter((each) => each.startsWith('sha256:'));
  assert.ok(found !== undefined);
  const dockerfile = 'FROM @REG@/base:latest\nRUN echo 1 > /a\nRUN cat /a > /b\n';
  const args = ['--build-arg=SOURCE_DATE_EPOCH=1600000000'];
  const plain = await scene.build({ dockerfile, args });
  assert.match(plain.output, /^pulled /m);
  const warmed = await scene.build({ dockerfile, args: [...args, '--cache-dir=/cache'], volumes: [`${volume}:/cache:ro`] });
  assert.equal(warmed.status, 0, warmed.output);
  assert.match(warmed.output, /base:latest is in \/cache$/m);
  assert.doesNotMatch(warmed.output, /^(?:pulled |warning: \/cache)/m);
  assert.equal(warmed.image?.digest, plain.image?.digest);

  const blobs = join(volume, found, 'blobs/sha256');
  for (const blob of readdirSync(blobs)) writeFileSync(join(blobs, blob), 'spoiled');
  const spoiled = await scene.build({ dockerfile, args: [...args, '--cache-dir=/cache'], volumes: [`${volume}:/cache:ro`] });
  assert.deepEqual([spoiled.status, spoiled.image?.digest], [0, plain.image?.digest], spoiled.output);
  assert.match(spoiled.output, /^warning: \/cache\/sha256:.* is not used as it is: /m);
  const mended = await warm(volume, ['-d', '/workspace/Dockerfile', '--build-arg', `NAME=${name}`], context);
  assert.deepEqual([mended.status, /now in \/cache as sha256:/.test(mended.output)], [0, true], mended.output);
  const again = await scene.build({ dockerfile, args: [...args, '--cache-dir=/cache'], volumes: [`${volume}:/cache:ro`] });
  assert.doesNotMatch(again.output, /^(?:pulled |warning: \/cache)/m);
});

test('a warmer that can keep nothing fails', async () => {
  const volume = await scene.folder();
  const { status, output } = await warm(volume, [`-i=${scene.registry.host}/none:1`]);
  assert.deepEqual([status === 0, /^error: Cannot pull .*none:1: there is no such image\n {2}try: /m.test(output)], [false, true], output);
});
