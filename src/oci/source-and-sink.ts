// Where images come from and go to, as they are stored: a registry's repository, an OCI layout.
import type { Readable } from 'node:stream';
import type { Descriptor } from './descriptor.ts';
import type { Digest } from './digest.ts';
import type { ImageBlob } from './image.ts';
import type { StoredManifest } from './manifest.ts';
import type { Platform } from './platform.ts';
import type { Reference } from './reference.ts';

/** What an image's name stands for: a manifest or an index. */
export interface StoredRoot extends StoredManifest {
  /** Where its place says for which it is. */
  readonly platform?: Platform;
}

/** One image, or an index of several, where it is. All that comes from it has the digest that was asked for. */
export interface ImageSource {
  /** For messages. */
  readonly name: string;
  readonly root: StoredRoot;
  /** One that an index of it names. @throws BuilderError where it is not there */
  readonly manifest: (descriptor: Descriptor, signal: AbortSignal) => Promise<StoredManifest>;
  /** A small blob in memory. @throws ERR_LAYER when it has more than `limitBytes` */
  readonly bytes: (descriptor: Descriptor, limitBytes: number, signal: AbortSignal) => Promise<Buffer>;
  /** A blob's bytes, as `ImageBlob.open`. */
  readonly open: (descriptor: Descriptor, signal: AbortSignal) => Readable;
  /** The repository to mount blobs from. */
  readonly from?: Reference;
  /** Manifests about one of its manifests: signatures, bills of materials. Left out where the place can't have any. */
  readonly referrers?: (subject: Digest, signal: AbortSignal) => Promise<readonly Descriptor[]>;
}

/** A place for one image. Nothing is written before what it names is there. */
export interface ImageSink {
  /** Those of one manifest; what is there already stays. */
  readonly writeBlobs: (blobs: readonly ImageBlob[], signal: AbortSignal) => Promise<void>;
  /** One that an index names. */
  readonly writeManifest: (manifest: StoredManifest, signal: AbortSignal) => Promise<void>;
  /** What the place's name stands for from now on. */
  readonly writeRoot: (root: StoredRoot, signal: AbortSignal) => Promise<void>;
  /** One about a manifest that is there, to be found by it. Left out where the place can't have any. */
  readonly writeReferrer?: (manifest: StoredManifest, signal: AbortSignal) => Promise<void>;
}
