// The story of a build: plan, stages in order, one image, published. Amber: integration and conformance tests watch it.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bytesFromText } from '../bytes.ts';
import type { Dockerfile } from '../dockerfile/instruction.ts';
import type { PlannedStage } from '../dockerfile/stages.ts';
import { hideCredentials } from '../context/source-word.ts';
import { BuilderError } from '../errors.ts';
import type { BuildEvent } from '../events.ts';
import { type BlobStore, openBlobStore } from '../layer/store.ts';
import { formatJson } from '../oci/json.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import { formatReference } from '../oci/reference.ts';
import { encodeImage } from '../oci/stored-image.ts';
import { type Borrowing, explainHidden, openBorrowing } from './borrowing.ts';
import { type BaseImages, type ResolveImage, createBaseImages } from './base-images.ts';
import type { LayerCache } from './cache/layer-cache.ts';
import { recordJson } from './cache/record.ts';
import { type Outlook, explainCache, mayBeOfCache, openCache, openOutlook } from './cache/outlook.ts';
import { type BaseScope, enterBase } from './enter-base.ts';
import { readEpoch, withEpoch } from './epoch.ts';
import { layerCompression } from './layer-compression.ts';
import { exportsOf } from './export-files.ts';
import { executeInstruction, type ExecutionContext } from './execute.ts';
import { finishImage, formatTime } from './finish.ts';
import { leftOutBy } from './ignored-paths.ts';
import { type EarlyPush, openEarlyPush } from '../outputs/early-push.ts';
import { type BuildPlan, beginsAgain, isNeededAfter, isPartOfTarget, mayRun } from './plan.ts';
import { prepareBuild } from './prepare.ts';
import { openPushCheck } from './push-check.ts';
import { openResultFiles, publishImage, type ResultFiles } from '../outputs/publish.ts';
import type { BuildRequest, BuildResult } from './request.ts';
import { openSources, type BuildSources } from './sources.ts';
import { buildStage, type StageResult } from './stage.ts';
import { BaseTrees } from '../rootfs/base-trees.ts';
import { Disk } from '../rootfs/disk.ts';
import { OwnRoot } from '../rootfs/own-root.ts';
import { RunChanges } from '../rootfs/run-changes.ts';
import type { StageFiles, StageFilesOptions } from '../rootfs/stage-files.ts';
import type { Root } from '../files/root.ts';
import { Spool } from '../files/spool.ts';
import type { Timestamp } from '../layer/entry.ts';
import type { BuildPorts } from './ports.ts';

/**
 * Builds and publishes; undefined where only the plan was asked for.
 * @throws BuilderError; then nothing was pushed that a tag points to
 */
export async function buildImage(dockerfile: Dockerfile, asked: BuildRequest, ports: BuildPorts): Promise<BuildResult | undefined> {
  const { emit, signal } = ports;
  if (!asked.planOnly) emit(startOf(dockerfile, asked));
  const folders = makeFolders(asked.builderFolder);
  await using store = openBlobStore(folders.layers);
  await using pushCheck = openPushCheck(asked, ports);
  const resolve: ResolveImage = async (...wanted) => {
    const image = ports.resolveImage(...wanted);
    if (!asked.planOnly) pushCheck.begin();
    return await image;
  };
  const bases = createBaseImages({ resolve, store, retries: asked.downloadRetries, emit, signal });
  const borrowing = openBorrowing(asked, ports);
  const plan = await prepareBuild(dockerfile, asked, ports, bases, borrowing.refused);
  const epochDefault = plan.globalArgs.get('SOURCE_DATE_EPOCH');
  const epoch = readEpoch(asked, epochDefault, ports);
  const request = withEpoch(asked, epochDefault, epoch);
  const known = { dockerfile, request, ports, plan, bases, ...(epoch === undefined ? {} : { epoch }) };
  if (asked.planOnly) return await explainCache(known, store);
  if (mayRun(plan)) await ports.openLauncher?.();
  const results = await openResultFiles(request.output, ports);
  await pushCheck.done();
  await using cache = openCache(request, ports, store);
  const ownRoot = openOwnRoot(request, borrowing);
  const own = ownRoot === undefined ? {} : { ownRoot };
  const parts = { ...known, ...own, borrowing, store, folders, results };
  try {
    for (;;) {
      const disk = openDisk(parts);
      try {
        if (request.preCleanup) await disk.prepare();
        return await attemptBuild(parts, disk, cache);
      } catch (error) {
        // Trouble with the cache never fails a build: it goes on without what can't be read.
        const broken = cache === undefined || !mayBeOfCache(error) || signal.aborted ? [] : cache.takeBroken(error);
        if (broken.length === 0) throw error;
        emit({ kind: 'warning', code: `cache-broken ${broken.join(' ')}`, message: `${broken.join('; ')}: building again without it` });
        await borrowing.giveBack();
        disk.clear();
        rmSync(folders.stages, { recursive: true, force: true });
        mkdirSync(folders.stages, { mode: 0o700 });
      }
    }
  } finally {
    await borrowing.giveBack();
    await ownRoot?.putBack();
    for (const file of results.values()) await file.close();
    rmSync(folders.stages, { recursive: true, force: true });
  }
}

