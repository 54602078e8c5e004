// A process that works with a store until it is killed: `node store-probe.ts ROOT SEED`. Says "ready" once it does.
import { setTimeout as sleep } from 'node:timers/promises';
import { writeImage } from '../../src/oci/stored-image.ts';
import { findImageIfAny } from '../../src/store/find-image.ts';
import { addNames, imageStore, openStoreSink } from '../../src/store/image-store.ts';
import { removeImage, removeWholeImage, unusedImages } from '../../src/store/remove-images.ts';
import { sweepStore } from '../../src/store/store-sweep.ts';
import { layerOf, storedOf } from './image.ts';

const [root = '', seed = '0'] = process.argv.slice(2);
const store = imageStore(root);
const { signal } = new AbortController();
const shared = layerOf(Buffer.alloc(200_000, 'shared by all'));

/** Adds an image, names it, moves the name on to another one, removes both, and sweeps; others do the same meanwhile. */
async function round(number: number): Promise<void> {
  const name = `localhost/${seed}:${number}`;
  const one = storedOf(shared, layerOf(Buffer.alloc(300_000, `${seed} ${number} one`)));
  const two = storedOf(shared, layerOf(Buffer.alloc(100_000, `${seed} ${number} two`)));
  for (const image of [one, two]) {
    await using sink = await openStoreSink(store, [name], signal);
    await writeImage(sink, image, signal);
  }
  await addNames(store, two.manifest.digest, [`${name}-more`], signal);
  for (const text of [name, `${name}-more`])
    if ((await findImageIfAny(store, text, signal)) !== undefined) await removeImage(store, text, undefined, signal);
  for (const image of await unusedImages(store, false, signal)) await removeWholeImage(store, image, undefined, signal);
  await sweepStore(store, undefined, signal);
}

process.stdout.write('ready\n');
for (let number = 0; ; number++) {
  await round(number);
  await sleep(1);
}
