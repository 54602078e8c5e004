import assert from 'node:assert/strict';
import { mkdir, mkdtempDisposable, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { readImage, type StoredImage, writeImage } from '../../../src/oci/stored-image.ts';
import { findImage, findImageIfAny, listImages } from '../../../src/store/find-image.ts';
import { chooseName, localName, splitName } from '../../../src/store/image-names.ts';
import {
  type ImageStore,
  addNames,
  holdStore,
  imageStore,
  listEntries,
  openStoreSink,
  openStoreSource,
  removeNames,
} from '../../../src/store/image-store.ts';
import { removeImage, unusedImages } from '../../../src/store/remove-images.ts';
import { readPins, sweepStore } from '../../../src/store/store-sweep.ts';
import { layerOf, someBytes, storedOf } from '../../support/image.ts';

const { signal } = new AbortController();

async function place(): Promise<ImageStore & AsyncDisposable> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'yadokari-store-'));
  return { ...imageStore(join(folder.path, 'store')), [Symbol.asyncDispose]: async () => await folder.remove() };
}

async function add(store: ImageStore, image: StoredImage, ...names: readonly string[]): Promise<StoredImage> {
  await using sink = await openStoreSink(store, names, signal);
  await writeImage(sink, image, signal);
  return image;
}

async function shown(store: ImageStore): Promise<readonly string[]> {
  return (await listEntries(store)).map(({ descriptor, names }) => `${descriptor.digest.slice(7, 11)} ${names.join(' ')}`.trim());
}

/** What the layout has besides the blobs of these images. */
async function strays(store: ImageStore, ...images: readonly StoredImage[]): Promise<readonly string[]> {
  const named = images.flatMap(({ manifest, config, image }) => [
    manifest.digest,
    config.descriptor.digest,
    ...image.layers.map(({ descriptor }) => descriptor.digest),
  ]);
  const files = await readdir(store.layout, { recursive: true, withFileTypes: true });
  return files
    .filter((file) => file.isFile() && !named.includes(`sha256:${file.name}`))
    .map(({ name }) => name)
    .filter((name) => !['index.json', 'oci-layout'].includes(name));
}

const image = (): StoredImage => storedOf(layerOf(someBytes(1000)));
const short = ({ manifest }: StoredImage): string => manifest.digest.slice(7, 11);

const names: readonly (readonly [text: string, name: string])[] = [
  ['app', 'localhost/app:latest'],
  ['team/app:1', 'localhost/team/app:1'],
  ['docker.io/app', 'docker.io/library/app:latest'],
  ['registry:5000/app:2', 'registry:5000/app:2'],
];
for (const [text, name] of names) test(`localName(${text}) is ${name}`, () => assert.equal(localName(text), name));

const choices: readonly (readonly [text: string, there: readonly string[], chosen: string | undefined])[] = [
  ['app', ['docker.io/library/app:latest', 'localhost/app:latest'], 'localhost/app:latest'],
  ['app:1', ['docker.io/library/app:latest', 'docker.io/library/app:1'], 'docker.io/library/app:1'],
  ['app', ['quay.io/team/app:latest'], 'quay.io/team/app:latest'],
  ['team/app', ['quay.io/team/app:latest'], 'quay.io/team/app:latest'],
  ['pp', ['quay.io/team/app:latest'], undefined],
  ['quay.io/app', ['quay.io/team/app:latest'], undefined],
];
for (const [text, there, chosen] of choices)
  test(`chooseName(${text}) of ${there.join(' and ')} is ${chosen ?? 'none'}`, () => assert.equal(chooseName(text, there), chosen));

test('chooseName() refuses a short name that may be several', () => {
  assert.throws(() => chooseName('app', ['a.io/app:latest', 'b.io/app:latest']), /may be a\.io\/app:latest, b\.io\/app:latest/);
});

test('splitName() keeps the port, and has no tag for a digest', () => {
  assert.deepEqual(splitName('registry:5000/app:2'), { repository: 'registry:5000/app', tag: '2' });
  assert.deepEqual(splitName(`docker.io/library/app@sha256:${'a'.repeat(64)}`), { repository: 'docker.io/library/app', tag: '<none>' });
  assert.deepEqual(splitName(undefined), { repository: '<none>', tag: '<none>' });
});

