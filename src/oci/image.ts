// An image as a value: a config and its layers. Changes return a new image.
import type { Readable } from 'node:stream';
import type { ByteString } from '../bytes.ts';
import type { Descriptor } from './descriptor.ts';
import type { Digest } from './digest.ts';
import type { HistoryEntry, ImageConfig } from './image-config.ts';
import type { MediaFamily } from './media-type.ts';
import type { Reference } from './reference.ts';
import { type RunConfig } from './run-config.ts';

/** Content with a digest, and where to get it. */
export interface ImageBlob {
  readonly descriptor: Descriptor;
  /**
   * The blob as stored (compressed). May be called again, which is what makes retries possible; whoever gets the
   * stream owns it. It ends only if size and digest are the descriptor's, else it fails with ERR_DIGEST_MISMATCH.
   */
  readonly open: (signal: AbortSignal) => Readable;
  /** A repository that is known to hold the blob, to mount it from. */
  readonly from?: Reference;
}

export interface Layer extends ImageBlob {
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest;
  /**
   * What `open` gives, for who verifies the diff_id of what is in it: not hashed a second time, and each chunk is valid only until the
   * next is asked for. Undefined where that would be no less work.
   */
  readonly chunks?: (signal: AbortSignal) => AsyncIterable<Buffer>;
  /** Somebody who wants to know what it holds, for whoever begins to read its entries; undefined where he knows. */
  readonly watch?: () => LayerWatch | undefined;
}

/** Told of a layer's entries as they go by. */
export interface LayerWatch {
  /** `type` as archives have them, `size` of a file's content. */
  readonly add: (entry: { readonly path: ByteString; readonly type: string; readonly size: number }) => void;
  /** These were all, and the right ones. */
  readonly end: () => void;
}

/** A layer that is being written. */
export interface GrowingLayer {
  /** Its bytes from the start, as they come; nobody has verified them. Each chunk is valid until the next is asked for. */
  readonly chunks: (signal: AbortSignal) => AsyncIterable<Buffer>;
  /** Rejected where nothing comes of it. */
  readonly finished: Promise<Layer>;
}

export interface Image {
  readonly config: ImageConfig;
  readonly layers: readonly Layer[];
  readonly family: MediaFamily;
  /** Of the manifest. */
  readonly annotations: ReadonlyMap<string, string>;
}

/** The image with one more layer and its history entry. */
export function appendLayer(image: Image, layer: Layer, history: HistoryEntry): Image {
  return {
    ...image,
    layers: [...image.layers, layer],
    config: {
      ...image.config,
      diffIds: [...image.config.diffIds, layer.diffId],
      history: [...image.config.history, history],
    },
  };
}

/** Of an archive without entries: 1,024 zero bytes. */
const emptyDiffId = 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef';

/** True where a layer holds nothing at all. */
export function isEmptyLayer({ diffId }: Pick<Layer, 'diffId'>): boolean {
  return diffId === emptyDiffId;
}

/** The image after an instruction that makes no layer. */
export function appendHistory(image: Image, history: HistoryEntry): Image {
  const entry = { ...history, emptyLayer: true };
  return { ...image, config: { ...image.config, history: [...image.config.history, entry] } };
}

/** The image with another run configuration. */
export function withRunConfig(image: Image, config: RunConfig): Image {
  return { ...image, config: { ...image.config, config } };
}
