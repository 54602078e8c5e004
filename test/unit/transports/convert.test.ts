import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { gzipSync, zstdDecompressSync } from 'node:zlib';
import { BuilderError } from '../../../src/errors.ts';
import type { Emit } from '../../../src/events.ts';
import { openBlobStore } from '../../../src/layer/store.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { parseManifest } from '../../../src/oci/manifest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import type { ImageSource } from '../../../src/oci/source-and-sink.ts';
import { convertedSource } from '../../../src/transports/convert.ts';
import { type ImageMemory, imageMemory } from '../../support/image-memory.ts';
import { temporaryFolder } from '../../support/tree.ts';

const { signal } = new AbortController();
// Larger than the buffers on the way, and of a kind that shows where one was used twice.
const plain = Buffer.concat(Array.from({ length: 40 }, (_, index) => Buffer.concat([Buffer.alloc(90_000, index), randomBytes(60_000)])));

/** An image of one gzip layer whose config says this of the plain bytes. */
function imageThatSays(diffId: string, { keep, source } = imageMemory()): ImageSource {
  const config = { architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [diffId] }, history: [] };
  const manifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: keep(JSON.stringify(config), MediaType.ociConfig),
    layers: [keep(gzipSync(plain), MediaType.ociLayerGzip)],
  };
  return source(keep(JSON.stringify(manifest), MediaType.ociManifest));
}

/** An index of that image and of what was attested of it. */
function indexOf(image: ImageSource, memory: ImageMemory): ImageSource {
  const { bytes, digest } = image.root;
  const statement = memory.keep('{}', 'application/vnd.in-toto+json');
  const attestation = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: memory.keep('{}', MediaType.ociConfig),
    layers: [statement],
  };
  const about = { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': digest };
  const manifests = [
    { ...memory.keep(bytes, MediaType.ociManifest), platform: { os: 'linux', architecture: 'amd64' } },
    {
      ...memory.keep(JSON.stringify(attestation), MediaType.ociManifest),
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: about,
    },
  ];
  return memory.source(memory.keep(JSON.stringify({ schemaVersion: 2, manifests }), MediaType.ociIndex));
}

async function asZstd(source: ImageSource, context: TestContext): Promise<Buffer> {
  await using store = openBlobStore(temporaryFolder(context));
  const converted = await convertedSource(source, { compression: 'zstd' }, { store, emit: () => undefined }, signal);
  const view = parseManifest(converted.root.bytes, converted.root.mediaType);
  const [layer] = view.kind === 'manifest' ? view.layers : [];
  assert.equal(layer?.mediaType, MediaType.ociLayerZstd);
  return zstdDecompressSync(await buffer(converted.open(layer, signal)));
}

test('a layer that is compressed otherwise has the bytes that it had', async (context) => {
  const found = await asZstd(imageThatSays(digestOf(plain)), context);
  assert.ok(found.equals(plain));
});

test('a layer that is not what its config says is not compressed anew but refused', async (context) => {
  const other = digestOf('something else');
  await assert.rejects(asZstd(imageThatSays(other), context), (error) => {
    assert.ok(error instanceof BuilderError && error.code === 'ERR_DIGEST_MISMATCH');
    assert.match(error.message, new RegExp(`^Cannot use layer sha256:[0-9a-f]{64} of .*: its digest is ${digestOf(plain)}, not ${other}$`));
    return true;
  });
});

test('attestations of an index stay with the image that they are about, and it is told that they speak of what it was', async (context) => {
  await using store = openBlobStore(temporaryFolder(context));
  const memory = imageMemory();
  const warnings: string[] = [];
  const emit: Emit = (event) => void (event.kind === 'warning' && warnings.push(event.message));
  const index = indexOf(imageThatSays(digestOf(plain), memory), memory);
  const { root } = await convertedSource(index, { compression: 'zstd' }, { store, emit }, signal);
  const view = parseManifest(root.bytes, root.mediaType);
  const [image, attestation] = view.kind === 'index' ? view.manifests : [];
  assert.notEqual(image?.digest, imageThatSays(digestOf(plain), memory).root.digest);
  assert.deepEqual(Object.fromEntries(attestation?.annotations ?? []), {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': image?.digest,
  });
  assert.deepEqual(warnings, ['what attestations of memory state is about the digests that its images had before they were converted']);
});
