// Eight kinds of images from each transport to each: 200 copies, and beside each one the real skopeo's of the same source. Where the
// bytes are not the same, skopeo reads both, and what they hold has to be.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { openBlobStore } from '../../../src/layer/store.ts';
import { copyImage } from '../../../src/oci/copy-image.ts';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { hostPlatform } from '../../../src/oci/platform.ts';
import { openFolderSink } from '../../../src/store/image-folder.ts';
import { type CopyMeans, type CopyOptions, copyBetween } from '../../../src/transports/copy.ts';
import { parsePlace } from '../../../src/transports/places.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { type ImageMemory, imageMemory } from '../../support/image-memory.ts';
import { type TestClient, testClient } from '../../support/registry-client.ts';
import { tar } from '../../support/tar.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
const skopeo = '/usr/bin/skopeo';
const skip = missingDockerRegistry() ?? (existsSync(skopeo) ? false : `${skopeo} is not installed`);
const platform = hostPlatform(process.arch);
const { architecture } = platform;
const otherArchitecture = architecture === 'arm64' ? 'amd64' : 'arm64';

/** Layers that no other kind and no other run has: skopeo remembers who had which layer, and in which other form. */
const salt = Math.random().toString(36).slice(2);
const layersOf = (kind: string): readonly Buffer[] => [
  tar([
    { path: 'bin', type: 'directory' },
    { path: 'bin/tool', content: `${kind}${salt}`.repeat(500), mode: 0o755 },
  ]),
  tar([{ path: 'etc', content: `${salt}${kind}` }]),
];

interface Wish {
  readonly kind: string;
  readonly docker?: boolean;
  readonly pack?: (bytes: Buffer) => Buffer;
  readonly type?: string;
  readonly architecture?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Keeps an image, with a config as docker or as Go's OCI types write it. */
function keepImage(memory: ImageMemory, wish: Wish): Descriptor {
  const { docker = false, pack = (bytes) => gzipSync(bytes), annotations } = wish;
  const layers = layersOf(wish.kind);
  const type = wish.type ?? (docker ? MediaType.dockerLayerGzip : MediaType.ociLayerGzip);
  const config = {
    ...(docker ? { container_config: { Cmd: ['x'] }, docker_version: '20.10' } : {}),
    created: '2020-01-02T03:04:05Z',
    architecture: wish.architecture ?? architecture,
    os: 'linux',
    config: { Env: ['PATH=/bin', 'A=1'], Cmd: ['sh'], Labels: { a: 'b' }, ...(docker ? { Healthcheck: { Test: ['CMD', 'true'] } } : {}) },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
    history: [
      { created: '2020-01-02T03:04:05Z', created_by: 'one' },
      { created: '2020-01-02T03:04:05Z', created_by: 'two' },
    ],
  };
  const mediaType = docker ? MediaType.dockerManifest : MediaType.ociManifest;
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: memory.keep(JSON.stringify(config), docker ? MediaType.dockerConfig : MediaType.ociConfig),
    layers: layers.map((layer) => memory.keep(pack(layer), type)),
    ...(annotations === undefined ? {} : { annotations }),
  };
  return memory.keep(JSON.stringify(manifest, null, docker ? 3 : 0), mediaType);
}

function keepIndex(memory: ImageMemory, mediaType: string, wish: Wish): Descriptor {
  const manifests = [otherArchitecture, architecture].map((name) => ({
    ...keepImage(memory, { ...wish, architecture: name }),
    platform: { architecture: name, os: 'linux' },
  }));
  return memory.keep(JSON.stringify({ schemaVersion: 2, mediaType, manifests }), mediaType);
}

interface Kind {
  readonly name: string;
  readonly make: (memory: ImageMemory) => Descriptor;
  readonly all?: true;
}

