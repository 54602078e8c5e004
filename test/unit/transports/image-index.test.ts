// Indexes that are made of images: what goes in, in which order and bytes, and what is refused; and waiting for them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuilderError } from '../../../src/errors.ts';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { parsePlatform } from '../../../src/oci/platform.ts';
import { type Patience, awaitAll } from '../../../src/transports/await-places.ts';
import { type IndexImage, makeIndex, readIndexImages } from '../../../src/transports/image-index.ts';
import { type ImageMemory, imageMemory } from '../../support/image-memory.ts';

const { signal } = new AbortController();
const host = parsePlatform('linux/amd64', { os: 'linux', architecture: 'amd64' });
const none = { annotations: new Map<string, string>() };
const all = { annotations: new Map<string, string>(), platforms: [] };

interface Shape {
  readonly platform: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly isDocker?: boolean;
}

/** An image without layers. */
function keepImage(memory: ImageMemory, { platform, annotations, isDocker = false }: Shape): Descriptor {
  const { os, architecture, variant } = parsePlatform(platform, host);
  const text = JSON.stringify({ architecture, os, variant, rootfs: { type: 'layers', diff_ids: [] } });
  const config = memory.keep(text, isDocker ? MediaType.dockerConfig : MediaType.ociConfig);
  const mediaType = isDocker ? MediaType.dockerManifest : MediaType.ociManifest;
  return memory.keep(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [], annotations }), mediaType);
}

function keepIndex(memory: ImageMemory, manifests: readonly Descriptor[]): Descriptor {
  const entries = manifests.map(({ annotations, ...entry }) => ({ ...entry, annotations: Object.fromEntries(annotations ?? []) }));
  return memory.keep(JSON.stringify({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: entries }), MediaType.ociIndex);
}

async function imagesOf(memory: ImageMemory, roots: readonly Descriptor[]): Promise<readonly IndexImage[]> {
  return (await Promise.all(roots.map(async (root) => await readIndexImages(memory.source(root), none, signal)))).flat();
}

test('makeIndex() names images in their order with the platforms of their configs, and the same images give the same bytes', async () => {
  const memory = imageMemory();
  const images = await imagesOf(memory, [keepImage(memory, { platform: 'linux/arm64' }), keepImage(memory, { platform: 'linux/arm/v7' })]);
  const made = makeIndex(images, { ...all, annotations: new Map([['build-id', '42']]) });
  assert.deepEqual(JSON.parse(made.index.bytes.toString()), {
    schemaVersion: 2,
    mediaType: MediaType.ociIndex,
    manifests: images.map(({ manifest: { mediaType, digest, bytes } }, position) => ({
      mediaType,
      digest,
      size: bytes.length,
      platform: position === 0 ? { architecture: 'arm64', os: 'linux' } : { architecture: 'arm', os: 'linux', variant: 'v7' },
    })),
    annotations: { 'build-id': '42' },
  });
  assert.equal(makeIndex(images, all).index.digest, makeIndex([...images], all).index.digest);
});

test("makeIndex() writes Docker's list where all images are Docker's, and an OCI index where one is not", async () => {
  const memory = imageMemory();
  const docker = ['amd64', 'arm64'].map((name) => keepImage(memory, { platform: `linux/${name}`, isDocker: true }));
  assert.equal(makeIndex(await imagesOf(memory, docker), all).index.mediaType, MediaType.dockerList);
  const mixed = [...docker, keepImage(memory, { platform: 'linux/s390x' })];
  assert.equal(makeIndex(await imagesOf(memory, mixed), all).index.mediaType, MediaType.ociIndex);
});

