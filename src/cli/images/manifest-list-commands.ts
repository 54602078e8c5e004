// `yadokari manifest create`, `add`, `annotate`, `remove`, `inspect`, `push`, `exists` and `rm`: an index of the store, put together bit by
// bit, as buildah does.
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type Digest, isDigest, splitDigest } from '../../oci/digest.ts';
import { refuseSamePlatform } from '../../oci/image-index.ts';
import { parseJson } from '../../oci/json.ts';
import { type ImageIndex, parseManifest } from '../../oci/manifest.ts';
import { type Platform, hostPlatform } from '../../oci/platform.ts';
import { findImage, findImageIfAny } from '../../store/find-image.ts';
import { type ImageList, changeList } from '../../store/image-list.ts';
import { localName, registryName } from '../../store/image-names.ts';
import { type ImageStore, holdStore, openStoreSource } from '../../store/image-store.ts';
import { removeImage } from '../../store/remove-images.ts';
import { readIndexImages } from '../../transports/image-index.ts';
import { selectedSource } from '../../transports/select.ts';
import { storePlace } from '../../transports/store-place.ts';
import { obtainImage } from './obtain-image.ts';
import { type Command, type CommandInput, onlyOperand } from '../command.ts';
import { printJson } from '../../go/json.ts';
import { isPlaceName, parsePlace, placeOrImage } from '../../transports/places.ts';
import { pushFromStore } from './push-command.ts';
import { runRemoveCommand } from './removal-commands.ts';
import type { Settings } from '../settings.ts';
import { storeOf } from '../requests/store-request.ts';
import {
  addToListGroups,
  annotateListGroups,
  createListGroups,
  inspectListGroups,
  listGroups,
  pushListGroups,
} from '../tables/manifest-list.ts';
import { chosenPlatform, openMeans } from '../requests/transport-request.ts';

/** Their failures are buildah's (`store-commands.ts`). */
export const manifestListCommands: readonly Command[] = (
  [
    ['create', 'NAME [IMAGE…]', 'an index in the store, which images are added to', createListGroups, runCreate],
    ['add', 'INDEX IMAGE…', 'add images to an index of the store', addToListGroups, runAdd],
    ['annotate', 'INDEX IMAGE|DIGEST', 'say what an image of an index is for, or more', annotateListGroups, runAnnotate],
    ['remove', 'INDEX IMAGE|DIGEST', 'take an image out of an index', listGroups, runRemove],
    ['inspect', 'INDEX', 'print an index of the store, or of a registry', inspectListGroups, runInspect],
    ['push', 'INDEX [DESTINATION]', 'push an index and its images to any place', pushListGroups, runPush],
    ['exists', 'INDEX', 'exit with 0 where the store has such an index, else with 1', listGroups, runExists],
    ['rm', 'INDEX…', 'remove indexes from the store', listGroups, runRemoveLists],
  ] as const
).map(([verb, operands, about, groups, run]) => ({
  name: `manifest ${verb}`,
  usage: `[flags] ${operands}`,
  about,
  groups,
  run,
}));

/** An index of the store, and what changes it. */
interface List {
  readonly name: string;
  readonly view: ImageIndex;
}

/** Prints the digest of what it has become, which is its id. */
async function runCreate(input: CommandInput): Promise<void> {
  const { settings, positionals, stdout, signal } = input;
  const [text, ...words] = positionals;
  if (text === undefined) throw usage('create an index: it needs a name');
  const name = localName(text);
  const store = storeOf(settings, input.env);
  using _held = await holdStore(store, signal);
  const entries = await entriesOf(input, store, words);
  const create = (before: ImageList | undefined): ImageList => {
    if (before !== undefined && !settings.boolean('amend'))
      throw new BuilderError('ERR_USAGE', `Cannot create the index ${name}: there is one already`, {
        hint: '--amend adds to it; yadokari manifest rm removes it',
      });
    const annotations = new Map([...(before?.annotations ?? []), ...settings.pairs('annotation')]);
    return { manifests: withEntries(before?.manifests ?? [], entries), annotations };
  };
  stdout.write(`${splitDigest(await changeList(store, name, create, signal)).hex}\n`);
}