function startOf({ name, text }: Dockerfile, { platform, output }: BuildRequest): BuildEvent {
  const destinations = output.noPush ? [] : output.destinations.map(formatReference);
  return { kind: 'build.started', dockerfile: name, text: hideCredentials(text), platform: formatPlatform(platform), destinations };
}

interface BuildParts {
  readonly dockerfile: Dockerfile;
  readonly request: BuildRequest;
  readonly ports: BuildPorts;
  readonly plan: BuildPlan;
  readonly bases: BaseImages;
  readonly borrowing: Borrowing;
  readonly ownRoot?: OwnRoot;
  readonly store: BlobStore;
  readonly folders: { readonly layers: string; readonly stages: string };
  readonly results: ResultFiles;
  /** SOURCE_DATE_EPOCH, in seconds. */
  readonly epoch?: number;
}

interface Build extends Omit<BaseScope, 'finished'>, Outlook {
  readonly dockerfile: Dockerfile;
  readonly disk: Disk;
  readonly sources: BuildSources;
  readonly finished: Map<number, StageResult>;
}

function openDisk({ request, ports, folders, borrowing, ownRoot }: BuildParts): Disk {
  const { emit, signal } = ports;
  const own = ownRoot === undefined ? {} : { ownRoot };
  return new Disk({ root: rootOf(request, borrowing), folder: bytesFromText(folders.stages), ground: borrowing, ...own, emit, signal });
}

function openOwnRoot(request: BuildRequest, borrowing: Borrowing): OwnRoot | undefined {
  return request.preservesRoot ? new OwnRoot(rootOf(request, borrowing), join(request.builderFolder, 'own-root')) : undefined;
}

function rootOf({ rootPath }: BuildRequest, { protection }: Borrowing): Root {
  return { path: bytesFromText(rootPath), protection };
}

async function attemptBuild(parts: BuildParts, disk: Disk, cache: LayerCache | undefined): Promise<BuildResult> {
  const { dockerfile, request, ports, bases, borrowing, folders, results, epoch } = parts;
  const { emit, signal } = ports;
  const outlook = await openOutlook(parts, cache);
  const { plan } = outlook;
  const destinations = request.output.noPush ? [] : request.output.destinations;
  await using earlyPush = openEarlyPush({ registry: ports.registry, destinations, emit, signal });
  using spool = new Spool(folders.layers);
  const stageFiles = stageFilesOptions(parts, { disk, spool, earlyPush });
  const finished = new Map<number, StageResult>();
  const sources = openSources(dockerfile, request, plan, { finished, stageFiles, bases, ports });
  const created = (): string => formatTime(epoch === undefined ? ports.now() : epoch * 1000);
  const common = { dockerfile, request, ports, bases, disk, stageFiles, earlyPush, sources, finished, created };
  const target = await buildStages({ ...common, ...(epoch === undefined ? {} : { epoch }), ...outlook });
  await borrowing.giveBack();
  await outlook.cache?.keepRecord();
  if (outlook.cache !== undefined) await results.get('cacheExplain')?.commit(`${formatJson(recordJson(outlook.cache.record()))}\n`);
  const image = finishImage(target.image, request, target.platform);
  // What pushes is what was started: nothing goes out past files that somebody else has had his hands on.
  ports.verifySeal();
  // Encoded once: the same bytes go everywhere.
  const files = exportsOf(target.files, { ...(epoch === undefined ? {} : { epoch }), emit, signal });
  const publishing = { registry: ports.registry, results, files, isFresh: true, emit, signal };
  const published = await publishImage(encodeImage(image), request.output, publishing);
  if (request.cleanup) disk.clear();
  emit({ kind: 'phase', phase: 'finished' });
  return published;
}

interface StageFilesParts {
  readonly disk: Disk;
  readonly spool: Spool;
  readonly earlyPush: EarlyPush;
}