test('an image is found by name, short name, id, manifest digest, and the beginning of either', async () => {
  await using store = await place();
  const { manifest, config } = await add(store, image(), 'docker.io/library/app:1');
  await add(store, image(), 'localhost/other:latest');
  const id = config.descriptor.digest;
  const repository = `docker.io/library/app@${manifest.digest}`;
  for (const text of [
    'docker.io/library/app:1',
    'app:1',
    id,
    id.slice(7),
    id.slice(7, 20),
    manifest.digest,
    repository,
    `app@${manifest.digest}`,
  ])
    assert.equal((await findImage(store, text, signal)).image.id, id, text);
  assert.equal((await findImage(store, 'app:1', signal)).name, 'docker.io/library/app:1');
  for (const text of ['app', 'app:2', 'ap', 'ffffffffffffffff', `other@${manifest.digest}`, 'UPPER', '../x'])
    assert.equal(await findImageIfAny(store, text, signal), undefined, text);
  await assert.rejects(findImage(store, 'nosuch', signal), { code: 'ERR_REFERENCE', message: /"nosuch": it is not in/ });
});

test('a name that moves leaves the image that had it without one', async () => {
  await using store = await place();
  const one = await add(store, image(), 'localhost/app:latest');
  const two = await add(store, image(), 'localhost/app:latest', 'localhost/app:2');
  assert.deepEqual(await shown(store), [short(one), `${short(two)} localhost/app:latest localhost/app:2`]);
  await addNames(store, one.manifest.digest, ['localhost/app:1'], signal);
  assert.deepEqual(
    (await shown(store)).toSorted(),
    [`${short(one)} localhost/app:1`, `${short(two)} localhost/app:latest localhost/app:2`].toSorted(),
  );
});

test('the last name takes the image along, and the sweep its blobs alone', async () => {
  await using store = await place();
  const shared = layerOf(someBytes(2000));
  const one = await add(store, storedOf(shared, layerOf(someBytes(10))), 'localhost/one:latest', 'localhost/uno:latest');
  const two = await add(store, storedOf(shared, layerOf(someBytes(20))), 'localhost/two:latest');
  await removeNames(store, ['localhost/one:latest'], signal);
  assert.deepEqual(await sweepStore(store, undefined, signal), []);
  await removeNames(store, ['localhost/uno:latest'], signal);
  assert.equal((await sweepStore(store, undefined, signal))?.length, 3);
  assert.deepEqual(await strays(store, two), []);
  await using source = await openStoreSource(store, (await findImage(store, 'two', signal)).image, signal);
  assert.deepEqual((await readImage(source, two.image.config, signal)).manifest.digest, two.manifest.digest);
  assert.notEqual(one.manifest.digest, two.manifest.digest);
});

test('the sweep keeps what a container uses, and removes nothing where it can not tell', async () => {
  await using store = await place();
  const used = await add(store, image(), 'localhost/used:latest');
  await mkdir(join(store.folder, 'containers/abc'), { recursive: true });
  await mkdir(join(store.folder, 'containers/half-made'));
  await writeFile(join(store.folder, 'containers/lock'), '');
  await writeFile(join(store.folder, 'containers/abc/state.json'), `{"image":"${used.manifest.digest}"}`);
  assert.deepEqual([...(await readPins(store))], [[used.manifest.digest, ['abc']]]);
  await removeNames(store, ['localhost/used:latest'], signal);
  assert.deepEqual(await sweepStore(store, undefined, signal), []);
  assert.deepEqual(await strays(store, used), []);
  await writeFile(join(store.folder, 'containers/abc/state.json'), '{"image":7}');
  await assert.rejects(sweepStore(store, undefined, signal), { code: 'ERR_LAYER', message: /which image container abc uses/ });
});

