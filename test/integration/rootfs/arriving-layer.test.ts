// A base that is unpacked while it arrives: what of it is on disk before it is verified, and what becomes of that when it is not.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createBaseImages } from '../../../src/build/base-images.ts';
import { BuilderError } from '../../../src/errors.ts';
import { type Layer, appendLayer } from '../../../src/oci/image.ts';
import type { StageFiles } from '../../../src/rootfs/stage-files.ts';
import { scratchImage } from '../../../src/build/start-image.ts';
import { randomFrom } from '../../support/random.ts';
import { StageBench } from '../../support/stage-bench.ts';
import { type TarOptions, bytes } from '../../support/tar.ts';
import { temporaryFolder } from '../../support/tree.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root to give files their owners';
const platform = { os: 'linux', architecture: 'amd64' };
const random = randomFrom(3);
const noise = Buffer.from(Array.from({ length: 3_000_000 }, () => random(256))).toString('latin1');

const right: readonly TarOptions[] = [
  { path: 'first', content: 'first' },
  { path: 'etc', type: '5' },
  { path: 'noise', content: noise },
  { path: 'etc/passwd', content: 'right' },
];
const spoiled: readonly TarOptions[] = [
  { path: 'evil', content: 'evil' },
  { path: 'etc', type: '2', link: 'evil' },
  { path: 'noise', content: noise },
  { path: 'last', content: 'last' },
];

/** What one download of the layer gives: its bytes, `wait` before the last of them, and an error at the end. */
interface Download {
  readonly entries: readonly TarOptions[];
  readonly wait?: Promise<unknown>;
  readonly failure?: BuilderError;
}

/** A stage on a base of one layer, `right` in its config and `described` in its manifest, which comes as the downloads say. */
async function stageOf(
  context: TestContext,
  downloads: readonly Download[],
  retries = 0,
  described = right,
): Promise<{ readonly bench: StageBench; readonly files: StageFiles }> {
  const bench = new StageBench(temporaryFolder(context));
  context.after(() => bench[Symbol.asyncDispose]());
  const { diffId } = await (await bench.layer('right', right)).layer();
  const { descriptor } = await (await bench.layer('described', described)).layer();
  const contents = await Promise.all(
    downloads.map(async ({ entries }) => await buffer((await (await bench.layer('sent', entries)).layer()).open(bench.signal))),
  );
  let next = 0;
  const open: Layer['open'] = () => {
    const number = next++;
    const send = async function* (): AsyncGenerator<Buffer> {
      const content = contents[number] ?? assert.fail('it was downloaded once too often');
      const half = Math.floor(content.length * 0.9);
      yield content.subarray(0, half);
      await downloads[number]?.wait;
      yield content.subarray(half);
      if (downloads[number]?.failure !== undefined) throw downloads[number].failure;
    };
    return Readable.from(send(), { objectMode: false });
  };
  const scratch = scratchImage(platform, { imageFormat: 'oci' });
  const image = appendLayer(scratch, { descriptor, diffId, open }, { createdBy: 'test' });
  const bases = createBaseImages({
    resolve: async () => await Promise.resolve(image),
    store: bench.store,
    retries,
    emit: (event) => bench.events.push(event),
    signal: bench.signal,
  });
  const { layers } = await bases.fetch('base', platform, true);
  return { bench, files: bench.stage(layers) };
}

const mismatch = new BuilderError('ERR_DIGEST_MISMATCH', 'Cannot use blob x: its bytes have another digest');

test('files are made while the layer arrives, and a RUN waits for its end', { skip }, async (context) => {
  const rest = Promise.withResolvers<void>();
  const { bench, files } = await stageOf(context, [{ entries: right, wait: rest.promise }]);
  let isReady = false;
  const preparing = files.prepareRun().then(() => (isReady = true));
  while (!existsSync(join(bench.rootFolder, 'first'))) await sleep(5);
  await sleep(50);
  assert.deepEqual([isReady, existsSync(join(bench.rootFolder, 'etc/passwd'))], [false, false]);
  rest.resolve();
  await preparing;
  assert.deepEqual(readdirSync(bench.rootFolder).sort(), ['etc', 'first', 'noise']);
});

for (const [what, retries, failure] of [
  ['has another digest', 0, mismatch],
  ['breaks off, and more tries were asked for', 1, new BuilderError('ERR_REGISTRY', 'Cannot pull blob x: it broke off')],
] as const) {
  test(`nothing is left of a layer that ${what}: it is unpacked anew`, { skip }, async (context) => {
    const { bench, files } = await stageOf(context, [{ entries: spoiled, failure }, { entries: right }], retries);
    await files.prepareRun();
    assert.deepEqual(readdirSync(bench.rootFolder).sort(), ['etc', 'first', 'noise']);
    const view = await files.view();
    assert.deepEqual(view.names(bytes('.')), ['etc', 'first', 'noise']);
    const passwd = view.open(bytes('etc/passwd'));
    assert.equal(Buffer.concat(await Array.fromAsync(passwd.chunks)).toString(), 'right');
    assert.match(bench.warnings.join(), /; pulling base again \(1 of 1\)$/);
  });

  test(`headers are read anew of a layer that ${what}`, async (context) => {
    const { files } = await stageOf(context, [{ entries: spoiled, failure }, { entries: right }], retries);
    const view = await files.view();
    assert.deepEqual(view.names(bytes('.')), ['etc', 'first', 'noise']);
  });
}

test('a layer that is never right fails as its download does, and the root is empty', { skip }, async (context) => {
  // What comes is not even an archive to its end.
  const cut = { entries: [...spoiled, { path: 'x', type: '1', link: 'nowhere' }], failure: mismatch };
  const { bench, files } = await stageOf(context, [cut, cut]);
  await assert.rejects(files.prepareRun(), {
    code: 'ERR_DIGEST_MISMATCH',
    message: 'Cannot pull base: Cannot use blob x: its bytes have another digest',
  });
  assert.deepEqual(readdirSync(bench.rootFolder), []);
});

test('a layer that is another than its diff_id says is downloaded once, and the root is empty', { skip }, async (context) => {
  const { bench, files } = await stageOf(context, [{ entries: spoiled }], 0, spoiled);
  await assert.rejects(files.prepareRun(), {
    code: 'ERR_DIGEST_MISMATCH',
    message: /^Cannot unpack layer 1 of 1 \(sha256:\w+\): Cannot use/,
  });
  assert.deepEqual(readdirSync(bench.rootFolder), []);
});
