// The story of a build: a plan for each platform, their images one after the other, and what is published of them.
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../folders.ts';
import type { Dockerfile } from '../dockerfile/instruction.ts';
import { BuilderError, hideCredentials } from '../errors.ts';
import type { BuildEvent, Emit } from '../events.ts';
import { given } from '../given.ts';
import { LayerListings } from '../layer/layer-listings.ts';
import { openBlobStore } from '../layer/store.ts';
import { type Json, formatJson } from '../oci/json.ts';
import { type Platform, formatPlatform } from '../oci/platform.ts';
import { formatReference } from '../oci/reference.ts';
import type { StoredImage } from '../oci/stored-image.ts';
import { type Publication, imagePublication, indexPublication } from '../outputs/publication.ts';
import { outputPaths } from '../outputs/output-request.ts';
import { type FileExports, type ResultFiles, openResultFiles } from '../outputs/publish.ts';
import { type Borrowing, openBorrowing } from './borrowing.ts';
import { type BaseImages, type ResolveImage, createBaseImages } from './base-images.ts';
import { type BuiltPlatform, buildPlatform, openOwnRoot } from './build-platform.ts';
import { KeptOutputs } from './kept-outputs.ts';
import { statementsOf } from './attestations.ts';
import { countSteps } from './step-numbers.ts';
import { recordJson } from './cache/record.ts';
import { explainCache } from './cache/outlook.ts';
import { readEpoch, withEpoch } from './epoch.ts';
import { type BuildPlan, mayRun } from './plan.ts';
import type { BuildPorts } from './ports.ts';
import { prepareBuild } from './prepare.ts';
import { openPushCheck } from './push-check.ts';
import type { BuildRequest, BuildResult } from './request.ts';

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
  const listings = asked.tellsContents ? new LayerListings() : undefined;
  const bases = createBaseImages({ resolve, onAsked: askingFor(ports), store, retries: asked.downloadRetries, listings, emit, signal });
  const borrowing = openBorrowing(asked, ports);
  const once = { ...ports, emit: warningOnce(emit) };
  const prepared: Prepared[] = [];
  for (const platform of asked.platforms) prepared.push(await prepare(dockerfile, { ...asked, platform }, once, { bases, borrowing }));
  if (asked.planOnly) {
    for (const { request, plan, epoch } of prepared) await explainCache({ dockerfile, request, ports, plan, bases, ...epoch }, store);
    return undefined;
  }
  if (prepared.some(({ plan }) => mayRun(plan))) await ports.openLauncher?.();
  const results = await openResultFiles(asked.output, ports);
  await pushCheck.done();
  const publication = openPublication(asked, ports, results);
  const run = { id: randomUUID(), startedMs: ports.now() };
  const ownRoot = openOwnRoot(asked, borrowing);
  const common = { dockerfile, ports, bases, borrowing, store, folders, ...given({ ownRoot, listings }) };
  const built: BuiltPlatform[] = [];
  const kept = new KeptOutputs([...outputPaths(asked.output), ...(ports.keptPlaces ?? [])], asked, ports);
  try {
    kept.hide();
    for (const [position, { request, plan, epoch }] of prepared.entries()) {
      const { platform } = request;
      const otherSteps = {
        before: sum(built.map(({ steps }) => steps)),
        after: sum(prepared.slice(position + 1).map((later) => countSteps(later.plan))),
      };
      const label = prepared.length === 1 ? '' : formatPlatform(platform);
      const publish = async (image: StoredImage, files: FileExports): Promise<void> => {
        kept.giveBack();
        await publication.add(image, platform, { files, statements: statementsOf({ dockerfile, request, plan, ports, ...epoch, run }) });
        kept.hide(); // the root may be emptied now
      };
      built.push(await buildPlatform({ ...common, ...epoch, request, plan, label, otherSteps, publish }, position + 1 === prepared.length));
    }
    kept.giveBack();
    await results.get('cacheExplain')?.commit(`${formatJson(cacheExplanation(asked, built))}\n`);
    const published = await publication.finish();
    emit({ kind: 'phase', phase: 'finished' });
    return published;
  } finally {
    await borrowing.giveBack();
    kept.hide();
    await ownRoot?.putBack();
    kept.giveBack();
    for (const file of results.values()) await file.close();
    rmSync(folders.stages, { recursive: true, force: true });
  }
}