const kinds: readonly Kind[] = [
  { name: 'an OCI image', make: (memory) => keepImage(memory, { kind: 'oci' }) },
  { name: 'a docker image', make: (memory) => keepImage(memory, { kind: 'docker', docker: true }) },
  {
    name: 'zstd layers',
    make: (memory) => keepImage(memory, { kind: 'zstd', pack: (bytes) => zstdCompressSync(bytes), type: MediaType.ociLayerZstd }),
  },
  { name: 'plain layers', make: (memory) => keepImage(memory, { kind: 'plain', pack: (bytes) => bytes, type: MediaType.ociLayer }) },
  { name: 'annotations', make: (memory) => keepImage(memory, { kind: 'annotated', annotations: { 'org.example.a': 'é', b: '<&>' } }) },
  { name: 'one image of an OCI index', make: (memory) => keepIndex(memory, MediaType.ociIndex, { kind: 'one' }) },
  { name: 'an OCI index with all images', make: (memory) => keepIndex(memory, MediaType.ociIndex, { kind: 'all' }), all: true },
  {
    name: 'a docker list with all images',
    make: (memory) => keepIndex(memory, MediaType.dockerList, { kind: 'list', docker: true }),
    all: true,
  },
];
const names = ['docker', 'oci', 'oci-archive', 'docker-archive', 'dir'] as const;

