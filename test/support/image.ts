// Images made of bytes, for tests that move them about.
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { digestOf } from '../../src/oci/digest.ts';
import type { GrowingLayer, Image, Layer } from '../../src/oci/image.ts';
import { emptyImageConfig } from '../../src/oci/image-config.ts';
import { MediaType } from '../../src/oci/media-type.ts';
import type { Platform } from '../../src/oci/platform.ts';
import { type StoredImage, encodeImage } from '../../src/oci/stored-image.ts';

/** Where it is of no matter which. */
export const platform: Platform = { os: 'linux', architecture: 'amd64' };

/** A layer of bytes that claim to be a plain tar; the registry doesn't look. */
export function layerOf(bytes: Buffer): Layer {
  const digest = digestOf(bytes);
  return {
    descriptor: { mediaType: MediaType.ociLayer, digest, size: bytes.length },
    diffId: digest,
    open: () => Readable.from(pieces(bytes), { objectMode: false }),
  };
}

/** A layer that comes a piece at a time, as `write` is called; `end` says that this was all, `fail` that nothing comes of it. */
export function growingLayer(): GrowingLayer & {
  readonly write: (bytes: Buffer) => void;
  readonly end: () => Layer;
  readonly fail: (reason: Error) => void;
} {
  const written: Buffer[] = [];
  const { promise: finished, resolve, reject } = Promise.withResolvers<Layer>();
  finished.catch(() => undefined);
  const state = { isOver: false };
  let more = Promise.withResolvers<void>();
  const tell = (): void => {
    more.resolve();
    more = Promise.withResolvers();
  };
  const read = async function* (): AsyncGenerator<Buffer, void, undefined> {
    for (let index = 0; ; index++) {
      while (index === written.length && !state.isOver) await more.promise;
      const bytes = written[index];
      if (bytes === undefined) return void (await finished);
      yield bytes;
    }
  };
  return {
    chunks: read,
    finished,
    write: (bytes) => (written.push(bytes), tell()),
    end: () => {
      const layer = layerOf(Buffer.concat(written));
      resolve(layer);
      state.isOver = true;
      tell();
      return layer;
    },
    fail: (reason) => {
      reject(reason);
      state.isOver = true;
      tell();
    },
  };
}

/** An image of such layers. */
export function imageOf(...layers: readonly Layer[]): Image {
  const config = emptyImageConfig({ os: 'linux', architecture: 'amd64' });
  return { config: { ...config, diffIds: layers.map((layer) => layer.diffId) }, layers, family: 'oci', annotations: new Map() };
}

/** An image of such layers, with its manifest and config. */
export function storedOf(...layers: readonly Layer[]): StoredImage {
  return encodeImage(imageOf(...layers));
}

/** Bytes that nothing else has. */
export function someBytes(size: number): Buffer {
  return randomBytes(size);
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}