function stageFilesOptions({ request, ports, store, epoch }: BuildParts, { disk, spool, earlyPush }: StageFilesParts): StageFilesOptions {
  const { emit, signal } = ports;
  return {
    disk,
    runChanges: new RunChanges(disk, { emit, signal }),
    baseTrees: new BaseTrees(),
    spool,
    layer: {
      ...layerCompression(request, epoch, emit),
      family: request.imageFormat === 'docker' ? 'docker' : 'oci',
      store,
      // What comes out the same each time is hardly new: it is better asked for than sent.
      ...(epoch === undefined ? { onGrowing: earlyPush.sendGrowing } : { latestTime: epoch }),
      ...(request.timestamp === undefined ? {} : { earliestTime: request.timestamp }),
    },
    leftOut: leftOutBy(request.ignorePaths),
    alwaysOnDisk: request.alwaysUnpack,
    onLayer: earlyPush.send,
    now: () => timestampOf(ports.now()),
    emit,
    signal,
  };
}

function makeFolders(builderFolder: string): { readonly layers: string; readonly stages: string } {
  const folders = { layers: join(builderFolder, 'layers'), stages: join(builderFolder, 'stages') };
  try {
    // What a build that was killed in this very container left behind.
    rmSync(folders.stages, { recursive: true, force: true });
    for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new BuilderError('ERR_ROOTFS', `Cannot use ${builderFolder} as the builder's folder`, {
      cause: error,
      hint: 'it must be writable; --kaniko-dir moves it',
    });
  }
  return folders;
}

async function buildStages(build: Build): Promise<Pick<StageResult, 'image' | 'files'> & { readonly platform: Platform }> {
  const { plan, request } = build;
  const numbers = numberSteps(plan);
  for (const [position, planned] of plan.stages.entries()) {
    build.finished.set(planned.stage.index, await buildOne(build, planned, position, numbers));
  }
  const index = plan.targets[0] ?? -1;
  const result = build.finished.get(index);
  if (result === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot finish: the target stage was not built');
  return { image: result.image, files: result.files, platform: plan.platforms.get(index) ?? request.platform };
}

async function buildOne(
  build: Build,
  planned: PlannedStage,
  position: number,
  numbers: { next: () => number; readonly total: number },
): Promise<StageResult> {
  const { dockerfile, request, plan, ports, disk } = build;
  const { stage } = planned;
  const platform = plan.platforms.get(stage.index) ?? request.platform;
  const isOfImage = isPartOfTarget(plan, stage.index);
  build.earlyPush.startStage(isOfImage);
  const isReplaced = planned.base.kind === 'context' && planned.base.replacesStage;
  const base = await enterBase(build, planned, platform, {
    isWanted: build.isRead(planned, position),
    willRun: !isReplaced && build.willRun(planned),
    sharesBase: beginsAgain(plan, planned, position + 1),
  });
  if (request.alwaysUnpack) await base.files.onDisk();
  const merges = stage.index === plan.targets[0] ? request.merges : undefined;
  const near = isOfImage && !request.output.noPush ? request.output.destinations[0] : undefined;
  const cache = merges !== undefined ? undefined : await build.cache?.enter(planned, near);
  const context = executionContext(build, planned, platform, base.files);
  const result = await buildStage(
    {
      image: base.image,
      name: stage.name ?? (plan.stages.length > 1 ? `stage-${stage.index}` : ''),
      baseName: base.name,
      instructions: isReplaced ? [] : stage.instructions,
      isFinished: isReplaced,
      from: stage.from.range,
      ...(base.inherited === undefined ? {} : { inherited: base.inherited }),
    },
    {
      dockerfile,
      execute: (instruction, state, step, escape) => executeInstruction(instruction, state, step, escape, context),
      files: base.files,
      numbers,
      created: build.created,
      hasFixedTime: build.epoch !== undefined,
      ...(cache === undefined ? {} : { cache }),
      onRecalled: build.earlyPush.send,
      ...(merges === undefined ? {} : { merges }),
      secrets: ports.secrets,
      emit: ports.emit,
      signal: ports.signal,
    },
  );
  disk.keep(isNeededAfter(plan, stage.index, position + 1, ['base', 'copy', 'mount']));
  return result;
}

function executionContext(build: Build, planned: PlannedStage, platform: Platform, files: StageFiles): ExecutionContext {
  const { request, ports, plan, sources } = build;
  const { signal } = ports;
  const emit = explainHidden(ports.emit);
  return {
    scope: { files, platform, ...(build.epoch === undefined ? {} : { sourceDateEpoch: build.epoch }), emit, signal },
    ...sources.contextFor(planned, platform),
    buildArgs: request.buildArgs,
    globalArgs: plan.globalArgs,
  };
}

function numberSteps(plan: BuildPlan): { next: () => number; readonly total: number } {
  const total = plan.stages.reduce(
    (sum, planned) => sum + planned.stage.instructions.length + (plan.triggerCounts.get(planned.stage.index) ?? 0),
    0,
  );
  let number = 0;
  return { next: () => ++number, total };
}

function timestampOf(ms: number): Timestamp {
  return { seconds: Math.floor(ms / 1000), nanoseconds: (ms % 1000) * 1_000_000 };
}
