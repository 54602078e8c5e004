// What a build is going to do, by its plan and by what its cache has.
import type { PlannedStage } from '../../dockerfile/stages.ts';
import { BuilderError } from '../../errors.ts';
import type { BlobStore } from '../../layer/store.ts';
import type { BaseImages } from '../base-images.ts';
import { needsFiles } from '../enter-base.ts';
import { type BuildPlan, hasRun, isNeededAfter } from '../plan.ts';
import type { BuildPorts } from '../ports.ts';
import type { BuildRequest } from '../request.ts';
import { cacheNamespace } from '../sources.ts';
import { BuildCache, type BuildCacheOptions } from './build-cache.ts';
import { KeptMounts } from './kept-mounts.ts';
import { LayerCache } from './layer-cache.ts';

export interface Outlook {
  /** Without the stages that nobody needs. */
  readonly plan: BuildPlan;
  /** Whether files are going to be read of the stage at this position of the plan. */
  readonly isRead: (planned: PlannedStage, position: number) => boolean;
  /** Whether a RUN of the stage is going to be executed, as far as that can be told. */
  readonly willRun: (planned: PlannedStage) => boolean;
  readonly cache?: BuildCache;
}

/** The cache that the request asks for; undefined for none. */
export function openCache(request: BuildRequest, ports: BuildPorts, store: BlobStore): LayerCache | undefined {
  if (request.cache === undefined) return undefined;
  const { registry, now, emit, signal } = ports;
  return new LayerCache({ request: request.cache, registry, platform: request.platform, store, now, emit, signal });
}

/** What cache mounts hold, kept in the cache, where the request asks for that. */
export function openKeptMounts(
  request: BuildRequest,
  ports: BuildPorts,
  store: BlobStore,
  cache: LayerCache | undefined,
): KeptMounts | undefined {
  const mostBytes = request.cache?.mountBytes;
  if (mostBytes === undefined || cache === undefined) return undefined;
  const { verifySeal, now, emit, signal } = ports;
  const { buildPlatform: platform } = request;
  return new KeptMounts({ cache, store, namespace: cacheNamespace(request), platform, mostBytes, verifySeal, now, emit, signal });
}

interface OutlookOptions extends Omit<BuildCacheOptions, 'cache' | 'copyLayers' | 'runLayers' | 'emit'> {
  readonly ports: BuildPorts;
  readonly bases: BaseImages;
}

/** Asks the cache for everything. @throws the signal's reason */
export async function openOutlook(options: OutlookOptions, layers: LayerCache | undefined): Promise<Outlook> {
  const { plan, request, ports } = options;
  if (layers === undefined || request.cache === undefined) {
    const isRead = (planned: PlannedStage, position: number): boolean =>
      needsFiles(planned) || isNeededAfter(plan, planned.stage.index, position + 1, ['copy', 'mount', 'base']);
    return { plan, isRead, willRun: hasRun };
  }
  ports.emit({ kind: 'phase', phase: 'checking', detail: 'what the cache has' });
  const { copyLayers, runLayers } = request.cache;
  if (!copyLayers && !request.planOnly) fetchSureBases(options);
  const cache = new BuildCache({ ...options, cache: layers, copyLayers, runLayers, emit: ports.emit });
  const prospect = await cache.foresee();
  const isNeeded = ({ stage }: PlannedStage): boolean => request.alwaysUnpack || prospect.needed.has(stage.index);
  for (const { stage } of plan.stages.filter((planned) => !isNeeded(planned))) {
    const message = `stage ${stage.name ?? stage.index} is not built: the cache has what is read from it`;
    ports.emit(request.planOnly ? { kind: 'plan', message } : { kind: 'note', level: 'info', message });
  }
  return {
    plan: { ...plan, stages: plan.stages.filter(isNeeded) },
    isRead: ({ stage }) => prospect.read.has(stage.index),
    willRun: ({ stage }) => prospect.run.has(stage.index),
    cache,
  };
}

/** Bases of targets that are read whatever the cache has, since nobody keeps their COPY and ADD: they come while it is asked. */
function fetchSureBases({ plan, request, bases }: Pick<OutlookOptions, 'plan' | 'request' | 'bases'>): void {
  for (const { stage, base } of plan.stages) {
    const copies = stage.instructions.some((each) => each.kind === 'add' || (each.kind === 'copy' && !each.link));
    if (base.kind !== 'image' || !copies || !plan.targets.includes(stage.index)) continue;
    // Whoever reads it hears of a failure.
    bases.fetch(base.image, plan.platforms.get(stage.index) ?? request.platform, true).catch(() => undefined);
  }
}

/** Says of each step what the cache has of it, where there is one; nothing is built or kept. @throws the signal's reason */
export async function explainCache(options: OutlookOptions, store: BlobStore): Promise<undefined> {
  await using layers = openCache(options.request, options.ports, store);
  await (await openOutlook(options, layers)).cache?.tellAll();
}

/** False for failures that no cache brings about: a command's, the Dockerfile's, a stop. */
export function mayBeOfCache(error: unknown): boolean {
  return (
    error instanceof BuilderError &&
    ['ERR_REGISTRY', 'ERR_AUTH', 'ERR_DIGEST_MISMATCH', 'ERR_LAYER', 'ERR_UNSAFE_PATH'].includes(error.code)
  );
}
