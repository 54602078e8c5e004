// The images that stages start from and COPY reads from: each resolved once, its layers downloaded once, in parallel, while
// earlier layers are being unpacked.
import { Readable } from 'node:stream';
import { BuilderError } from '../errors.ts';
import type { Layer, Image } from '../oci/image.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import type { Emit } from '../events.ts';
import type { BlobStore } from '../layer/store.ts';
import { readAgainOnMismatch } from '../registry/again.ts';
import { createLimit } from '../registry/limit.ts';
import type { StageLayer } from '../rootfs/disk.ts';

/** An image whose layers come to our disk when they are asked for. */
export interface FetchedImage {
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
}

/** Downloads of one image at a time; a registry rarely gives more to a fifth connection. */
const parallelDownloads = 4;

export interface BaseImageOptions {
  readonly resolve: ResolveImage;
  readonly store: BlobStore;
  /** Tries more for what failed, besides those of the connection itself. */
  readonly retries: number;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** Images by name and platform; the same layer of two images is downloaded once. */
export function createBaseImages({ resolve, store, retries, emit, signal }: BaseImageOptions): BaseImages {
  const described = new Map<string, Promise<Image>>();
  const received = new Map<string, Promise<Layer>>();
  const limit = createLimit(parallelDownloads);

  const again = async <Value>(name: string, task: () => Promise<Value>): Promise<Value> => {
    for (let retry = 1; ; retry++) {
      try {
        return await task();
      } catch (error) {
        const mayRetry = error instanceof BuilderError && ['ERR_REGISTRY', 'ERR_DIGEST_MISMATCH'].includes(error.code);
        if (retry > retries || !mayRetry || signal.aborted) throw error;
        const message = `${error.message}; pulling ${name} again (${retry} of ${retries})`;
        emit({ kind: 'warning', code: `pull-retry ${name} ${retry}`, message });
      }
    }
  };

  const describe = (name: string, platform: Platform): Promise<Image> => {
    const key = `${name} ${formatPlatform(platform)}`;
    const known = described.get(key);
    if (known !== undefined) return known;
    emit({ kind: 'phase', phase: 'pulling', detail: name });
    const image = again(name, () => resolve(name, platform, signal)).catch((error: unknown) => {
      throw wrap(name, error);
    });
    described.set(key, image);
    return image;
  };

  const receive = (name: string, layer: Layer): Promise<Layer> => {
    const known = received.get(layer.descriptor.digest);
    if (known !== undefined) return known;
    const promise = limit(() => again(name, () => readAgainOnMismatch(() => store.receive(layer, signal), signal))).catch(
      (error: unknown) => {
        throw wrap(name, error);
      },
    );
    // Whoever unpacks awaits it; until then a failure must not count as unhandled.
    promise.catch(() => undefined);
    received.set(layer.descriptor.digest, promise);
    return promise;
  };

  return {
    describe,
    fetch: async (name, platform, isWanted) => {
      const image = await describe(name, platform);
      if (isWanted) for (const layer of image.layers) void receive(name, layer);
      return {
        image: { ...image, layers: image.layers.map((layer) => ({ ...layer, open: (open) => openNearest(layer, received, open) })) },
        layers: image.layers.map((layer) => ({ diffId: layer.diffId, layer: () => receive(name, layer) })),
      };
    },
  };
}

function openNearest(layer: Layer, received: ReadonlyMap<string, Promise<Layer>>, signal: AbortSignal): Readable {
  const coming = received.get(layer.descriptor.digest);
  if (coming === undefined) return layer.open(signal);
  const chunks = async function* (): AsyncGenerator<Buffer> {
    yield* (await coming).open(signal);
  };
  return Readable.from(chunks(), { objectMode: false });
}

function wrap(name: string, error: unknown): unknown {
  if (!(error instanceof BuilderError) || error.code === 'ERR_ABORTED') return error;
  return new BuilderError(error.code, `Cannot pull ${name}: ${error.message}`, {
    cause: error.cause,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
