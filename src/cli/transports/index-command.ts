// `yadokari index create`: several images under one name, each for a platform of its own; where machines that build them meet.
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import type { StoredManifest } from '../../oci/manifest.ts';
import { formatPlatform, hostPlatform } from '../../oci/platform.ts';
import { formatCommonName, formatRepository } from '../../oci/reference.ts';
import { openOutputFile } from '../../outputs/output-file.ts';
import type { OutputRequest } from '../../outputs/output-request.ts';
import { openResultFiles, writeResults } from '../../outputs/publish.ts';
import { accessRegistries } from '../../surroundings/registries.ts';
import { awaitAll } from '../../transports/await-places.ts';
import { type IndexImage, type IndexTarget, makeIndex, readIndexImages, writeIndex } from '../../transports/image-index.ts';
import { isPlaceName, parsePlace } from '../../transports/places.ts';
import type { Means } from '../../transports/transport.ts';
import { registryPlace } from '../../transports/transports.ts';
import type { CommandInput } from '../command.ts';
import { type IndexSource, indexSources } from './index-sources.ts';
import { makeRegistryRequest } from '../requests/registry-request.ts';
import { engineOf } from '../requests/transport-request.ts';
import { parseDestination, resultPaths } from '../requests/output-request.ts';
import type { Settings } from '../settings.ts';

/** Makes the index of what is there, or will be, and pushes it. */
export async function runIndexCreateCommand(input: CommandInput): Promise<void> {
  const { settings, env, report, stdout, signal } = input;
  const workingDirectory = process.cwd();
  const isDryRun = settings.boolean('dry-run');
  const targets = targetsOf(settings, isDryRun);
  const { sources, platforms } = await indexSources(input, workingDirectory);
  const output = outputOf(settings, targets, workingDirectory);
  const request = makeRegistryRequest(settings, env, workingDirectory);
  await using access = await accessRegistries(request, { env, emit: report.emit });
  const common = { temporaryFolder: tmpdir(), platform: hostPlatform(process.arch), engine: engineOf(env) };
  const from: Means = { ...common, registry: access.clients.pull };
  const to: Means = { ...common, registry: access.clients.push };
  const results = await openResultFiles(output, { registry: to.registry, signal });
  const imagesPath = settings.text('images-file');
  const imagesFile = imagesPath === undefined ? undefined : await openOutputFile(resolve(workingDirectory, imagesPath), 'images-file');
  try {
    // Wrong credentials are told now, and not after half an hour.
    if (!isDryRun) for (const reference of output.destinations) await to.registry.checkPush(reference, signal);
    await using stack = new AsyncDisposableStack();
    const found = (await findSources(sources, from, { ...input, stack })).flat();
    const made = makeIndex(found, { annotations: settings.pairs('annotation'), platforms });
    const [only] = made.images;
    const isSingle = made.images.length === 1 && only !== undefined && !settings.boolean('always-build-index', true);
    const root: StoredManifest = isSingle ? only.manifest : made.index;
    if (isDryRun) {
      stdout.write(`${root.bytes.toString('utf8')}\n`);
      return;
    }
    await writeIndex(root, made.images, { targets, means: to }, signal);
    await writeResults({ manifest: root }, output.destinations, results);
    const [first] = output.destinations;
    const repository = first === undefined ? '' : `${formatRepository(first)}@`;
    await imagesFile?.commit(made.images.map(({ descriptor }) => `${repository}${descriptor.digest}`).join(','));
    tell(input, { root, images: made.images, targets });
  } finally {
    for (const file of [...results.values(), imagesFile]) await file?.close();
  }
}

async function findSources(
  sources: readonly IndexSource[],
  from: Means,
  { settings, report, signal, stack }: CommandInput & { readonly stack: AsyncDisposableStack },
): Promise<readonly (readonly IndexImage[])[]> {
  const annotations = settings.pairs('match-annotation');
  const waitText = settings.text('wait') ?? '0s';
  const awaited = sources.map(({ place, platform }) => ({
    name: place.reference === undefined ? place.name : formatCommonName(place.reference),
    look: async (looking: AbortSignal): Promise<readonly IndexImage[]> => {
      await using opened = new AsyncDisposableStack();
      const source = opened.use(await place.openSource(from, looking));
      const images = await readIndexImages(source, { annotations, ...given({ platform }) }, looking);
      stack.use(opened.move());
      return images;
    },
  }));
  const patience = {
    waitMs: settings.durationMs('wait') ?? 0,
    waitText,
    now: () => performance.now(),
    sleep: async (durationMs: number, sleeping: AbortSignal) =>
      await setTimeout(durationMs, undefined, { signal: sleeping }).catch(() => sleeping.throwIfAborted()),
    emit: report.emit,
  };
  return await awaitAll(awaited, patience, signal);
}

/** Names by repository, since what one has needs to be sent once. @throws ERR_USAGE, ERR_REFERENCE */
function targetsOf(settings: Settings, isDryRun: boolean): readonly IndexTarget[] {
  const names = settings.list('tag');
  if (names.length === 0 && !isDryRun)
    throw new BuilderError('ERR_USAGE', 'Cannot make an index: it has no name', { hint: 'give --tag NAME, or --dry-run to look at it' });
  const places = names.map((name) => (isPlaceName(name) ? parsePlace(name) : registryPlace(parseDestination(name))));
  const groups = Map.groupBy(places, ({ reference, name }) => (reference === undefined ? name : formatRepository(reference)));
  return [...groups.values()].flatMap(([place, ...others]) =>
    place === undefined ? [] : [{ place, moreNames: others.flatMap(({ reference }) => reference?.tag ?? []) }],
  );
}

function outputOf(settings: Settings, targets: readonly IndexTarget[], workingDirectory: string): OutputRequest {
  const destinations = targets.flatMap(({ place: { reference }, moreNames }) =>
    reference === undefined ? [] : [reference, ...moreNames.map((tag) => ({ ...reference, tag }))],
  );
  return {
    destinations,
    noPush: destinations.length === 0,
    ...resultPaths(settings, workingDirectory),
    exports: [],
    skipPushPermissionCheck: false,
    ignoreImmutableTags: false,
    pushRetries: 0,
  };
}

function tell(
  { settings, report, stdout }: CommandInput,
  {
    root,
    images,
    targets,
  }: { readonly root: StoredManifest; readonly images: readonly IndexImage[]; readonly targets: readonly IndexTarget[] },
): void {
  report.close();
  for (const { descriptor, source } of images)
    report.line(
      'info',
      `  ${descriptor.platform === undefined ? '' : formatPlatform(descriptor.platform)} ${descriptor.digest} from ${source.name}`,
    );
  for (const { place, moreNames } of targets) report.line('info', [place.name, ...moreNames].join(', '));
  report.line('info', `digest ${root.digest}`);
  const [first] = targets;
  if (settings.boolean('quiet') && first !== undefined) stdout.write(`${first.place.name.replace(/^docker:\/\//, '')}@${root.digest}\n`);
}
