// The images that stages start from and COPY reads from: each resolved once, its layers downloaded once, in parallel, while
// they are being unpacked.
import { Readable } from 'node:stream';
import { BuilderError, hideCredentials, type ErrorCode } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Layer, Image } from '../oci/image.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import type { Emit } from '../events.ts';
import type { LayerListings } from '../layer/layer-listings.ts';
import type { BlobStore } from '../layer/store.ts';
import { createLimit } from '../registry/limit.ts';
import type { StageLayer } from '../rootfs/stage-layer.ts';
import { type Again, withRetries } from '../registry/again.ts';

/** An image whose layers come to our disk when they are asked for. */
interface FetchedImage {
  /** Its layers are read from the disk where they are there or on their way, else from where the image is. */
  readonly image: Image;
  readonly layers: readonly StageLayer[];
}

/** Finds the image a name stands for: a registry's, or a named context's. */
export type ResolveImage = (name: string, platform: Platform, signal: AbortSignal) => Promise<Image>;

export interface BaseImages {
  /** The image's config and manifest, without its layers. */
  readonly describe: (name: string, platform: Platform) => Promise<Image>;
  /** The image with its layers; `isWanted` starts to download all of them at once. */
  readonly fetch: (name: string, platform: Platform, isWanted: boolean) => Promise<FetchedImage>;
  /** True for a layer that has come to our disk, or is on its way there. */
  readonly isFetched: (digest: Digest) => boolean;
}

/** A layer on its way to our disk. */
interface Receiving {
  /** Once all of it is there and right. */
  readonly whole: Promise<Layer>;
  /** Of the latest try, once that has begun. */
  readonly arriving: () => Promise<Layer>;
}

/** Downloads of one image at a time; a registry rarely gives more to a fifth connection. */
const parallelDownloads = 4;

export interface BaseImageOptions {
  readonly resolve: ResolveImage;
  /** Hears of each image that is asked for, also where it is known. */
  readonly onAsked?: (name: string, platform: Platform) => void;
  readonly store: BlobStore;
  /** Tries more for an image or a layer that failed, after those that the connection makes by itself. */
  readonly retries: number;
  /** Get what layers hold, whenever somebody reads them. */
  readonly listings?: LayerListings | undefined;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** Images by name and platform; the same layer of two images is downloaded once. */
export function createBaseImages({ resolve, onAsked, store, retries, listings, emit, signal }: BaseImageOptions): BaseImages {
  const described = new Map<string, Promise<Image>>();
  const received = new Map<string, Receiving>();
  const limit = createLimit(parallelDownloads);

  const pullingAgain = (name: string): Again => ({
    task: `pulling ${name}`,
    retriesAfter: ({ code }) => retriesAfter(code, retries),
    emit,
    signal,
  });

  const describe = (name: string, platform: Platform): Promise<Image> => {
    onAsked?.(name, platform);
    const key = `${name} ${formatPlatform(platform)}`;
    const known = described.get(key);
    if (known !== undefined) return known;
    emit({ kind: 'phase', phase: 'pulling', detail: hideCredentials(name) });
    const image = withRetries(() => resolve(name, platform, signal), pullingAgain(name)).catch((error: unknown) => {
      throw wrap(name, error);
    });
    described.set(key, image);
    return image;
  };

  const receive = (name: string, remote: Layer): Receiving => {
    const known = received.get(remote.descriptor.digest);
    if (known !== undefined) return known;
    const layer: Layer = listings === undefined ? remote : { ...remote, watch: () => listings.watch(remote.diffId) };
    const fetching = (onBegun: (arriving: Layer) => void): Promise<Layer> =>
      limit(() => withRetries(() => store.receive(layer, signal, onBegun), pullingAgain(name))).catch((error: unknown) => {
        throw wrap(name, error);
      });
    const receiving = watchArrival(fetching);
    received.set(layer.descriptor.digest, receiving);
    return receiving;
  };

  return {
    describe,
    isFetched: (digest) => received.has(digest),
    fetch: async (name, platform, isWanted) => {
      const image = await describe(name, platform);
      if (isWanted) for (const layer of image.layers) void receive(name, layer);
      return {
        image: { ...image, layers: image.layers.map((layer) => ({ ...layer, open: (open) => openNearest(layer, received, open) })) },
        layers: image.layers.map((layer) => stageLayer(layer, () => receive(name, layer))),
      };
    },
  };
}

function watchArrival(fetching: (onBegun: (arriving: Layer) => void) => Promise<Layer>): Receiving {
  const begun = Promise.withResolvers<void>();
  let latest: Layer | undefined;
  const whole = fetching((arriving) => {
    latest = arriving;
    begun.resolve();
  });
  // Whoever unpacks awaits it; until then a failure must not count as unhandled.
  whole.catch(() => undefined);
  const arriving = async (): Promise<Layer> => {
    await Promise.race([begun.promise, whole]);
    return latest ?? (await whole);
  };
  return { whole, arriving };
}

function stageLayer({ diffId }: Layer, receive: () => Receiving): StageLayer {
  return { diffId, layer: () => receive().whole, arriving: () => receive().arriving() };
}

function openNearest(layer: Layer, received: ReadonlyMap<string, Receiving>, signal: AbortSignal): Readable {
  const coming = received.get(layer.descriptor.digest)?.whole;
  if (coming === undefined) return layer.open(signal);
  const chunks = async function* (): AsyncGenerator<Buffer> {
    yield* (await coming).open(signal);
  };
  return Readable.from(chunks(), { objectMode: false });
}

/** A line or a cache spoils bytes now and then: what has another digest is fetched once more in any case. */
function retriesAfter(code: ErrorCode, retries: number): number {
  if (code === 'ERR_DIGEST_MISMATCH') return Math.max(1, retries);
  return code === 'ERR_REGISTRY' ? retries : 0;
}

/** True for a name that says no registry. */
function isOnHub(name: string): boolean {
  return !/^[^/]*[.:A-Z][^/]*\/|^localhost\//.test(name);
}

function hubHint(name: string): string {
  return `a name without a registry's host, such as ${name}, is Docker Hub's; --registry-mirror or HOST/${name} takes it from elsewhere`;
}

function wrap(name: string, error: unknown): unknown {
  if (!(error instanceof BuilderError) || error.code === 'ERR_ABORTED') return error;
  // What is no name has been told, without a password that may be in it.
  if (error.code === 'ERR_REFERENCE' && error.message.startsWith('Cannot use ')) return error;
  const why = error.message.replace(/^Cannot (?:pull|take) \S+: /, '');
  const isRegistrys = error.code === 'ERR_REGISTRY' || error.code === 'ERR_AUTH';
  const hint = isOnHub(name) && isRegistrys ? [error.hint, hubHint(name)].filter((each) => each !== undefined).join('; ') : error.hint;
  return new BuilderError(error.code, `Cannot pull ${name}: ${why}`, { cause: error.cause, hint });
}
