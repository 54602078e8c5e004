// What the image holds, for the files that tell of a build, as far as its layers are at hand: noted while they were written and read; of a
// build that fails, what the stage holds that it failed in.
import { messageOf } from '../errors.ts';
import type { Emit } from '../events.ts';
import { readContents } from '../layer/image-contents.ts';
import type { LayerListings } from '../layer/layer-listings.ts';
import type { Digest } from '../oci/digest.ts';
import type { Image } from '../oci/image.ts';
import { formatPlatform } from '../oci/platform.ts';
import type { BaseImages } from './base-images.ts';
import type { BuildPlan } from './plan.ts';
import type { BuildRequest } from './request.ts';

export interface ContentsScope {
  readonly request: BuildRequest;
  readonly plan: BuildPlan;
  /** The stage that the image is of. */
  readonly stage: number | undefined;
  readonly bases: BaseImages;
  /** Layers that this build has made. */
  readonly made: ReadonlySet<Digest>;
  /** What is known of layers that were written or read. */
  readonly listings: LayerListings;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** Emits `image.contents`. Layers that nobody needed are not fetched for it, and none is read again; no build fails of it. */
export async function tellContents(image: Image, scope: ContentsScope): Promise<void> {
  const { request, bases, made, listings, emit, signal } = scope;
  try {
    const baseLayers = request.merges === 'all' ? 0 : await countBaseLayers(scope);
    const isHere = ({ descriptor: { digest } }: Image['layers'][number]): boolean => made.has(digest) || bases.isFetched(digest);
    const contents = await readContents(image, { baseLayers, isHere, listings }, signal);
    emit({ kind: 'image.contents', platform: formatPlatform(request.platform), ...contents });
  } catch (error) {
    if (signal.aborted) return; // whoever waits for the build is told
    const message = `cannot tell what the image holds: ${messageOf(error)}`;
    emit({ kind: 'warning', code: 'image-contents', message });
  }
}

async function countBaseLayers({ plan, stage, request, bases }: ContentsScope): Promise<number> {
  let index = stage;
  for (;;) {
    const base = plan.stages.find((planned) => planned.stage.index === index)?.base;
    if (base?.kind === 'image')
      return (await bases.describe(base.image, plan.platforms.get(index ?? -1) ?? request.platform)).layers.length;
    if (base?.kind !== 'stage') return 0;
    index = base.index;
  }
}
