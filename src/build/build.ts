// The story of a build: plan, stages in order, one image, published. Amber: integration and conformance tests watch it.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bytesFromText } from '../bytes.ts';
import type { Dockerfile } from '../dockerfile/instruction.ts';
import type { PlannedStage } from '../dockerfile/stages.ts';
import { BuilderError } from '../errors.ts';
import { type BlobStore, openBlobStore } from '../layer/store.ts';
import { emptyImageConfig } from '../oci/image-config.ts';
import type { SourceTree } from '../context/tree.ts';
import { appendLayer, type Image } from '../oci/image.ts';
import type { Platform } from '../oci/platform.ts';
import { createProtection } from '../rootfs/protect.ts';
import { type BaseImages, createBaseImages } from './base-images.ts';
import { readEpoch, withEpoch } from './epoch.ts';
import { layerCompression } from './layer-compression.ts';
import { copyFolder } from './folder-base.ts';
import { executeInstruction, type ExecutionContext } from './execute.ts';
import { finishImage, formatTime } from './finish.ts';
import { openEarlyPush, type EarlyPush } from '../outputs/early-push.ts';
import { type BuildPlan, isNeededAfter, isPartOfTarget } from './plan.ts';
import { atFrom, prepareBuild } from './prepare.ts';
import { openResultFiles, publishImage } from '../outputs/publish.ts';
import type { BuildRequest, BuildResult } from './request.ts';
import { openSources, type BuildSources } from './sources.ts';
import { buildStage, type StageResult } from './stage.ts';
import { Disk } from '../rootfs/disk.ts';
import { RunChanges } from '../rootfs/run-changes.ts';
import { StageFiles, type StageFilesOptions } from '../rootfs/stage-files.ts';
import { Spool } from '../files/spool.ts';
import type { Timestamp } from '../layer/entry.ts';
import { clampPath } from '../paths.ts';
import type { BuildPorts } from './ports.ts';

/** The search path of an image that says nothing else. */
const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Builds and publishes; undefined where only the plan was asked for.
 * @throws BuilderError; then nothing was pushed that a tag points to
 */
export async function buildImage(dockerfile: Dockerfile, asked: BuildRequest, ports: BuildPorts): Promise<BuildResult | undefined> {
  const { emit, signal } = ports;
  const folders = makeFolders(asked.builderFolder);
  await using store = openBlobStore(folders.layers);
  const bases = createBaseImages({ resolve: ports.resolveImage, store, retries: asked.downloadRetries, emit, signal });
  const plan = await prepareBuild(dockerfile, asked, ports, bases);
  if (asked.planOnly) return undefined;
  const epochDefault = plan.globalArgs.get('SOURCE_DATE_EPOCH');
  const epoch = readEpoch(asked, epochDefault, ports);
  const request = withEpoch(asked, epochDefault, epoch);
  const results = await openResultFiles(request.output);
  await checkPush(request, ports);
  const disk = new Disk({
    root: { path: bytesFromText(request.rootPath), protection: createProtection(ports.protectedPaths) },
    folder: bytesFromText(folders.stages),
    emit,
    signal,
  });
  const destinations = request.output.noPush ? [] : request.output.destinations;
  await using outbox = openEarlyPush({ registry: ports.registry, destinations, emit, signal });
  using spool = new Spool(folders.layers);
  const stageFiles = stageFilesOptions({
    request,
    ports,
    disk,
    store,
    spool,
    onLayer: outbox.send,
    ...(epoch === undefined ? {} : { epoch }),
  });
  const finished = new Map<number, StageResult>();
  const sources = openSources(dockerfile, request, plan, { finished, stageFiles, bases, ports });
  const build: Build = {
    dockerfile,
    request,
    ports,
    plan,
    bases,
    disk,
    stageFiles,
    outbox,
    sources,
    finished,
    ...(epoch === undefined ? {} : { epoch }),
  };
  try {
    const target = await buildStages(build);
    const image = finishImage(target.image, request, target.platform);
    // What pushes is what was started: nothing goes out past files that somebody else has had his hands on.
    ports.verifySeal();
    const published = await publishImage(image, request.output, { registry: ports.registry, results, emit, signal });
    if (request.cleanup) disk.clear();
    emit({ kind: 'phase', phase: 'finished' });
    return published;
  } finally {
    for (const file of results.values()) await file.close();
    rmSync(folders.stages, { recursive: true, force: true });
  }
}

async function checkPush({ output }: BuildRequest, { registry, emit, signal }: BuildPorts): Promise<void> {
  if (output.noPush || output.skipPushPermissionCheck) return;
  emit({ kind: 'phase', phase: 'checking', detail: 'the right to push' });
  for (const reference of output.destinations) await registry.checkPush(reference, signal);
}

interface StageFilesParts {
  readonly request: BuildRequest;
  readonly ports: BuildPorts;
  readonly disk: Disk;
  readonly store: BlobStore;
  readonly spool: Spool;
  readonly onLayer: EarlyPush['send'];
  readonly epoch?: number;
}

function stageFilesOptions({ request, ports, disk, store, spool, onLayer, epoch }: StageFilesParts): StageFilesOptions {
  const { emit, signal } = ports;
  return {
    disk,
    runChanges: new RunChanges(disk, { emit, signal }),
    spool,
    layer: { ...layerCompression(request, epoch, emit), family: request.imageFormat === 'docker' ? 'docker' : 'oci', store },
    ...(epoch === undefined ? {} : { latestTime: epoch }),
    ignoredPaths: request.ignorePaths.map((path) => clampPath(bytesFromText(path))),
    alwaysOnDisk: request.alwaysUnpack,
    onLayer,
    now: () => timestampOf(ports.now()),
    emit,
    signal,
  };
}

