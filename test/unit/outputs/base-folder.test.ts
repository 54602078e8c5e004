// Base images in a folder: what is read from it, what from the registry, and what is made of a folder that is not as it should be.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { imagesToWarm, warmImages } from '../../../src/build/warm.ts';
import type { Emit } from '../../../src/events.ts';
import { parseDockerfile } from '../../../src/dockerfile/parse.ts';
import { storedManifest } from '../../../src/oci/manifest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { formatReference, parseReference, withDefaultTag } from '../../../src/oci/reference.ts';
import { BaseFolder } from '../../../src/outputs/base-folder.ts';
import { startFakeRegistry } from '../../support/fake-registry.ts';
import { layerOf, platform, someBytes, storedOf } from '../../support/image.ts';
import { testClient } from '../../support/registry-client.ts';

const stops: (() => Promise<void>)[] = [];
after(async () => {
  for (const stop of stops) await stop();
});

const { signal } = new AbortController();
const hourMs = 3_600_000;
const content = someBytes(10_000);
const image = storedOf(layerOf(content));
const other = storedOf(layerOf(someBytes(10)));
const arm = { os: 'linux', architecture: 'arm64' };
const index = storedManifest(
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MediaType.ociIndex,
      manifests: [
        { mediaType: MediaType.ociManifest, digest: other.manifest.digest, size: other.manifest.bytes.length, platform: arm },
        { mediaType: MediaType.ociManifest, digest: image.manifest.digest, size: image.manifest.bytes.length, platform },
      ],
    }),
  ),
  MediaType.ociIndex,
);

interface Seen {
  /** `get` of manifests and blobs that the registry was asked for. */
  readonly asked: readonly string[];
  readonly lines: readonly string[];
  readonly isRight: boolean;
}