/** What is known of one platform before anything is built. */
interface Prepared {
  readonly request: BuildRequest;
  readonly plan: BuildPlan;
  readonly epoch: { readonly epoch?: number };
}

async function prepare(
  dockerfile: Dockerfile,
  asked: BuildRequest,
  ports: BuildPorts,
  { bases, borrowing }: { readonly bases: BaseImages; readonly borrowing: Borrowing },
): Promise<Prepared> {
  ports.materials?.turnTo(asked.platform);
  const plan = await prepareBuild(dockerfile, asked, ports, bases, borrowing.refused);
  const epochDefault = plan.globalArgs.get('SOURCE_DATE_EPOCH');
  const epoch = readEpoch(asked, epochDefault, ports);
  return { request: withEpoch(asked, epochDefault, epoch), plan, epoch: given({ epoch }) };
}

function askingFor({ materials }: BuildPorts): (name: string, platform: Platform) => void {
  return (name, platform) => materials?.askFor(name, platform);
}

function openPublication(
  asked: BuildRequest,
  { registry, pulledBases = new Map(), signer, emit, signal }: BuildPorts,
  results: ResultFiles,
): Publication {
  const publishing = { registry, results, bases: pulledBases, isFresh: true, emit, signal, ...given({ signer }) };
  return isIndex(asked) ? indexPublication(asked.output, publishing) : imagePublication(asked.output, publishing);
}

/** Several platforms always make one; a single one where something is stated about it, or BuildKit's argument says so. */
function isIndex({ platforms, buildArgs, provenance }: BuildRequest): boolean {
  if (platforms.length > 1 || provenance !== undefined) return true;
  return !['', '0', 'false'].includes((buildArgs.get('BUILDKIT_MULTI_PLATFORM') ?? '').toLowerCase());
}

function startOf({ name, text }: Dockerfile, { platforms, output }: BuildRequest): BuildEvent {
  const destinations = output.noPush ? [] : output.destinations.map(formatReference);
  return {
    kind: 'build.started',
    dockerfile: name,
    text: hideCredentials(text),
    platform: platforms.map(formatPlatform).join(','),
    destinations,
  };
}

/** What is wrong with a Dockerfile is told of the first platform alone. */
function warningOnce(emit: Emit): Emit {
  const told = new Set<string>();
  return (event) => {
    const text = event.kind === 'warning' ? `${event.code} ${event.message}` : undefined;
    if (text === undefined || !told.has(text)) emit(event);
    if (text !== undefined) told.add(text);
  };
}

/** The keys of all steps; of several platforms by their names. */
function cacheExplanation({ platforms }: BuildRequest, built: readonly BuiltPlatform[]): Json {
  const records = built.map(({ cacheRecord }) => recordJson(cacheRecord ?? []));
  const [only] = records;
  if (only !== undefined && records.length === 1) return only;
  return new Map(platforms.map((platform, position) => [formatPlatform(platform), records[position] ?? null]));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function makeFolders(builderFolder: string): { readonly layers: string; readonly stages: string } {
  const folders = { layers: join(builderFolder, 'layers'), stages: join(builderFolder, 'stages') };
  try {
    // What a build that was killed in this very container left behind.
    rmSync(folders.stages, { recursive: true, force: true });
    for (const folder of Object.values(folders)) makeFolder(folder, 0o700);
  } catch (error) {
    throw new BuilderError('ERR_ROOTFS', `Cannot use ${builderFolder} as the builder's folder`, {
      cause: error,
      hint: 'it must be writable; --kaniko-dir moves it',
    });
  }
  return folders;
}