async function runAdd(input: CommandInput): Promise<void> {
  const { settings, positionals, signal } = input;
  const [text, ...words] = positionals;
  if (text === undefined || words.length === 0) throw usage('add to an index: the index and an image are needed');
  const store = storeOf(settings, input.env);
  using _held = await holdStore(store, signal);
  const { name } = await findList(store, text, signal);
  const entries = (await entriesOf(input, store, words)).map((entry) => described(entry, settings));
  await changeNamed(input, { store, name, digests: entries.map(({ digest }) => digest) }, (before) => ({
    ...before,
    manifests: withEntries(before.manifests, entries),
  }));
}

async function runAnnotate(input: CommandInput): Promise<void> {
  const { settings, positionals, signal } = input;
  const [text, word, ...others] = positionals;
  const isOfIndex = settings.boolean('index');
  if (text === undefined || others.length > 0 || (word === undefined) !== isOfIndex)
    throw usage('annotate: the index and one of its images are needed, or --index and the index alone');
  const store = storeOf(settings, input.env);
  using _held = await holdStore(store, signal);
  const { name } = await findList(store, text, signal);
  if (word === undefined)
    return await changeNamed(input, { store, name, digests: [] }, ({ manifests, annotations }) => ({
      manifests,
      annotations: new Map([...annotations, ...settings.pairs('annotation')]),
    }));
  const digest = await digestFor(store, word, signal);
  await changeNamed(input, { store, name, digests: [digest] }, (before) => ({
    ...before,
    manifests: before.manifests.map((entry) => (entry.digest === digest ? described(entry, settings) : entry)),
  }));
}

async function runRemove(input: CommandInput): Promise<void> {
  const { positionals, signal } = input;
  const [text, word, ...others] = positionals;
  if (text === undefined || word === undefined || others.length > 0)
    throw usage('remove from an index: the index and the digest of an image are needed');
  const store = storeOf(input.settings, input.env);
  using _held = await holdStore(store, signal);
  const { name } = await findList(store, text, signal);
  const digest = await digestFor(store, word, signal);
  await changeNamed(input, { store, name, digests: [digest] }, (before) => ({
    ...before,
    manifests: before.manifests.filter((entry) => entry.digest !== digest),
  }));
}

/** What a name stands for where it is; a name alone in the store, then in its registry. */
async function runInspect(input: CommandInput): Promise<void> {
  const { settings, positionals, env, report, stdout, signal } = input;
  const text = onlyOperand(positionals, 'inspect', 'indexes', usageHint);
  const store = storeOf(settings, env);
  const isStored = !isPlaceName(text) && (await findImageIfAny(store, text, signal)) !== undefined;
  await using means = await openMeans(settings, '', { env, emit: report.emit });
  await using source = await (isStored ? storePlace(store, text) : placeOrImage(text)).openSource(means, signal);
  const { bytes, mediaType } = source.root;
  if (parseManifest(bytes, mediaType).kind !== 'index') throw noIndex(text);
  stdout.write(`${printJson(parseJson(bytes.toString('utf8')))}\n`);
}

async function runPush(input: CommandInput): Promise<void> {
  const { settings, positionals, env, signal } = input;
  const [text, destination, ...others] = positionals;
  if (text === undefined || others.length > 0) throw usage('push an index: the index and where it goes are needed');
  if (!settings.boolean('all', true))
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot honour --all=false: an index without its images is of no use to anybody');
  const store = storeOf(settings, env);
  const { name, view } = await findList(store, text, signal);
  if (view.manifests.length === 0)
    throw new BuilderError('ERR_USAGE', `Cannot push ${name}: it names no image`, { hint: `yadokari manifest add ${text} IMAGE` });
  const named = view.manifests.flatMap(({ platform, digest }) => (platform === undefined ? [] : [{ name: digest, platform }]));
  refuseSamePlatform(named);
  await pushFromStore(input, name, destination);
  if (settings.boolean('rm')) await removeImage(store, name, undefined, signal);
}

async function runExists({ settings, positionals, env, signal }: CommandInput): Promise<number> {
  const found = await findImageIfAny(storeOf(settings, env), onlyOperand(positionals, 'look for an index', 'names', usageHint), signal);
  return found?.image.view.kind === 'index' ? 0 : 1;
}

async function runRemoveLists(input: CommandInput): Promise<number | void> {
  const store = storeOf(input.settings, input.env);
  for (const text of input.positionals) await findList(store, text, input.signal);
  return await runRemoveCommand(input);
}