test('the sweep finds what a killed process left, once nobody works with the store', async () => {
  await using store = await place();
  const kept = await add(store, image(), 'localhost/kept:latest');
  const lost = '0'.repeat(64);
  await writeFile(join(store.layout, 'blobs/sha256', lost), 'written, but not named');
  const temporary = '.11111111-2222-3333-4444-555555555555.tmp';
  for (const folder of [store.layout, join(store.layout, 'blobs/sha256')]) await writeFile(join(folder, temporary), 'half');
  {
    using _held = await holdStore(store, signal);
    assert.equal(await sweepStore(store, undefined, signal), undefined);
    assert.equal((await strays(store, kept)).length, 3);
  }
  assert.equal((await sweepStore(store, undefined, signal))?.length, 3);
  assert.deepEqual(await strays(store, kept), []);
});

test('a store that is not there is empty, and a broken image does not hide the others', async () => {
  await using store = await place();
  assert.deepEqual([await listEntries(store), await sweepStore(store, undefined, signal)], [[], []]);
  const broken = await add(store, image(), 'localhost/broken:latest');
  const { config } = await add(store, image(), 'localhost/whole:latest');
  await writeFile(join(store.layout, 'blobs/sha256', broken.manifest.digest.slice(7)), 'x');
  assert.equal((await findImage(store, config.descriptor.digest, signal)).name, undefined);
  assert.equal((await findImage(store, 'whole', signal)).image.id, config.descriptor.digest);
  await assert.rejects(listImages(store, signal), /Cannot read image localhost\/broken:latest/);
});

test('an image whose blobs were swept away before it got a name is refused', async () => {
  await using store = await place();
  const lost = image();
  {
    await using sink = await openStoreSink(store, [], signal);
    await sink.writeBlobs(lost.image.layers, signal);
  }
  await sweepStore(store, undefined, signal);
  await using sink = await openStoreSink(store, ['localhost/lost:latest'], signal);
  await assert.rejects(sink.writeRoot(lost.manifest, signal), { code: 'ERR_LAYER', message: /its blob sha256:\w+ is not there/ });
  assert.deepEqual(await listEntries(store), []);
});

test('an image in use stays, unless its containers go along', async () => {
  await using store = await place();
  const used = await add(store, image(), 'localhost/used:latest', 'localhost/more:latest');
  await mkdir(join(store.folder, 'containers/abc'), { recursive: true });
  await writeFile(join(store.folder, 'containers/abc/state.json'), `{"image":"${used.manifest.digest}"}`);
  const id = used.config.descriptor.digest;
  assert.deepEqual(await removeImage(store, 'more', undefined, signal), { untagged: ['localhost/more:latest'] });
  await assert.rejects(removeImage(store, 'used', undefined, signal), { code: 'ERR_USAGE', message: /in use by container abc/ });
  assert.deepEqual(await unusedImages(store, true, signal), []);
  const gone: string[] = [];
  const force = async (container: string): Promise<void> => {
    gone.push(container);
    await rm(join(store.folder, 'containers', container), { recursive: true });
  };
  assert.deepEqual(await removeImage(store, 'used', force, signal), { untagged: ['localhost/used:latest'], id });
  assert.deepEqual([gone, await listEntries(store)], [['abc'], []]);
});

test('an id with several names goes by force alone, and what is about an image stays with it', async () => {
  await using store = await place();
  const one = await add(store, image(), 'localhost/one:1', 'localhost/one:2');
  const { descriptor } = one.config;
  await assert.rejects(removeImage(store, descriptor.digest, undefined, signal), {
    code: 'ERR_USAGE',
    message: /localhost\/one:1, localhost\/one:2/,
  });
  await add(store, image()); // no name: nobody's
  const about = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      config: asJson(descriptor),
      layers: [],
      subject: asJson({ ...one.manifest, size: one.manifest.bytes.length }),
    }),
  );
  await using sink = await openStoreSink(store, [], signal);
  await sink.writeReferrer?.({ bytes: about, mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digestOf(about) }, signal);
  assert.equal((await unusedImages(store, false, signal)).length, 1);
  assert.equal((await unusedImages(store, true, signal)).length, 3);
});

function asJson({ mediaType, digest, size }: { readonly mediaType: string; readonly digest: string; readonly size: number }): object {
  return { mediaType, digest, size };
}
