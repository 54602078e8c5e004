// Images of every kind go from place to place, judged by a real registry and skopeo: no digest changes.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { copyImage } from '../../../src/oci/copy-image.ts';
import { type Descriptor, isForeign } from '../../../src/oci/descriptor.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import type { ImageSink, ImageSource } from '../../../src/oci/source-and-sink.ts';
import { blobPath } from '../../../src/store/blob-file.ts';
import { openLayoutSink, openLayoutSource } from '../../../src/store/oci-layout.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { type ImageMemory, imageMemory } from '../../support/image-memory.ts';
import { type TestClient, testClient } from '../../support/registry-client.ts';
import { tar as archive } from '../../support/tar.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
const skopeo = '/usr/bin/skopeo';
const missing = missingDockerRegistry() ?? (existsSync(skopeo) ? undefined : `${skopeo} is not installed`);
const skip = missing ?? false;

const registries: RunningRegistry[] = [];
before(async () => {
  if (missing === undefined) for (let count = 0; count < 2; count++) registries.push(await startDockerRegistry({ isLenient: true }));
});
after(async () => {
  for (const registry of registries) await registry.stop();
});

interface Kind {
  readonly name: string;
  readonly make: (memory: ImageMemory) => Descriptor;
  /** What skopeo can't read or copy, and how it says so. */
  readonly beyondSkopeo?: RegExp;
}

const tar = archive([{ path: 'a.txt', content: 'hello' }]);
const text = (value: unknown): string => JSON.stringify(value);

/** A config of an image with one layer, in the docker family's own words and spaces. */
function keepConfig(memory: ImageMemory, mediaType: string, architecture = 'amd64'): Descriptor {
  const diffIds = text([digestOf(tar)]);
  return memory.keep(
    `{"rootfs": {"diff_ids":${diffIds}, "type":"layers"},\n\t"history":[{"created":"2020-01-02T03:04:05Z"}],"os":"linux","architecture":"${architecture}","docker_version":"1.0","x":{"n":1.50,"big":98765432109876543210},"config":{"Env":["A=\\u0041"],"Hostname":"x"}}\n`,
    mediaType,
  );
}

function keepImage(memory: ImageMemory, more: object = {}, architecture = 'amd64'): Descriptor {
  const config = keepConfig(memory, MediaType.ociConfig, architecture);
  const layers = [memory.keep(gzipSync(tar), MediaType.ociLayerGzip)];
  return memory.keep(text({ schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers, ...more }), MediaType.ociManifest);
}

const onPlatform = (descriptor: Descriptor, os: string, architecture: string): Descriptor => ({
  ...descriptor,
  platform: { os, architecture },
});

