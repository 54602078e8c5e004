// Several processes on one store, killed at any moment: nothing that has a name is lost, and a sweep finds all that is left.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readImage, writeImage } from '../../../src/oci/stored-image.ts';
import { findImage, listImages } from '../../../src/store/find-image.ts';
import { imageStore, listEntries, openStoreSink, openStoreSource } from '../../../src/store/image-store.ts';
import { removeWholeImage } from '../../../src/store/remove-images.ts';
import { sweepStore } from '../../../src/store/store-sweep.ts';
import { layerOf, platform, storedOf } from '../../support/image.ts';
import { randomFrom } from '../../support/random.ts';

const { signal } = new AbortController();
const probe = join(import.meta.dirname, '../../support/store-probe.ts');

async function startProbe(root: string, seed: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--no-warnings', probe, root, seed], { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.ok(child.stdout !== null);
  await once(child.stdout, 'data');
  return child;
}

test('100 processes that are killed while they change one store lose nothing, and leave nothing that a sweep does not find', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'yadokari-kills-'));
  const store = imageStore(folder);
  const kept = storedOf(layerOf(Buffer.alloc(200_000, 'shared by all')), layerOf(Buffer.alloc(1000, 'kept')));
  {
    await using sink = await openStoreSink(store, ['localhost/kept:latest'], signal);
    await writeImage(sink, kept, signal);
  }
  const random = randomFrom(11);
  // Two at a time, so that each is killed while another one works.
  const worker = async (seed: number): Promise<void> => {
    for (let round = 0; round < 50; round++) {
      const child = await startProbe(folder, `w${seed}-${round}`);
      const ended = once(child, 'exit');
      await sleep(random(120));
      assert.ok(child.kill('SIGKILL'));
      assert.deepEqual((await ended)[1], 'SIGKILL', 'it was at work');
      // What has a name is whole, whatever the other one does.
      await using source = await openStoreSource(store, (await findImage(store, 'kept', signal)).image, signal);
      for (const layer of (await readImage(source, platform, signal)).image.layers) await buffer(layer.open(signal));
    }
  };
  try {
    await Promise.all([worker(1), worker(2)]);
    assert.ok((await listEntries(store)).some(({ names }) => names.length > 0));
    for (const image of await listImages(store, signal)) {
      await using source = await openStoreSource(store, image, signal);
      for (const layer of (await readImage(source, platform, signal)).image.layers) await buffer(layer.open(signal));
      if (!image.names.includes('localhost/kept:latest')) await removeWholeImage(store, image, undefined, signal);
    }
    await sweepStore(store, () => undefined, signal);
    const files = (await readdir(store.layout, { recursive: true, withFileTypes: true })).filter((file) => file.isFile());
    const digests = [kept.manifest.digest, kept.config.descriptor.digest, ...kept.image.layers.map(({ descriptor }) => descriptor.digest)];
    assert.deepEqual(
      files.map(({ name }) => name).toSorted(),
      ['index.json', 'oci-layout', ...digests.map((digest) => digest.slice('sha256:'.length))].toSorted(),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
