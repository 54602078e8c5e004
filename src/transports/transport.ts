// Kinds of places for images, by the word in front of a name's first colon, as skopeo, podman and buildah know them.
import type { MediaFamily } from '../oci/media-type.ts';
import type { Platform } from '../oci/platform.ts';
import type { Reference } from '../oci/reference.ts';
import type { ImageSink, ImageSource } from '../oci/source-and-sink.ts';
import type { RegistryClient } from '../registry/client.ts';
import type { Policy } from '../trust/policy.ts';
import type { Signer } from '../trust/signer.ts';
import type { EngineAddress } from './docker-engine.ts';

/** What readers of a kind of place expect; it decides what a copy has to change. */
export interface TransportTraits {
  readonly name: TransportName;
  /** Whose manifests are understood there. */
  readonly families: readonly MediaFamily[];
  /** Whether an index may be there, with all that it names. */
  readonly hasIndexes: boolean;
  /** Whether images have a manifest there, and so a digest to keep. */
  readonly hasManifests: boolean;
  /** Plain layers only; layers as they come; or the same, but what never had a digest is compressed. */
  readonly layers: 'plain' | 'kept' | 'compressed';
}

/** A kind of place that has a word for it. */
export interface Transport extends TransportTraits {
  /** A place of this kind, by what follows the colon. @throws ERR_REFERENCE */
  readonly parse: (text: string) => Place;
}

type TransportName = 'docker' | 'oci' | 'oci-archive' | 'docker-archive' | 'docker-daemon' | 'dir' | 'store';

/** Where one image is, or will be. */
export interface Place {
  readonly transport: TransportTraits;
  /** With the transport's name; parsing it again gives the same place. */
  readonly name: string;
  /** In a registry. */
  readonly reference?: Reference;
  /** On disk. */
  readonly path?: string;
  /** What is there. @throws BuilderError where nothing is */
  readonly openSource: (means: Means, signal: AbortSignal) => Promise<OpenSource>;
  /** `moreNames` are names besides the place's own, in the place's words. @throws ERR_REFERENCE for one that it can't have */
  readonly openSink: (means: Means, moreNames: readonly string[], signal: AbortSignal) => Promise<OpenSink>;
  /** What the image is called there, where that was said and is no whole name. */
  readonly imageName?: string;
  /** All names at the place; left out where there can't be several. */
  readonly listNames?: (means: Means, signal: AbortSignal) => Promise<readonly string[]>;
  /** Removes what the name stands for; left out where that can't be. @throws BuilderError where nothing is */
  readonly remove?: (means: Means, signal: AbortSignal) => Promise<void>;
  /** Signatures beside the image, by file name; left out where there is no place for them. */
  readonly readSignatures?: () => Promise<readonly Signature[]>;
  readonly addSignature?: (name: string, bytes: Buffer) => Promise<void>;
}

/** As containers/image keeps them beside an image. */
export interface Signature {
  readonly name: string;
  readonly bytes: Buffer;
}

/** What places need of the world. */
export interface Means {
  readonly registry: RegistryClient;
  /** From where images may be copied; left out: from anywhere. */
  readonly policy?: Policy;
  /** Signs each image that is copied there, and their index, by each name that it gets. */
  readonly signer?: Signer;
  /** For archives that have to be unpacked first; on disk. */
  readonly temporaryFolder: string;
  /** Chooses where a name stands for several images. */
  readonly platform: Platform;
  /** The usual one where left out. */
  readonly engine?: EngineAddress;
}

export type OpenSource = ImageSource & AsyncDisposable;

/** Nothing of an archive is seen before `finish`; what is disposed of before it leaves no name behind. */
export interface OpenSink extends ImageSink, AsyncDisposable {
  readonly finish: () => Promise<void>;
}