test('an index among the sources is flattened, nested ones too; attestations go with their image alone', async () => {
  const memory = imageMemory();
  const [amd, arm] = ['linux/amd64', 'linux/arm64'].map((platform) => keepImage(memory, { platform }));
  assert.ok(amd !== undefined && arm !== undefined);
  const about = (image: Descriptor): Descriptor => ({
    ...memory.keep(
      JSON.stringify({ schemaVersion: 2, config: amd, layers: [], annotations: { about: image.digest } }),
      MediaType.ociManifest,
    ),
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: new Map([['vnd.docker.reference.digest', image.digest]]),
  });
  const inner = keepIndex(memory, [{ ...arm, platform: { os: 'linux', architecture: 'arm64' } }, about(arm)]);
  const outer = keepIndex(memory, [{ ...amd, platform: { os: 'linux', architecture: 'amd64' } }, about(amd), inner]);
  const images = await imagesOf(memory, [outer]);
  assert.deepEqual(
    makeIndex(images, all).images.map(({ descriptor }) => descriptor.platform?.architecture),
    ['amd64', 'unknown', 'arm64', 'unknown'],
  );
  const wanted = makeIndex(images, { ...all, platforms: [parsePlatform('linux/arm64', host)] });
  assert.deepEqual(
    wanted.images.map(({ descriptor }) => descriptor.digest),
    [arm.digest, about(arm).digest],
  );
});

test('two images for one platform, a platform that nobody has, and another annotation are refused by name', async () => {
  const memory = imageMemory();
  const first = keepImage(memory, { platform: 'linux/arm64', annotations: { 'build-id': '41' } });
  const second = keepImage(memory, { platform: 'linux/arm64/v8', annotations: { 'build-id': '42' } });
  const images = await imagesOf(memory, [first, second]);
  assert.throws(() => makeIndex(images, all), /memory@sha256:\w+ and memory@sha256:\w+ are both for linux\/arm64/);
  const wish = { ...all, platforms: [parsePlatform('linux/s390x', host)] };
  assert.throws(() => makeIndex(images.slice(0, 1), wish), /Cannot make the index for linux\/s390x: no image is for that/);
  const wanted = { annotations: new Map([['build-id', '42']]) };
  await assert.rejects(readIndexImages(memory.source(first), wanted, signal), /its build-id is "41", not "42"/);
  assert.equal((await readIndexImages(memory.source(second), wanted, signal)).length, 1);
  const named = { ...none, platform: parsePlatform('linux/riscv64', host) };
  const [renamed] = await readIndexImages(memory.source(first), named, signal);
  assert.equal(renamed?.descriptor.platform?.architecture, 'riscv64');
});

/** A clock that only sleeping moves, and what was told. */
function patience(waitMs: number): Patience & { readonly told: string[]; readonly pauses: number[] } {
  let time = 0;
  const [told, pauses]: [string[], number[]] = [[], []];
  return {
    waitMs,
    waitText: `${waitMs}ms`,
    now: () => time,
    sleep: async (durationMs) => {
      pauses.push(durationMs);
      time += durationMs;
      await Promise.resolve();
    },
    emit: (event) => void (event.kind === 'note' && told.push(event.message)),
    told,
    pauses,
  };
}

const missing = new BuilderError('ERR_REGISTRY', 'Cannot pull a: there is no such image');

test('awaitAll() looks for what is missing only, less and less often, and tells what it waits for when that changes', async () => {
  const world = patience(60_000);
  let [looks, tries] = [0, 0];
  const found = await awaitAll(
    [
      { name: 'a', look: async () => (++tries < 5 ? Promise.reject(missing) : Promise.resolve('A')) },
      { name: 'b', look: async () => (++looks, await Promise.resolve('B')) },
    ],
    world,
    signal,
  );
  assert.deepEqual([found, looks], [['A', 'B'], 1]);
  assert.deepEqual(world.pauses, [1000, 1500, 2250, 3375]);
  assert.deepEqual(world.told, ['waiting up to 60000ms for 1 of 2 images: Cannot pull a: there is no such image', 'found a']);
});

test('awaitAll() gives up at the deadline with what was the matter, and at once without --wait or for what no time heals', async () => {
  const never = { name: 'a', look: async () => await Promise.reject(missing) };
  const world = patience(10_000);
  await assert.rejects(awaitAll([never], world, signal), /after 10000ms still waiting for Cannot pull a: there is no such image/);
  assert.equal(
    world.pauses.reduce((sum, pause) => sum + pause),
    10_000,
  );
  await assert.rejects(awaitAll([never], patience(0), signal), missing);
  const wrong = new BuilderError('ERR_UNSUPPORTED', 'Cannot use a: it is no image');
  await assert.rejects(awaitAll([{ name: 'a', look: async () => await Promise.reject(wrong) }], patience(10_000), signal), wrong);
});
