// Images of every kind, by `copy --all` to each transport and back: what stays as it is, what is changed and how, what is refused by name.
// Ordinary images are in pairs.test.ts; here are foreign layers, zstd, nested indexes, artifacts and schema 1.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { openBlobStore } from '../../../src/layer/store.ts';
import { copyImage } from '../../../src/oci/copy-image.ts';
import { type Descriptor, isForeign } from '../../../src/oci/descriptor.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { hostPlatform } from '../../../src/oci/platform.ts';
import { openFolderSink } from '../../../src/store/image-folder.ts';
import { copyBetween } from '../../../src/transports/copy.ts';
import { parsePlace } from '../../../src/transports/places.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { type ImageMemory, imageMemory } from '../../support/image-memory.ts';
import { type TestClient, testClient } from '../../support/registry-client.ts';
import { tar } from '../../support/tar.ts';

const { signal } = new AbortController();
const skip = missingDockerRegistry() ?? false;
const platform = hostPlatform(process.arch);
const archive = tar([{ path: 'a.txt', content: 'hello' }]);
const text = (value: unknown): string => JSON.stringify(value);

let folder = '';
let registry: RunningRegistry;
let client: TestClient;
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'yadokari-kinds-'));
  registry = await startDockerRegistry({ isLenient: true });
  client = testClient();
});
after(async () => {
  if (skip !== false) return;
  await client.close();
  await registry.stop();
  await rm(folder, { recursive: true, force: true });
});

/** An image with these layers; `family` says in whose words. */
function keepImage(memory: ImageMemory, layers: readonly Descriptor[], family: 'oci' | 'docker' = 'oci'): Descriptor {
  const [mediaType, configType] =
    family === 'oci' ? [MediaType.ociManifest, MediaType.ociConfig] : [MediaType.dockerManifest, MediaType.dockerConfig];
  const { os, architecture } = platform;
  const diffIds = layers.map((layer) => (isForeign(layer) ? layer.digest : digestOf(archive)));
  const config = memory.keep(text({ os, architecture, config: {}, rootfs: { type: 'layers', diff_ids: diffIds } }), configType);
  return memory.keep(text({ schemaVersion: 2, mediaType, config, layers }), mediaType);
}

function keepForeign(memory: ImageMemory, family: 'oci' | 'docker'): Descriptor {
  const [foreign, plain] =
    family === 'oci'
      ? [MediaType.ociForeignLayerGzip, MediaType.ociLayerGzip]
      : [MediaType.dockerForeignLayerGzip, MediaType.dockerLayerGzip];
  const bytes = gzipSync('windows');
  // Its content is nowhere here.
  const away: Descriptor = { mediaType: foreign, digest: digestOf(bytes), size: bytes.length, urls: ['https://away.test/layer'] };
  return keepImage(memory, [away, memory.keep(gzipSync(archive), plain)], family);
}

function keepIndex(memory: ImageMemory, ...manifests: readonly Descriptor[]): Descriptor {
  return memory.keep(text({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests }), MediaType.ociIndex);
}

function keepArtifact(memory: ImageMemory, configType: string, more: object = {}): Descriptor {
  const config = memory.keep('{}', configType);
  const layers = [memory.keep('a chart', 'application/vnd.cncf.helm.chart.content.v1.tar+gzip')];
  return memory.keep(text({ schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers, ...more }), MediaType.ociManifest);
}

const names = ['docker', 'oci', 'oci-archive', 'docker-archive', 'dir'] as const;
/** The same digest; the layers' media types of what it becomes; or why it is refused. */
type Outcome = 'same' | readonly string[] | RegExp;
interface Kind {
  readonly name: string;
  readonly make: (memory: ImageMemory) => Descriptor;
  /** Where it is anything else than the same. */
  readonly but?: Partial<Record<(typeof names)[number], Outcome>>;
}

const asOci = [MediaType.ociForeignLayerGzip, MediaType.ociLayerGzip];
const keptElsewhere = /Cannot write .*: a docker archive has all layers, and sha256:[0-9a-f]{64} is kept elsewhere/;
const empty = 'application/vnd.oci.empty.v1+json';
const onPlatform = (entry: Descriptor): Descriptor => ({ ...entry, platform });