interface Build {
  readonly dockerfile: Dockerfile;
  readonly request: BuildRequest;
  readonly ports: BuildPorts;
  readonly plan: BuildPlan;
  readonly bases: BaseImages;
  readonly disk: Disk;
  readonly stageFiles: StageFilesOptions;
  readonly outbox: EarlyPush;
  readonly sources: BuildSources;
  readonly epoch?: number;
  readonly finished: Map<number, StageResult>;
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

async function buildStages(build: Build): Promise<{ readonly image: Image; readonly platform: Platform }> {
  const { plan, request } = build;
  const numbers = numberSteps(plan);
  for (const [position, planned] of plan.stages.entries()) {
    build.finished.set(planned.stage.index, await buildOne(build, planned, position, numbers));
  }
  const index = plan.targets[0] ?? -1;
  const result = build.finished.get(index);
  if (result === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot finish: the target stage was not built');
  return { image: result.image, platform: plan.platforms.get(index) ?? request.platform };
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
  build.outbox.startStage(isPartOfTarget(plan, stage.index));
  const base = await enterBase(build, planned, platform, isNeededAfter(plan, stage.index, position + 1, ['copy', 'mount', 'base']));
  if (request.alwaysUnpack) await base.files.onDisk();
  const context = executionContext(build, planned, platform, base.files);
  const isReplaced = planned.base.kind === 'context' && planned.base.replacesStage;
  const result = await buildStage(
    {
      image: base.image,
      name: stage.name ?? (plan.stages.length > 1 ? String(stage.index) : ''),
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
      created: () => createdNow(build),
      isSingleSnapshot: request.singleSnapshot && stage.index === plan.targets[0],
      secrets: ports.secrets,
      emit: ports.emit,
      signal: ports.signal,
    },
  );
  disk.keep(isNeededAfter(plan, stage.index, position + 1, ['base', 'copy', 'mount']));
  return result;
}

function createdNow({ epoch, ports }: Build): string {
  return formatTime(epoch === undefined ? ports.now() : epoch * 1000);
}

interface EnteredBase {
  readonly image: Image;
  readonly files: StageFiles;
  readonly name: string;
  readonly inherited?: StageResult['state'];
}

async function enterBase(build: Build, planned: PlannedStage, platform: Platform, isReadLater: boolean): Promise<EnteredBase> {
  const { bases, finished, stageFiles } = build;
  const { base } = planned;
  if (base.kind === 'stage') {
    const result = finished.get(base.index);
    if (result === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot start a stage: its base was not built');
    return { image: result.image, files: await result.files.continue(), name: planned.stage.from.image, inherited: result.state };
  }
  if (base.kind === 'scratch') {
    return { image: scratchImage(platform, build.request), files: new StageFiles(stageFiles, { layers: [] }), name: 'scratch' };
  }
  const folder = base.kind === 'context' ? build.ports.namedFolders.get(base.name) : undefined;
  if (base.kind === 'context' && folder !== undefined) return await enterFolder(build, base.name, folder, platform);
  const name = base.kind === 'image' ? base.image : base.name;
  return await atFrom(planned, async () => {
    const { image, layers } = await bases.fetch(name, platform, needsFiles(planned) || isReadLater);
    image.layers.forEach(build.outbox.send);
    return { image: withDefaultPath(image), files: new StageFiles(stageFiles, { layers }), name };
  });
}

/** True where an instruction asks for files of the base: settings and linked copies don't. */
function needsFiles({ stage }: PlannedStage): boolean {
  return stage.instructions.some((each) => ['run', 'add', 'workdir'].includes(each.kind) || (each.kind === 'copy' && !each.link));
}

/** A folder as a base: the root of an image with an empty config, its content one layer. */
async function enterFolder(build: Build, name: string, folder: SourceTree, platform: Platform): Promise<EnteredBase> {
  const { request, ports, stageFiles } = build;
  const files = new StageFiles(stageFiles, { layers: [] });
  const epoch = build.epoch === undefined ? {} : { sourceDateEpoch: build.epoch };
  const { layer } = await copyFolder(files, folder, { ...epoch, emit: ports.emit, signal: ports.signal });
  const history = { created: createdNow(build), createdBy: `FROM ${name}`, comment: 'buildkit.exporter.image.v0' };
  return { image: appendLayer(scratchImage(platform, request), layer, history), files, name };
}

function executionContext(build: Build, planned: PlannedStage, platform: Platform, files: StageFiles): ExecutionContext {
  const { request, ports, plan, sources } = build;
  const { emit, signal } = ports;
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

function scratchImage(platform: Platform, request: BuildRequest): Image {
  const config = emptyImageConfig(platform);
  return {
    config: { ...config, config: { ...config.config, env: [defaultPath], workingDir: '/' } },
    layers: [],
    family: request.imageFormat === 'docker' ? 'docker' : 'oci',
    annotations: new Map(),
  };
}

function withDefaultPath(image: Image): Image {
  const { env } = image.config.config;
  if (env.some((item) => item.startsWith('PATH='))) return image;
  return { ...image, config: { ...image.config, config: { ...image.config.config, env: [...env, defaultPath] } } };
}

function timestampOf(ms: number): Timestamp {
  return { seconds: Math.floor(ms / 1000), nanoseconds: (ms % 1000) * 1_000_000 };
}
