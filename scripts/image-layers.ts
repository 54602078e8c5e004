// Files to layers for images that we make ourselves. A layer is kept in build/cache by the content it was made of, since
// Node alone takes nine seconds to compress and seldom changes.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { bytesFromText } from '../src/bytes.ts';
import type { Entry } from '../src/layer/entry.ts';
import { defaultZlibLevel } from '../src/layer/gzip.ts';
import { verify } from '../src/layer/meter.ts';
import { openBlobStore } from '../src/layer/store.ts';
import { writeLayer } from '../src/layer/write.ts';
import { parseDigest } from '../src/oci/digest.ts';
import type { Layer } from '../src/oci/image.ts';
import { parseJson } from '../src/oci/json.ts';
import { MediaType } from '../src/oci/media-type.ts';
import type { ImageFile } from './image-files.ts';

const root = join(import.meta.dirname, '..');
const sliceBytes = 256 * 1024;
const cacheFolder = join(root, 'build/cache/layers');

/** The files as one gzip layer, owned by root and dated `seconds` after 1970. */
export async function layerOf(files: readonly ImageFile[], seconds: number, signal: AbortSignal): Promise<Layer> {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const key = keyOf(sorted, seconds);
  const blob = join(cacheFolder, `${key}.tar.gz`);
  const facts = join(cacheFolder, `${key}.json`);
  if (!existsSync(facts)) {
    mkdirSync(cacheFolder, { recursive: true });
    await using store = openBlobStore(cacheFolder);
    const entries = Readable.from(sorted.map((file) => entryOf(file, seconds)));
    const { layer } = await writeLayer(entries, { compression: 'gzip', level: defaultZlibLevel, family: 'oci', store }, signal);
    const partial = `${blob}.${process.pid}`; // two of us may be at it
    await pipeline(layer.open(signal), createWriteStream(partial), { signal });
    renameSync(partial, blob);
    writeFileSync(facts, JSON.stringify({ digest: layer.descriptor.digest, size: layer.descriptor.size, diffId: layer.diffId }));
  }
  return cachedLayer(blob, facts);
}

function cachedLayer(blob: string, facts: string): Layer {
  const known = parseJson(readFileSync(facts, 'utf8'));
  const digest = known instanceof Map ? known.get('digest') : undefined;
  const diffId = known instanceof Map ? known.get('diffId') : undefined;
  const size = known instanceof Map ? known.get('size') : undefined;
  if (typeof digest !== 'string' || typeof diffId !== 'string' || typeof size !== 'number')
    throw new Error(`Cannot use ${facts}: delete it`);
  const expected = { digest: parseDigest(digest), size, subject: blob };
  return {
    descriptor: { mediaType: MediaType.ociLayerGzip, digest: expected.digest, size },
    diffId: parseDigest(diffId),
    open: (signal) => Readable.from(verify(createReadStream(blob, { signal }), expected), { objectMode: false }),
  };
}

/** Depends on every byte of the files, and of the code that makes layers of them. */
function keyOf(files: readonly ImageFile[], seconds: number): string {
  const hash = createHash('sha256');
  const room = join(root, 'src/layer');
  for (const name of readdirSync(room).sort()) hash.update(readFileSync(join(room, name)));
  hash.update(readFileSync(import.meta.filename));
  for (const { path, mode, content } of files) {
    hash.update(JSON.stringify([path, mode, content.kind, content.kind === 'symlink' ? content.target : '', seconds]));
    if (content.kind === 'file') hash.update(`${content.bytes.length}\n`).update(content.bytes);
  }
  return hash.digest('hex');
}

function entryOf({ path, mode, content }: ImageFile, seconds: number): Entry {
  return {
    type: content.kind,
    path: bytesFromText(path),
    mode,
    uid: 0,
    gid: 0,
    mtime: { seconds, nanoseconds: 0 },
    xattrs: new Map(),
    size: content.kind === 'file' ? content.bytes.length : 0,
    ...(content.kind === 'symlink' ? { linkTarget: bytesFromText(content.target) } : {}),
    ...(content.kind === 'file' ? { content: slices(content.bytes) } : {}),
  };
}

async function* slices(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += sliceBytes) yield bytes.subarray(at, at + sliceBytes);
}
