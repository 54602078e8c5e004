import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { gzipSync, zstdDecompressSync } from 'node:zlib';
import { BuilderError } from '../../../src/errors.ts';
import { openBlobStore } from '../../../src/layer/store.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { parseManifest } from '../../../src/oci/manifest.ts';
import { MediaType } from '../../../src/oci/media-type.ts';
import type { ImageSource } from '../../../src/oci/source-and-sink.ts';
import { convertedSource } from '../../../src/transports/convert.ts';
import { imageMemory } from '../../support/image-memory.ts';
import { temporaryFolder } from '../../support/tree.ts';

const { signal } = new AbortController();
// Larger than the buffers on the way, and of a kind that shows where one was used twice.
const plain = Buffer.concat(Array.from({ length: 40 }, (_, index) => Buffer.concat([Buffer.alloc(90_000, index), randomBytes(60_000)])));

/** An image of one gzip layer whose config says this of the plain bytes. */
function imageThatSays(diffId: string): ImageSource {
  const { keep, source } = imageMemory();
  const config = { architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [diffId] }, history: [] };
  const manifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: keep(JSON.stringify(config), MediaType.ociConfig),
    layers: [keep(gzipSync(plain), MediaType.ociLayerGzip)],
  };
  return source(keep(JSON.stringify(manifest), MediaType.ociManifest));
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