/** Changes an index that is there, and prints its new id with the digest of each image that it is about, as buildah. */
async function changeNamed(
  { stdout, signal }: CommandInput,
  { store, name, digests }: { readonly store: ImageStore; readonly name: string; readonly digests: readonly Digest[] },
  change: (before: ImageList) => ImageList,
): Promise<void> {
  const id = await changeList(
    store,
    name,
    (before) => {
      if (before === undefined) throw new BuilderError('ERR_REFERENCE', `Cannot change the index ${name}: it is gone`);
      const after = change(before);
      const stray = digests.find((digest) => ![...before.manifests, ...after.manifests].some((entry) => entry.digest === digest));
      if (stray !== undefined)
        throw new BuilderError('ERR_REFERENCE', `Cannot change the index ${name}: it names no image ${stray}`, {
          hint: `yadokari manifest inspect ${name}`,
        });
      return after;
    },
    signal,
  );
  for (const digest of digests) stdout.write(`${splitDigest(id).hex}: ${digest}\n`);
  if (digests.length === 0) stdout.write(`${splitDigest(id).hex}\n`);
}

/** The images of these words, fetched where they are not here, as an index names them. */
async function entriesOf(input: CommandInput, store: ImageStore, words: readonly string[]): Promise<readonly Descriptor[]> {
  const { settings, signal } = input;
  // `--os` and the like say what is written, and choose nothing.
  const chosen = { kind: 'host', platform: chosenPlatform(settings, ['override-']) } as const;
  const selection = settings.boolean('all') ? ({ kind: 'all' } as const) : chosen;
  const entries: Descriptor[] = [];
  for (const word of words) {
    const policy = isPlaceName(word) ? 'always' : 'missing';
    const { image } = await obtainImage(input, store, word, { policy, options: { selection } });
    await using source = await openStoreSource(store, image, signal);
    const images = await readIndexImages(await selectedSource(source, selection, signal), { annotations: new Map() }, signal);
    entries.push(...images.map(({ descriptor }) => descriptor));
  }
  return entries;
}

/** With what flags say of it. */
function described(entry: Descriptor, settings: Settings): Descriptor {
  const [os, architecture, variant, osVersion] = ['os', 'arch', 'variant', 'os-version'].map((name) => settings.text(name));
  const { variant: ownVariant, ...platform } = entry.platform ?? hostPlatform(process.arch);
  // Another architecture has other variants.
  const kept = architecture === undefined || architecture === platform.architecture ? given({ variant: ownVariant }) : {};
  const said: Platform = { ...platform, ...kept, ...given({ os, architecture, variant, osVersion }) };
  const annotations = new Map([...(entry.annotations ?? []), ...settings.pairs('annotation')]);
  return { ...entry, ...(entry.platform === undefined ? {} : { platform: said }), ...(annotations.size === 0 ? {} : { annotations }) };
}

/** Whoever adds an image again says something else of it. Two for one platform may be until the index is pushed. */
function withEntries(before: readonly Descriptor[], entries: readonly Descriptor[]): readonly Descriptor[] {
  return [...before.filter(({ digest }) => !entries.some((entry) => entry.digest === digest)), ...entries];
}

async function findList(store: ImageStore, text: string, signal: AbortSignal): Promise<List> {
  const { image, name = image.names[0] } = await findImage(store, text, signal);
  const { view } = image;
  if (view.kind !== 'index') throw noIndex(text);
  if (name === undefined) throw new BuilderError('ERR_REFERENCE', `Cannot change the index ${text}: it has no name`);
  return { name, view };
}

async function digestFor(store: ImageStore, word: string, signal: AbortSignal): Promise<Digest> {
  if (isDigest(word)) return word;
  const reference = isPlaceName(word) ? parsePlace(word).reference : undefined;
  return (await findImage(store, reference === undefined ? word : registryName(reference), signal)).image.descriptor.digest;
}

const usageHint = 'yadokari manifest create INDEX; manifest add INDEX IMAGE; manifest push INDEX DESTINATION';

function usage(what: string): BuilderError {
  return new BuilderError('ERR_USAGE', `Cannot ${what}`, { hint: usageHint });
}

function noIndex(text: string): BuilderError {
  return new BuilderError('ERR_USAGE', `Cannot use ${text}: it is an image, and no index`, { hint: 'yadokari inspect tells of images' });
}