const kinds: readonly Kind[] = [
  { name: 'an OCI image', make: (memory) => keepImage(memory) },
  {
    name: 'a docker image as docker writes it, with three spaces',
    make: (memory) => {
      const config = keepConfig(memory, MediaType.dockerConfig);
      const layers = [memory.keep(gzipSync(tar), MediaType.dockerLayerGzip)];
      const manifest = { schemaVersion: 2, mediaType: MediaType.dockerManifest, config, layers };
      return memory.keep(JSON.stringify(manifest, null, 3), MediaType.dockerManifest);
    },
  },
  {
    name: 'a zstd layer',
    make: (memory) => {
      const config = keepConfig(memory, MediaType.ociConfig);
      const layers = [memory.keep(zstdCompressSync(tar), MediaType.ociLayerZstd)];
      return memory.keep(text({ schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers }), MediaType.ociManifest);
    },
  },
  {
    name: 'annotations, members that nobody knows, large numbers, an odd order and odd spaces',
    make: (memory) => {
      const config = text(keepConfig(memory, MediaType.ociConfig));
      const layer = text({ ...memory.keep(gzipSync(tar), MediaType.ociLayerGzip), data: 'e30=', x: [1, null] });
      return memory.keep(
        `\n{ "layers" :\t[ ${layer} ],"annotations":{"b":"\\u00e9","a":"é"},\r\n"x.big":123456789012345678901234567890, "x.float": 1.0,"config":${config}, "mediaType":"${MediaType.ociManifest}","schemaVersion" : 2 }\n\n`,
        MediaType.ociManifest,
      );
    },
  },
  {
    name: 'an index of several platforms, with an attestation and an index in it',
    make: (memory) => {
      const [amd64, arm64, s390x] = ['amd64', 'arm64', 's390x'].map((name) => onPlatform(keepImage(memory, {}, name), 'linux', name));
      const statement = memory.keep('{"_type":"https://in-toto.io/Statement/v0.1"}', 'application/vnd.in-toto+json');
      const proofConfig = memory.keep(
        '{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}',
        MediaType.ociConfig,
      );
      const proof = memory.keep(
        text({ schemaVersion: 2, mediaType: MediaType.ociManifest, config: proofConfig, layers: [statement] }),
        MediaType.ociManifest,
      );
      const inner = memory.keep(text({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [s390x] }), MediaType.ociIndex);
      const manifests = [amd64, arm64, onPlatform(proof, 'unknown', 'unknown'), inner];
      return memory.keep(JSON.stringify({ schemaVersion: 2, mediaType: MediaType.ociIndex, manifests }, null, 2), MediaType.ociIndex);
    },
    beyondSkopeo: /received a manifest list instead of a manifest for a single image/,
  },
  {
    name: 'a manifest list of the docker family',
    make: (memory) => {
      const manifests = ['amd64', 'arm64'].map((architecture) => {
        const config = keepConfig(memory, MediaType.dockerConfig, architecture);
        const layers = [memory.keep(gzipSync(tar), MediaType.dockerLayerGzip)];
        const manifest = text({ schemaVersion: 2, mediaType: MediaType.dockerManifest, config, layers });
        return onPlatform(memory.keep(manifest, MediaType.dockerManifest), 'linux', architecture);
      });
      return memory.keep(text({ schemaVersion: 2, mediaType: MediaType.dockerList, manifests }), MediaType.dockerList);
    },
  },
  {
    name: 'a foreign layer, which stays where it is',
    make: (memory) => {
      const away = memory.keep('windows', MediaType.dockerForeignLayerGzip, { urls: ['https://away.test/layer'] });
      const config = keepConfig(memory, MediaType.dockerConfig);
      const layers = [away, memory.keep(gzipSync(tar), MediaType.dockerLayerGzip)];
      return memory.keep(text({ schemaVersion: 2, mediaType: MediaType.dockerManifest, config, layers }), MediaType.dockerManifest);
    },
    beyondSkopeo: /Error fetching blob/,
  },
  {
    name: 'an artifact with the empty config',
    make: (memory) => {
      const empty = memory.keep('{}', 'application/vnd.oci.empty.v1+json');
      const layers = [empty, memory.keep('a chart', 'application/vnd.cncf.helm.chart.content.v1.tar+gzip')];
      const artifact = { schemaVersion: 2, mediaType: MediaType.ociManifest, artifactType: 'text/x-note', config: empty, layers };
      return memory.keep(text(artifact), MediaType.ociManifest);
    },
  },
];

/** What skopeo sees at a place: the raw bytes. Of the docker family it finds nothing in a layout, whose entries are plain files. */
async function rawOf(place: string, root: Descriptor): Promise<string> {
  const folder = /^oci:(.*):v1$/.exec(place)?.[1];
  if (folder !== undefined && root.mediaType.includes('docker')) return await readFile(blobPath(folder, root.digest), 'utf8');
  const { stdout } = await run(skopeo, ['inspect', '--raw', ...(place.startsWith('oci:') ? [] : ['--tls-verify=false']), place]);
  return stdout;
}

/** A place on the road; its name is the one that skopeo has for it. */
interface Place {
  readonly sink: ImageSink;
  readonly source: () => Promise<ImageSource>;
  readonly name: string;
}

