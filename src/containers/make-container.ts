// `from`: a new container, whose files are an image's.
import { bytesFromText } from '../bytes.ts';
import type { Emit } from '../events.ts';
import { plainRoot } from '../files/root.ts';
import { splitDigest } from '../oci/digest.ts';
import type { Image } from '../oci/image.ts';
import { emptyImageConfig } from '../oci/image-config.ts';
import type { Platform } from '../oci/platform.ts';
import type { StoredImage } from '../oci/stored-image.ts';
import { scanRoot, settleClock } from '../rootfs/scan.ts';
import { writeSnapshot } from '../rootfs/snapshot-file.ts';
import { unpackImage } from '../rootfs/unpack-image.ts';
import type { ContainerStore, OpenContainer } from './container-store.ts';
import { type ContainerState, type RunSettings, noSettings } from './state.ts';

/** The image to begin with. */
interface BaseImage {
  readonly stored: StoredImage;
  /** As the store calls it; its id where it has no name. */
  readonly name: string;
}

export interface NewContainer {
  /** Undefined is scratch. */
  readonly base?: BaseImage;
  /** Instead of one that is made of the image's. */
  readonly name?: string;
  readonly platform: Platform;
  readonly run: RunSettings;
  /** RFC 3339. */
  readonly created: string;
}

/** Makes a container and gives its state. Nothing stays of one that can't be made. @throws ERR_USAGE for its name, and as `unpackImage` */
export async function makeContainer(store: ContainerStore, wanted: NewContainer, emit: Emit, signal: AbortSignal): Promise<ContainerState> {
  const naming = wanted.name === undefined ? { base: nameFor(wanted.base?.name) } : { name: wanted.name };
  using container = await store.create(naming, (id, name) => describe(wanted, id, name), signal);
  try {
    await fill(container, wanted.base?.stored.image ?? { layers: [] }, emit, signal);
    return await store.update(container.state.id, (state) => ({ ...state, status: 'ready' }), signal);
  } catch (error) {
    await store.remove(container, new AbortController().signal);
    throw error;
  }
}

function describe({ base, platform, run, created }: NewContainer, id: string, name: string): ContainerState {
  return {
    id,
    name,
    status: 'making',
    created,
    ...(base === undefined ? {} : { image: base.stored.manifest.digest, imageId: splitDigest(base.stored.config.descriptor.digest).hex }),
    imageName: base?.name ?? 'scratch',
    isMounted: false,
    mountPoints: [],
    config: base?.stored.image.config ?? emptyImageConfig(platform),
    settings: { ...noSettings, annotations: annotationsOf(base) },
    run,
  };
}

// image-spec annotations.md: what an image was made of.
function annotationsOf(base: BaseImage | undefined): ReadonlyMap<string, string> {
  if (base === undefined) return new Map();
  return new Map([
    ...base.stored.image.annotations,
    ['org.opencontainers.image.base.digest', base.stored.manifest.digest],
    ['org.opencontainers.image.base.name', base.name],
  ]);
}

/** `docker.io/library/debian:12` → `debian-working-container`. */
function nameFor(imageName: string | undefined): string {
  const last = imageName?.split('/').at(-1)?.split(/[:@]/)[0] ?? '';
  return last === '' ? 'working-container' : `${last}-working-container`;
}

async function fill(container: OpenContainer, image: Pick<Image, 'layers'>, emit: Emit, signal: AbortSignal): Promise<void> {
  await unpackImage(image, container.rootFolder, { emit }, signal);
  const tree = await scanRoot(plainRoot(bytesFromText(container.rootFolder)), signal);
  await writeSnapshot(container.snapshotPath, tree);
  // A change in the same clock tick as the newest one seen would keep its ctime.
  await settleClock(tree, signal);
}
