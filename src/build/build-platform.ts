// The build of one platform: its stages in order, one image, published. Amber: integration and conformance tests watch it.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bytesFromText } from '../bytes.ts';
import type { Dockerfile } from '../dockerfile/instruction.ts';
import type { PlannedStage } from '../dockerfile/stages.ts';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import type { LayerListings } from '../layer/layer-listings.ts';
import type { BlobStore } from '../layer/store.ts';
import type { Digest } from '../oci/digest.ts';
import type { Image, Layer } from '../oci/image.ts';
import type { Platform } from '../oci/platform.ts';
import { type StoredImage, encodeImage } from '../oci/stored-image.ts';
import { formatTime } from '../oci/time.ts';
import { type Borrowing, explainHidden } from './borrowing.ts';
import type { BaseImages } from './base-images.ts';
import type { KeptMounts } from './cache/kept-mounts.ts';
import type { LayerCache } from './cache/layer-cache.ts';
import type { BuildRecord as CacheRecord } from './cache/record.ts';
import { type Outlook, mayBeOfCache, openCache, openKeptMounts, openOutlook } from './cache/outlook.ts';
import { type BaseScope, enterBase } from './enter-base.ts';
import { layerCompression } from './layer-compression.ts';
import { refuseForeignRuns } from './foreign-runs.ts';
import { exportsOf } from './export-files.ts';
import { executeInstruction, type ExecutionContext, foreseeRun } from './execute.ts';
import { finishImage } from './finish.ts';
import { timestampOf } from './instructions/mount-copy.ts';
import { leftOutBy } from './ignored-paths.ts';
import { type EarlyPush, openEarlyPush } from '../outputs/early-push.ts';
import type { FileExports } from '../outputs/publish.ts';
import { type BuildPlan, beginsAgain, isNeededAfter, isOnlyRead, isPartOfTarget, isRunUpon } from './plan.ts';
import type { BuildRequest } from './request.ts';
import { openSources, type BuildSources } from './sources.ts';
import { type StepNumbers, countSteps, numberSteps } from './step-numbers.ts';
import { buildStage, type StageResult } from './stage.ts';
import { tellContents } from './tell-contents.ts';
import { BaseTrees } from '../rootfs/base-trees.ts';
import { Disk } from '../rootfs/disk.ts';
import { OwnRoot } from '../rootfs/own-root.ts';
import { RunChanges } from '../rootfs/run-changes.ts';
import type { StageFiles, StageFilesOptions } from '../rootfs/stage-files.ts';
import type { Root } from '../files/root.ts';
import { Spool } from '../files/spool.ts';
import type { BuildPorts } from './ports.ts';

/** What the build of one platform is made of. */
export interface PlatformBuild {
  readonly dockerfile: Dockerfile;
  readonly request: BuildRequest;
  readonly ports: BuildPorts;
  readonly plan: BuildPlan;
  readonly bases: BaseImages;
  readonly borrowing: Borrowing;
  readonly ownRoot?: OwnRoot;
  readonly store: BlobStore;
  /** What layers hold that were written or read, where somebody is told. */
  readonly listings?: LayerListings;
  readonly folders: { readonly layers: string; readonly stages: string };
  /** SOURCE_DATE_EPOCH, in seconds. */
  readonly epoch?: number;
  /** Before the names of its stages, where it is not the only platform. */
  readonly label: string;
  /** Steps of other platforms, before and after it. */
  readonly otherSteps: { readonly before: number; readonly after: number };
  /** Brings the image to where it goes. */
  readonly publish: (image: StoredImage, files: FileExports) => Promise<void>;
}

interface Build extends Omit<BaseScope, 'finished'>, Outlook {
  readonly dockerfile: Dockerfile;
  readonly disk: Disk;
  readonly sources: BuildSources;
  readonly finished: Map<number, StageResult>;
  readonly label: string;
  readonly numbers: StepNumbers;
  /** Gets the image of the stage that is built, as it grows. */
  readonly onImage: (image: Image, stage: number) => void;
}

/** What there is to say of a platform that is built. */
export interface BuiltPlatform {
  readonly steps: number;
  readonly cacheRecord?: CacheRecord;
}

/**
 * Builds the image for one platform and publishes it. Where others follow, nothing of it stays in the root.
 * @throws BuilderError
 */
