// A place for images in memory, in the words of `ImageSource` and `ImageSink`; what is written to it is told in order.
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { BuilderError } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { type StoredManifest, storedManifest } from '../../src/oci/manifest.ts';
import type { ImageSink, ImageSource, StoredRoot } from '../../src/oci/source-and-sink.ts';

export interface ImageMemory {
  readonly blobs: Map<Digest, Buffer>;
  /** `blob`, `manifest` and `root` with what was written, in order. */
  readonly written: string[];
  /** Keeps bytes; the descriptor that names them. */
  readonly keep: (bytes: Buffer | string, mediaType: string, more?: Partial<Descriptor>) => Descriptor;
  readonly source: (root: Descriptor) => ImageSource;
  readonly sink: ImageSink;
}

/** An empty one. */
export function imageMemory(): ImageMemory {
  const blobs = new Map<Digest, Buffer>();
  const written: string[] = [];
  const read = (digest: Digest): Buffer => {
    const bytes = blobs.get(digest);
    if (bytes === undefined) throw new BuilderError('ERR_LAYER', `Cannot read ${digest}: it is not here`);
    return bytes;
  };
  const manifestAt = ({ digest, mediaType }: Descriptor): StoredManifest => storedManifest(read(digest), mediaType, digest);
  const write = (what: string, { bytes, digest }: StoredManifest): void => {
    blobs.set(digest, bytes);
    written.push(`${what} ${digest}`);
  };
  return {
    blobs,
    written,
    keep: (content, mediaType, more = {}) => {
      const bytes = Buffer.from(content);
      const digest = digestOf(bytes);
      blobs.set(digest, bytes);
      return { mediaType, digest, size: bytes.length, ...more };
    },
    source: (root) => ({
      name: 'memory',
      root: manifestAt(root),
      manifest: async (descriptor) => await Promise.resolve(manifestAt(descriptor)),
      bytes: async ({ digest, size }, limitBytes) => {
        if (size > limitBytes) throw new BuilderError('ERR_LAYER', `Cannot read ${digest}: it has more than ${limitBytes} bytes`);
        return await Promise.resolve(read(digest));
      },
      open: ({ digest }) => Readable.from([read(digest)], { objectMode: false }),
      from: { registry: 'memory.test', repository: 'it' },
    }),
    sink: {
      writeBlobs: async (list, signal) => {
        for (const { descriptor, open } of list) {
          blobs.set(descriptor.digest, await buffer(open(signal)));
          written.push(`blob ${descriptor.digest}`);
        }
      },
      writeManifest: async (manifest) => await Promise.resolve(write('manifest', manifest)),
      writeRoot: async (root: StoredRoot) => await Promise.resolve(write('root', root)),
    },
  };
}