let folder = '';
let registry: RunningRegistry;
let client: TestClient;
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'yadokari-pairs-'));
  registry = await startDockerRegistry();
  client = testClient();
});
after(async () => {
  if (skip !== false) return;
  await client.close();
  await registry.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A place's name for both tools. */
function placeOf(transport: (typeof names)[number], id: string): string {
  if (transport === 'docker') return `docker://${registry.host}/pairs/${id}:v1`;
  if (transport === 'dir') return `dir:${join(folder, id)}`;
  return `${transport}:${join(folder, id)}:${transport === 'docker-archive' ? 'example.test/pairs:v1' : 'v1'}`;
}

async function bySkopeo(from: string, to: string, flags: readonly string[] = []): Promise<string | undefined> {
  try {
    await run(skopeo, ['--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false', '--dest-tls-verify=false', ...flags, from, to]);
    return undefined;
  } catch (error) {
    return error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
  }
}

async function byUs(from: string, to: string, options: CopyOptions): Promise<string | undefined> {
  await using store = openBlobStore(folder);
  const side = { registry: client, temporaryFolder: folder, platform };
  const means: CopyMeans = { from: side, to: side, store, emit: () => undefined };
  try {
    await copyBetween(parsePlace(from), parsePlace(to), options, means, signal);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The files of a place that count, by name: whatever its kind, equal ones mean the same image byte for byte. */
async function filesOf(place: string): Promise<Readonly<Record<string, string>>> {
  const [, transport = '', rest = ''] = /^([a-z-]+):(.*?)(?::(?:v1|example\.test.*))?$/.exec(place) ?? [];
  if (transport === 'docker') {
    const { stdout } = await run(skopeo, ['inspect', '--raw', '--tls-verify=false', place]);
    return { manifest: stdout };
  }
  let at = rest;
  if (transport.endsWith('-archive')) {
    at = `${rest}.files`;
    await mkdir(at, { recursive: true });
    await run('tar', ['-xf', rest, '-C', at]);
  }
  const files: Record<string, string> = {};
  for (const entry of await readdir(at, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(at.length + 1);
    // What docker-archive: has for engines before 2016 is not written by us.
    if (transport === 'docker-archive' && (name.includes('/') || name === 'repositories')) continue;
    const bytes = await readFile(path);
    if (name !== 'index.json') {
      files[name] = digestOf(bytes);
      continue;
    }
    const { manifests } = JSON.parse(bytes.toString('utf8')) as { manifests: readonly Descriptor[] };
    files[name] = JSON.stringify(manifests.map(({ mediaType, digest, size, annotations }) => [mediaType, digest, size, annotations]));
  }
  return files;
}

interface Seen {
  readonly family: string;
  readonly annotations: unknown;
  readonly config: unknown;
  readonly layers: readonly string[];
}

/** What an image holds, read by skopeo: layers as they are unpacked, of the config what the OCI specification names. */
async function contentOf(place: string, id: string): Promise<readonly Seen[]> {
  const at = join(folder, id);
  assert.equal(await bySkopeo(place, `dir:${at}`, ['--all']), undefined, place);
  const read = async (name: string): Promise<Seen[]> => {
    const manifest = JSON.parse(await readFile(join(at, name), 'utf8')) as {
      mediaType?: string;
      manifests?: readonly Descriptor[];
      config: Descriptor;
      layers: readonly Descriptor[];
      annotations?: unknown;
    };
    if (manifest.manifests !== undefined)
      return (await Promise.all(manifest.manifests.map(async ({ digest }) => await read(`${digest.slice(7)}.manifest.json`)))).flat();
    const config = JSON.parse(await readFile(join(at, manifest.config.digest.slice(7)), 'utf8')) as Record<string, unknown>;
    const { created, os, rootfs, history } = config;
    const { Env, Cmd, Labels } = config['config'] as Record<string, unknown>;
    const unpacked = await Promise.all(
      manifest.layers.map(async ({ digest }) => digestOf(unpack(await readFile(join(at, digest.slice(7)))))),
    );
    return [
      {
        family: manifest.config.mediaType,
        annotations: manifest.annotations,
        config: { created, os, architecture: config['architecture'], rootfs, history, Env, Cmd, Labels },
        layers: unpacked,
      },
    ];
  };
  const seen = await read('manifest.json');
  await rm(at, { recursive: true });
  return seen;
}

function unpack(bytes: Buffer): Buffer {
  if (bytes.readUInt16BE(0) === 0x1f8b) return gunzipSync(bytes);
  return bytes.readUInt32LE(0) === 0xfd2fb528 ? zstdDecompressSync(bytes) : bytes;
}

/** What this version can't copy, and later ones can. */
const beyondSkopeo = /zstd compression is not supported for docker images/;
const layersIn = (seen: readonly Seen[]): readonly unknown[] => seen.map(({ config, layers }) => [config, layers]);
const tally = { copies: 0, sameBytes: 0, sameContent: 0, beyondSkopeo: 0, refused: 0 };

for (const [number, kind] of kinds.entries()) {
  test(`${kind.name}: from every transport to every other one as skopeo copies it`, { skip }, async () => {
    const memory = imageMemory();
    const start = join(folder, `start-${number}`);
    await copyImage(memory.source(kind.make(memory)), await openFolderSink(start), signal);
    const options: CopyOptions = { selection: kind.all === true ? { kind: 'all' } : { kind: 'host', platform } };
    const flags = kind.all === true ? ['--all'] : [];
    for (const from of names) {
      const source = placeOf(from, `${number}-${from}`);
      // An archive of docker's holds no index; a place that skopeo can't fill as it is gets the image as skopeo leaves it.
      const filled = await bySkopeo(`dir:${start}`, source, from === 'docker-archive' ? [] : ['--all']);
      if (filled === undefined || !beyondSkopeo.test(filled)) assert.equal(filled, undefined, source);
      else assert.equal(await byUs(`dir:${start}`, source, options), undefined);
      for (const to of names) {
        const [ours, theirs] = ['ours', 'theirs'].map((who) => placeOf(to, `${number}-${from}-${to}-${who}`));
        assert.ok(ours !== undefined && theirs !== undefined);
        const [failure, failureOfSkopeo] = [await byUs(source, ours, options), await bySkopeo(source, theirs, flags)];
        tally.copies++;
        if (failureOfSkopeo !== undefined && beyondSkopeo.test(failureOfSkopeo)) {
          assert.equal(failure, undefined, `${source} -> ${to}`);
          assert.deepEqual(layersIn(await contentOf(ours, 'seen-ours')), layersIn(await contentOf(source, 'seen-source')));
          tally.beyondSkopeo++;
          continue;
        }
        assert.equal(failure === undefined, failureOfSkopeo === undefined, `${source} -> ${to}: ${failure} / ${failureOfSkopeo}`);
        if (failure !== undefined) {
          tally.refused++;
          continue;
        }
        if (JSON.stringify(sorted(await filesOf(ours))) === JSON.stringify(sorted(await filesOf(theirs)))) {
          tally.sameBytes++;
          continue;
        }
        const [seen, expected] = [await contentOf(ours, 'seen-ours'), await contentOf(theirs, 'seen-theirs')];
        // Out of an archive that has no manifest, skopeo makes what it remembers the layers to have been.
        const view = from === 'docker-archive' ? layersIn : (all: readonly Seen[]): readonly unknown[] => all;
        assert.deepEqual(view(seen), view(expected), `${source} -> ${ours}`);
        tally.sameContent++;
      }
    }
  });
}

test('they were 200, and most of them the same byte for byte', { skip }, () => {
  const { copies, sameBytes, sameContent, beyondSkopeo: more, refused } = tally;
  console.log(JSON.stringify(tally));
  assert.deepEqual([copies, sameBytes + sameContent + more + refused], [200, 200]);
  assert.ok(sameBytes >= 85, `${sameBytes} were the same byte for byte`);
  // All images of an index don't go into one archive of docker's.
  assert.equal(refused, 8);
});

function sorted(files: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  return Object.entries(files).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