export async function buildPlatform(parts: PlatformBuild, isLast: boolean): Promise<BuiltPlatform> {
  const { request, ports, store, borrowing } = parts;
  ports.materials?.turnTo(request.platform);
  await using cache = openCache(request, ports, store);
  const kept = openKeptMounts(request, ports, store, cache);
  // Of a build that fails, too: what its other RUNs left is good.
  await using _ = { [Symbol.asyncDispose]: async () => await kept?.save() };
  for (;;) {
    const disk = openDisk(parts);
    try {
      if (request.preCleanup) await disk.prepare();
      const built = await attemptBuild(parts, disk, cache, kept);
      if (request.cleanup) disk.clear();
      else if (!isLast) disk.giveUp();
      emptyStages(parts);
      return built;
    } catch (error) {
      // Trouble with the cache never fails a build: it goes on without what can't be read.
      const broken = cache === undefined || !mayBeOfCache(error) || ports.signal.aborted ? [] : cache.takeBroken(error);
      if (broken.length === 0) throw error;
      const more = broken.length === 1 ? '' : `, and ${broken.length - 1} more`;
      const message = `what the cache has can't be used: ${broken[0] ?? ''}${more}; building again without it`;
      ports.emit({ kind: 'warning', code: `cache-broken ${broken.join(' ')}`, message });
      await borrowing.giveBack();
      disk.clear();
      emptyStages(parts);
    }
  }
}

function emptyStages({ folders }: PlatformBuild): void {
  rmSync(folders.stages, { recursive: true, force: true });
  mkdirSync(folders.stages, { mode: 0o700 });
}

function openDisk({ request, ports, folders, borrowing, ownRoot }: PlatformBuild): Disk {
  const { emit, signal } = ports;
  const folder = bytesFromText(folders.stages);
  return new Disk({ root: rootOf(request, borrowing), folder, ground: borrowing, ...given({ ownRoot }), emit, signal });
}

export function openOwnRoot(request: BuildRequest, borrowing: Borrowing): OwnRoot | undefined {
  return request.preservesRoot ? new OwnRoot(rootOf(request, borrowing), join(request.builderFolder, 'own-root')) : undefined;
}

function rootOf({ rootPath }: BuildRequest, { protection }: Borrowing): Root {
  return { path: bytesFromText(rootPath), protection };
}

async function attemptBuild(
  parts: PlatformBuild,
  disk: Disk,
  cache: LayerCache | undefined,
  kept: KeptMounts | undefined,
): Promise<BuiltPlatform> {
  const { dockerfile, request, ports, bases, borrowing, listings, folders, epoch, label } = parts;
  const { emit, signal } = ports;
  const outlook = await openOutlook(parts, cache);
  if (request.cache !== undefined) await refuseForeignRuns(outlook.plan, outlook.willRun, bases.describe);
  const destinations = request.output.noPush ? [] : request.output.destinations;
  await using earlyPush = openEarlyPush({ registry: ports.registry, destinations, emit, signal });
  using spool = new Spool(folders.layers);
  const made = new Set<Digest>();
  const onLayer = (layer: Layer): void => {
    made.add(layer.descriptor.digest);
    earlyPush.send(layer);
  };
  const stageFiles = stageFilesOptions(parts, { disk, spool, earlyPush, onLayer });
  const finished = new Map<number, StageResult>();
  const sources = openSources(dockerfile, request, outlook.plan, { finished, stageFiles, bases, ports, kept });
  const created = (): string => formatTime(epoch === undefined ? ports.now() : epoch * 1000);
  let unfinished: { readonly image: Image; readonly stage: number } | undefined;
  const onImage: Build['onImage'] = (image, stage) => void (unfinished = { image, stage });
  const tell = async (what: NonNullable<typeof unfinished>): Promise<void> => {
    if (listings === undefined) return;
    await tellContents(what.image, { ...what, request, plan: outlook.plan, bases, made, listings, emit, signal });
  };
  const common = { dockerfile, request, ports, bases, disk, stageFiles, earlyPush, sources, finished, created, label, onImage };
  const numbers = numberSteps(outlook.plan, parts.otherSteps);
  const target = await buildStages({ ...common, numbers, ...given({ epoch }), ...outlook }).catch(async (error: unknown) => {
    if (unfinished !== undefined && !signal.aborted) await tell(unfinished);
    throw error;
  });
  void kept?.save(); // while the image is published
  await borrowing.giveBack();
  await outlook.cache?.finish();
  const image = finishImage(target.image, request, target.platform);
  // What pushes is what was started: nothing goes out past files that somebody else has had his hands on.
  ports.verifySeal();
  // Encoded once: the same bytes go everywhere.
  const files = exportsOf(target.files, { ...given({ epoch }), emit, signal });
  const telling = tell({ image, stage: outlook.plan.targets[0] ?? -1 });
  await parts.publish(encodeImage(image), files);
  await telling;
  const cacheRecord = outlook.cache?.record();
  return { steps: countSteps(outlook.plan), ...given({ cacheRecord }) };
}

interface StageFilesParts {
  readonly disk: Disk;
  readonly spool: Spool;
  readonly earlyPush: EarlyPush;
  readonly onLayer: (layer: Layer) => void;
}