const kinds: readonly Kind[] = [
  {
    name: 'a foreign layer of the docker family',
    make: (memory) => keepForeign(memory, 'docker'),
    but: { oci: asOci, 'oci-archive': asOci, 'docker-archive': keptElsewhere },
  },
  { name: 'a foreign layer of OCI', make: (memory) => keepForeign(memory, 'oci'), but: { 'docker-archive': keptElsewhere } },
  {
    name: 'a zstd layer',
    make: (memory) => keepImage(memory, [memory.keep(zstdCompressSync(archive), MediaType.ociLayerZstd)]),
    but: { 'docker-archive': [MediaType.dockerLayer] },
  },
  {
    name: 'an index in an index in an index, with content that is no manifest',
    make: (memory) => {
      const image = keepImage(memory, [memory.keep(gzipSync(archive), MediaType.ociLayerGzip)]);
      const note = memory.keep('a note', 'text/plain');
      return keepIndex(memory, keepIndex(memory, keepIndex(memory, onPlatform(image)), note), onPlatform(image));
    },
    but: { 'docker-archive': /Cannot copy several images to docker-archive:.*: it holds one/ },
  },
  {
    name: 'an artifact with the empty config',
    make: (memory) => keepArtifact(memory, empty, { artifactType: 'text/x-note' }),
    but: { 'docker-archive': /Cannot convert .* to Docker's format: it is no image: its config is "application\/vnd\.oci\.empty/ },
  },
  {
    name: 'an artifact with a config of its own',
    make: (memory) => keepArtifact(memory, 'application/vnd.cncf.helm.config.v1+json'),
    but: { 'docker-archive': /it is no image: its config is "application\/vnd\.cncf\.helm\.config/ },
  },
];

function placeOf(transport: (typeof names)[number], id: string): string {
  if (transport === 'docker') return `docker://${registry.host}/kinds/${id}:v1`;
  if (transport === 'dir') return `dir:${join(folder, id)}`;
  return `${transport}:${join(folder, id)}:${transport === 'docker-archive' ? 'example.test/kinds:v1' : 'v1'}`;
}

async function copied(from: string, to: string): ReturnType<typeof copyBetween> {
  await using store = openBlobStore(folder);
  const side = { registry: client, temporaryFolder: folder, platform };
  const means = { from: side, to: side, store, emit: () => undefined };
  return await copyBetween(parsePlace(from), parsePlace(to), { selection: { kind: 'all' } }, means, signal);
}

for (const [number, kind] of kinds.entries()) {
  test(`copy --all of ${kind.name}: to every transport, and back from each as it was there`, { skip }, async () => {
    const memory = imageMemory();
    const root = kind.make(memory);
    const start = join(folder, `start-${number}`);
    await copyImage(memory.source(root), await openFolderSink(start), signal);
    for (const name of names) {
      const outcome = kind.but?.[name] ?? 'same';
      const place = placeOf(name, `${number}-${name}`);
      const copying = copied(`dir:${start}`, place);
      if (outcome instanceof RegExp) {
        await assert.rejects(copying, (error: Error) => outcome.test(error.message) || assert.fail(`${place}: ${error.message}`));
        continue;
      }
      const { digest, manifest } = await copying;
      if (outcome === 'same') assert.equal(digest, root.digest, place);
      else {
        const { layers } = JSON.parse(manifest.bytes.toString()) as { layers: readonly Descriptor[] };
        assert.deepEqual(
          layers.map(({ mediaType }) => mediaType),
          outcome,
          place,
        );
        const urls = (JSON.parse(memory.blobs.get(root.digest)?.toString() ?? '') as { layers: readonly Descriptor[] }).layers.map(
          (layer) => layer.urls,
        );
        assert.deepEqual(
          layers.map((layer) => layer.urls),
          urls,
          place,
        );
      }
      // An archive of docker's has no manifest that could come back.
      if (name === 'docker-archive') continue;
      const back = join(folder, `back-${number}-${name}`);
      assert.equal((await copied(place, `dir:${back}`)).digest, digest, place);
      assert.equal(digestOf(await readFile(join(back, 'manifest.json'))), digest, place);
    }
  });
}

test('copy of schema 1, signed or not, is refused by name wherever it is to go, and nothing is made', { skip }, async () => {
  const start = join(folder, 'schema-1');
  await mkdir(start);
  await writeFile(join(start, 'version'), 'Directory Transport Version: 1.1\n');
  for (const signatures of [undefined, [{ signature: 'x' }]]) {
    await writeFile(
      join(start, 'manifest.json'),
      text({ schemaVersion: 1, name: 'old', tag: 'v1', fsLayers: [], history: [], signatures }),
    );
    for (const name of names) {
      const to = placeOf(name, `schema-1-${name}`);
      await assert.rejects(copied(`dir:${start}`, to), { code: 'ERR_UNSUPPORTED', message: /it has the old schema 1/ }, to);
    }
  }
  await assert.rejects(readFile(join(folder, 'schema-1-dir/manifest.json')), { code: 'ENOENT' });
  await assert.rejects(readFile(join(folder, 'schema-1-oci/index.json')), { code: 'ENOENT' });
});