/** Warms a folder with an index of an image, then reads the image as a build does; `arrange` gets the folder, and the image's in it. */
async function readAfter(
  arrange: (folder: string, layout: string) => void,
  { isPinned = false, isStopped = false }: { readonly isPinned?: boolean; readonly isStopped?: boolean } = {},
): Promise<Seen> {
  const registry = await startFakeRegistry();
  stops.push(registry.stop);
  await using client = testClient();
  await using disposable = await mkdtempDisposable(join(tmpdir(), 'yadokari-base-folder-'));
  const folder = disposable.path;
  const name = `${registry.host}/base:1`;
  const sink = client.openSink([parseReference(name)], {});
  for (const each of [image, other]) await client.pushImage(each, [parseReference(`${registry.host}/base:other`)], {}, signal);
  await sink.writeRoot(index, signal);
  const { emit } = { emit: (event: (typeof client.events)[number]) => void client.events.push(event) };
  const open = (): BaseFolder => new BaseFolder({ path: folder, ttlMs: hourMs, now: Date.now, emit });
  assert.equal(await warmImages([{ name, platform }], { folder: open(), registry: client, isForced: false, emit, signal }), 1);
  arrange(folder, join(folder, image.manifest.digest));
  registry.requests.splice(0);
  client.events.splice(0);
  if (isStopped) await registry.stop();
  const reference = withDefaultTag(parseReference(isPinned ? `${registry.host}/base@${index.digest}` : name));
  const pulled = await open().pull(reference, platform, client, signal);
  const bytes = pulled?.image.layers[0] === undefined ? Buffer.alloc(0) : await buffer(pulled.image.layers[0].open(signal));
  const asked = registry.requests.map(({ path }) => path.replace(/^\/v2\/base\//, '')).filter((path) => path !== '/v2/');
  const lines = client.lines().map((line) => line.replaceAll(folder, 'FOLDER').replaceAll(formatReference(reference), 'NAME'));
  return { asked, lines, isRight: bytes.equals(content) };
}

const nothing = (): void => undefined;
const layerFile = (layout: string): string => join(layout, 'blobs/sha256', layerOf(content).descriptor.digest.slice(7));
const layerPath = `blobs/${layerOf(content).descriptor.digest}`;

test('a registry is asked what a tag stands for, and for nothing else', async () => {
  assert.deepEqual(await readAfter(nothing), { asked: ['manifests/1'], lines: ['NAME is in FOLDER'], isRight: true });
});

test('a digest needs no registry at all', async () => {
  assert.deepEqual(await readAfter(nothing, { isPinned: true, isStopped: true }), {
    asked: [],
    lines: ['NAME is in FOLDER'],
    isRight: true,
  });
});

test('who stops reading spoils nothing for another who reads the same', async () => {
  const registry = await startFakeRegistry();
  stops.push(registry.stop);
  await using client = testClient();
  await using disposable = await mkdtempDisposable(join(tmpdir(), 'yadokari-base-folder-'));
  const reference = parseReference(`${registry.host}/base:1`);
  await client.pushImage(image, [reference], {}, signal);
  const emit = (event: (typeof client.events)[number]): void => void client.events.push(event);
  const folder = new BaseFolder({ path: disposable.path, ttlMs: hourMs, now: Date.now, emit });
  await warmImages([{ name: formatReference(reference), platform }], { folder, registry: client, isForced: false, emit, signal });
  const layer = (await folder.pull(reference, platform, client, signal))?.image.layers[0];
  assert.ok(layer !== undefined);
  const stopping = new AbortController();
  const [stopped, whole] = [buffer(layer.open(stopping.signal)), buffer(layer.open(signal))];
  await new Promise(setImmediate);
  stopping.abort(new Error('stopped'));
  await assert.rejects(stopped, /stopped/);
  assert.ok((await whole).equals(content));
});

const damages: readonly (readonly [name: string, arrange: (folder: string, layout: string) => void, why: RegExp])[] = [
  ['a layer with other bytes', (_, layout) => writeFileSync(layerFile(layout), someBytes(10_000)), /its digest is sha256:/],
  ['a layer that is cut off', (_, layout) => writeFileSync(layerFile(layout), content.subarray(1)), /9999/],
  ['a layer that is missing', (_, layout) => rmSync(layerFile(layout)), /not in the layout/],
];
for (const [name, arrange, why] of damages) {
  test(`${name} comes from the registry, with a warning`, async () => {
    const { asked, lines, isRight } = await readAfter(arrange);
    assert.deepEqual([asked, isRight], [['manifests/1', layerPath], true]);
    assert.match(lines.join('\n'), why);
  });
}

const absences: readonly (readonly [name: string, arrange: (folder: string, layout: string) => void, line: RegExp | undefined])[] = [
  ['that is half written', (_, layout) => rmSync(join(layout, 'index.json')), undefined],
  ['that is too old', (_, layout) => utimesSync(layout, 1, 1), /is older than --cache-ttl: NAME comes from its registry/],
  [
    'that an older kaniko left as a tarball',
    (_, layout) => {
      rmSync(layout, { recursive: true });
      writeFileSync(layout, 'tar');
    },
    /is no OCI layout, but of an older warmer/,
  ],
];
for (const [name, arrange, line] of absences) {
  test(`an image ${name} comes from the registry`, async () => {
    const { asked, lines, isRight } = await readAfter(arrange);
    assert.deepEqual([asked.length, isRight], [4, true]);
    if (line === undefined) assert.deepEqual(lines, []);
    else assert.match(lines.join('\n'), line);
  });
}

test("a layout that kaniko's warmer made, which names nothing, is read", async () => {
  const { asked, isRight } = await readAfter((_, layout) => {
    const file = join(layout, 'index.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/,"annotations":\{[^}]*\}/, ''));
  });
  assert.deepEqual([asked, isRight], [['manifests/1'], true]);
});

test('warming again mends what is broken or too old, and leaves nothing of a warmer that was killed', async () => {
  const registry = await startFakeRegistry();
  stops.push(registry.stop);
  await using client = testClient();
  await using disposable = await mkdtempDisposable(join(tmpdir(), 'yadokari-base-folder-'));
  const path = disposable.path;
  await client.pushImage(image, [parseReference(`${registry.host}/base:1`)], {}, signal);
  const warm = async (isForced: boolean): Promise<number> => {
    registry.requests.splice(0);
    const folder = new BaseFolder({ path, ttlMs: hourMs, now: Date.now, emit: nothing });
    await warmImages([{ name: `${registry.host}/base:1`, platform }], { folder, registry: client, isForced, emit: nothing, signal });
    return registry.requests.filter((request) => request.path.endsWith(layerPath)).length;
  };
  const layout = join(path, image.manifest.digest);
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  writeFileSync(join(layout, 'blobs/sha256/.killed.tmp'), 'half');
  assert.deepEqual([await warm(false), await warm(false)], [1, 0]);
  const told: string[] = [];
  const emit: Emit = (event) => void (event.kind === 'warning' && told.push(event.message));
  const folder = new BaseFolder({ path, ttlMs: hourMs, now: Date.now, emit });
  const foreign = { name: `${registry.host}/base:1`, platform: { os: 'linux', architecture: 's390x' } };
  await warmImages([foreign], { folder, registry: client, isForced: false, emit, signal });
  assert.match(told.join('\n'), /base:1 is for linux\/\w+, and not for linux\/s390x$/);
  assert.deepEqual(
    readdirSync(layout, { recursive: true }).filter((name) => String(name).endsWith('.tmp')),
    [],
  );
  rmSync(layerFile(layout));
  assert.equal(await warm(false), 1);
  writeFileSync(layerFile(layout), someBytes(10_000));
  assert.deepEqual([await warm(false), await warm(true)], [0, 1]);
  utimesSync(layout, 1, 1);
  assert.equal(await warm(false), 0);
  assert.equal(
    await new BaseFolder({ path, ttlMs: hourMs, now: Date.now, emit: nothing }).holds(
      image.manifest,
      image.manifest.digest,
      platform,
      signal,
    ),
    true,
  );
});

test('imagesToWarm() finds what stages begin with, copy from and mount, each once', () => {
  const text = `ARG V=1\nFROM a:$V AS one\nFROM one\nFROM --platform=linux/arm64 a:1\nCOPY --from=b /x /x\nCOPY --from=one /x /x\nRUN --mount=from=c,target=/c x\nFROM scratch\nFROM a:1\n`;
  const dockerfile = parseDockerfile(Buffer.from(text), 'Dockerfile');
  const images = imagesToWarm(dockerfile, { platform, buildPlatform: platform, buildArgs: new Map() });
  assert.deepEqual(
    images.map((each) => `${each.name} ${each.platform.architecture}`),
    ['a:1 amd64', 'a:1 arm64', 'b arm64', 'c arm64'],
  );
});