function stageFilesOptions(
  { request, ports, store, listings, epoch }: PlatformBuild,
  { disk, spool, earlyPush, onLayer }: StageFilesParts,
): StageFilesOptions {
  const { emit, signal, lookAgain, readAhead } = ports;
  return {
    disk,
    runChanges: new RunChanges(disk, { lookAgain, readAhead, emit, signal }),
    baseTrees: new BaseTrees(),
    spool,
    layer: {
      ...layerCompression(request, epoch, emit),
      family: request.imageFormat === 'docker' ? 'docker' : 'oci',
      store,
      // What comes out the same each time is hardly new: it is better asked for than sent.
      ...(epoch === undefined ? { onGrowing: earlyPush.sendGrowing } : { latestTime: epoch }),
      ...given({ earliestTime: request.timestamp, listings }),
    },
    leftOut: leftOutBy(request.ignorePaths),
    alwaysOnDisk: request.alwaysUnpack,
    onLayer,
    now: () => timestampOf(BigInt(ports.now()) * 1_000_000n),
    emit,
    signal,
  };
}

async function buildStages(build: Build): Promise<Pick<StageResult, 'image' | 'files'> & { readonly platform: Platform }> {
  const { plan, request } = build;
  downloadBases(build);
  await build.sources.findImages();
  for (const [position, planned] of plan.stages.entries()) {
    build.finished.set(planned.stage.index, await buildOne(build, planned, position));
  }
  const index = plan.targets[0] ?? -1;
  const result = build.finished.get(index);
  if (result === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot finish: the target stage was not built');
  return { image: result.image, files: result.files, platform: plan.platforms.get(index) ?? request.platform };
}

/** All that stages are going to read, in their order, while the first ones are built. Whoever reads a base hears of a failure. */
function downloadBases({ plan, request, bases, isRead }: Build): void {
  for (const [position, planned] of plan.stages.entries()) {
    const { base, stage } = planned;
    if (base.kind !== 'image' || !isRead(planned, position)) continue;
    bases.fetch(base.image, plan.platforms.get(stage.index) ?? request.platform, true).catch(() => undefined);
  }
}

async function buildOne(build: Build, planned: PlannedStage, position: number): Promise<StageResult> {
  const { dockerfile, request, plan, ports, disk, label, numbers } = build;
  const { stage } = planned;
  const platform = plan.platforms.get(stage.index) ?? request.platform;
  const isOfImage = isPartOfTarget(plan, stage.index);
  build.earlyPush.startStage(isOfImage);
  const isReplaced = planned.base.kind === 'context' && planned.base.replacesStage;
  const base = await enterBase(build, planned, platform, {
    isWanted: build.isRead(planned, position),
    willRun: !isReplaced && isRunUpon(plan, planned, build.willRun),
    sharesBase: beginsAgain(plan, planned, position + 1),
    isOnlyRead: build.cache === undefined && !request.alwaysUnpack && isOnlyRead(plan, stage.index, position + 1),
  });
  if (request.alwaysUnpack) await base.files.onDisk();
  const merges = stage.index === plan.targets[0] ? request.merges : undefined;
  const near = isOfImage && !request.output.noPush ? request.output.destinations[0] : undefined;
  const cache = merges !== undefined ? undefined : await build.cache?.enter(planned, near);
  const context = executionContext(build, planned, platform, base.files);
  const result = await buildStage(
    {
      image: base.image,
      name: [label, stage.name ?? (plan.stages.length > 1 ? `stage-${stage.index}` : '')].filter((word) => word !== '').join(' '),
      baseName: base.name,
      instructions: isReplaced ? [] : stage.instructions,
      isFinished: isReplaced,
      from: stage.from.range,
      ...given({ inherited: base.inherited }),
    },
    {
      dockerfile,
      execute: (instruction, state, step, escape) => executeInstruction(instruction, state, step, escape, context),
      foresee: (instruction, state, escape) => foreseeRun(instruction, state, escape, context),
      files: base.files,
      numbers,
      created: build.created,
      hasFixedTime: build.epoch !== undefined,
      ...given({ cache, merges }),
      onRecalled: build.earlyPush.send,
      onImage: (image) => build.onImage(image, stage.index),
      secrets: ports.secrets,
      emit: ports.emit,
      signal: ports.signal,
    },
  );
  const isNeeded = (...why: Parameters<typeof isNeededAfter>[3]): boolean => isNeededAfter(plan, stage.index, position + 1, why);
  base.files.end();
  disk.keep(isNeeded('base') ? 'begun with' : isNeeded('copy', 'mount') ? 'read' : 'none');
  return result;
}

function executionContext(build: Build, planned: PlannedStage, platform: Platform, files: StageFiles): ExecutionContext {
  const { request, ports, plan, sources } = build;
  const sourceDateEpoch = given({ sourceDateEpoch: build.epoch });
  return {
    scope: { files, platform, ...sourceDateEpoch, emit: explainHidden(ports.emit), signal: ports.signal },
    ...sources.contextFor(planned, platform),
    buildArgs: request.buildArgs,
    globalArgs: plan.globalArgs,
  };
}