function repository(client: TestClient, registry: RunningRegistry | undefined, path: string): Place {
  assert.ok(registry !== undefined);
  const name = `${registry.host}/${path}:v1`;
  const reference = parseReference(name);
  const source = async (): Promise<ImageSource> => await client.openSource(reference, signal);
  return { sink: client.openSink([reference], {}), source, name: `docker://${name}` };
}

function layout(folder: string): Place {
  const reference = { folder, tag: 'v1' };
  const source = async (): Promise<ImageSource> => await openLayoutSource(reference, undefined, signal);
  return { sink: openLayoutSink(reference), source, name: `oci:${folder}:v1` };
}

for (const [number, kind] of kinds.entries()) {
  test(`${kind.name}: from registry to registry, to a layout and back, no digest changes`, { skip }, async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'yadokari-copy-'));
    await using client = testClient();
    const [one, two] = registries;
    const memory = imageMemory();
    const root = kind.make(memory);
    const stands = memory.blobs.get(root.digest)?.toString() ?? '';
    const away = [...memory.blobs.keys()].filter((digest) => isAway(stands, digest));
    const road = [
      ...[one, one, two].map((registry, step) => repository(client, registry, `kind-${number}/step-${step}`)),
      ...['a', 'b'].map((name) => layout(join(folder.path, name))),
      repository(client, two, `kind-${number}/back`),
    ];
    let source = memory.source(root);
    for (const place of road) {
      assert.equal(await copyImage(source, place.sink, signal), root.digest, place.name);
      source = await place.source();
      assert.equal(source.root.bytes.toString(), stands, place.name);
      assert.equal(source.root.mediaType, root.mediaType, place.name);
      assert.equal(await rawOf(place.name, root), stands, place.name);
      const seen = imageMemory();
      await copyImage(source, seen.sink, signal);
      assert.deepEqual([...seen.blobs.keys(), ...away].toSorted(), [...memory.blobs.keys()].toSorted(), place.name);
    }
    for (const [digest, bytes] of memory.blobs)
      if (!away.includes(digest)) assert.deepEqual(await readFile(blobPath(join(folder.path, 'b'), digest)), bytes);
    const copying = copyBySkopeo(road.at(-1)?.name ?? '', join(folder.path, 'dir'));
    if (kind.beyondSkopeo !== undefined) await assert.rejects(copying, kind.beyondSkopeo);
    else assert.equal(await copying, stands);
  });
}

/** The manifest of skopeo's own copy, for which it reads and checks everything. */
async function copyBySkopeo(from: string, folder: string): Promise<string> {
  await run(skopeo, ['copy', '--insecure-policy', '--all', '--preserve-digests', '--src-tls-verify=false', from, `dir:${folder}`]);
  return await readFile(join(folder, 'manifest.json'), 'utf8');
}

function isAway(manifest: string, digest: string): boolean {
  const { layers = [] } = JSON.parse(manifest) as { layers?: Descriptor[] }; // made above
  return layers.some((layer) => layer.digest === digest && isForeign(layer));
}

test('schema 1 is refused by name', { skip }, async () => {
  await using client = testClient();
  const [one] = registries;
  assert.ok(one !== undefined);
  const memory = imageMemory();
  await copyImage(memory.source(keepImage(memory)), client.openSink([parseReference(`${one.host}/old/image:v2`)], {}), signal);
  const [from, to] = [`docker://${one.host}/old/image:v2`, `docker://${one.host}/old/image:v1`];
  await run(skopeo, ['copy', '--insecure-policy', '--src-tls-verify=false', '--dest-tls-verify=false', '--format', 'v2s1', from, to]);
  const source = client.openSource(parseReference(`${one.host}/old/image:v1`), signal);
  await assert.rejects(source, { code: 'ERR_UNSUPPORTED', message: /it has the old schema 1/, hint: /skopeo copy --format v2s2/ });
});
