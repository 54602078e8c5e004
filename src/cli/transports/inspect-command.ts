// `yadokari inspect`, `list-tags`, `delete` and `manifest-digest`: what is at a place, as skopeo tells it.
import { BuilderError, RegistryError, inWords } from '../../errors.ts';
import { digestOf } from '../../oci/digest.ts';
import { type Json, parseJson } from '../../oci/json.ts';
import { manifestLimitBytes } from '../../oci/manifest.ts';
import { hostPlatform, parsePlatform } from '../../oci/platform.ts';
import { dockerHub } from '../../oci/reference.ts';
import { inspectImage, readConfig, readConfigBlob } from '../../transports/inspect.ts';
import { storePlace } from '../../transports/store-place.ts';
import { type Means, type Place } from '../../transports/transport.ts';
import { type CommandInput, onlyOperand } from '../command.ts';
import { printContents, wantsContents } from './inspect-contents.ts';
import { inspectStored } from '../images/inspect-stored.ts';
import { printJson } from '../../go/json.ts';
import { storeOf } from '../requests/store-request.ts';
import { openMeans } from '../requests/transport-request.ts';
import { readSmallFile } from '../../small-file.ts';
import { renderLine } from '../../go/template.ts';
import { isPlaceName, parsePlace } from '../../transports/places.ts';

/** An image's manifest, config, or what is worth knowing of both; of a place, or by a name alone of the store. */
export async function runInspectCommand(input: CommandInput): Promise<number | void> {
  const { settings, env, stdout, signal } = input;
  const [isRaw, wantsConfig, template] = [settings.boolean('raw'), settings.boolean('config'), settings.text('format')];
  if (wantsContents(settings) && (isRaw || wantsConfig || template !== undefined))
    throw new BuilderError(
      'ERR_USAGE',
      'Cannot use --tree, --waste or their gates with --raw, --config or --format: they print other things',
    );
  if (isRaw && template !== undefined) throw new BuilderError('ERR_USAGE', 'Cannot use --raw with --format: raw is as it is');
  const [name = ''] = input.positionals;
  const isStored = input.positionals.length === 1 && !isPlaceName(name);
  const place = isStored ? storePlace(storeOf(settings, env), name) : onlyPlace(input, 'inspect');
  const platform = settings.text('platform');
  await using opened = await openMeans(settings, '', { env, emit: input.report.emit });
  const means: Means = platform === undefined ? opened : { ...opened, platform: parsePlatform(platform, hostPlatform(process.arch)) };
  await using source = await place.openSource(means, signal);
  if (wantsContents(settings)) return await printContents(input, source, means.platform);
  if (isRaw) {
    stdout.write((wantsConfig ? await readConfigBlob(source, means.platform, signal) : source.root.bytes).toString('utf8'));
    return;
  }
  const about = async (): Promise<Json> => {
    if (isStored) return await inspectStored(storeOf(settings, env), name, settings, signal);
    const tags = await tagsBeside(place, settings.boolean('no-tags'), means, signal);
    return await inspectImage({ place, source, tags }, means.platform, signal);
  };
  const value = wantsConfig ? parseJson((await readConfig(source, means.platform, signal)).toString('utf8')) : await about();
  // A place that is no registry has an empty name, of which JSON says nothing.
  const named = value instanceof Map && !wantsConfig && !isStored ? new Map([['Name', ''], ...value]) : value;
  stdout.write(template === undefined ? `${printJson(value)}\n` : renderLine(template, named));
}

/** The names at a place, as JSON. */
export async function runListTagsCommand(input: CommandInput): Promise<void> {
  const { settings, stdout, signal } = input;
  const place = onlyPlace(input, 'list tags');
  if (place.listNames === undefined) throw new BuilderError('ERR_UNSUPPORTED', `Cannot list the tags of ${place.name}: it holds one image`);
  await using means = await openMeans(settings, '', { env: input.env, emit: input.report.emit });
  const names = await place.listNames(means, signal);
  const { reference } = place;
  const registry = reference?.registry === dockerHub ? 'docker.io' : reference?.registry;
  const repository = reference === undefined ? [] : [['Repository', `${registry ?? ''}/${reference.repository}`] as const];
  stdout.write(`${printJson(new Map<string, Json>([...repository, ['Tags', [...names]]]))}\n`);
}

/** Removes an image from its place. */
export async function runDeleteCommand(input: CommandInput): Promise<void> {
  const place = onlyPlace(input, 'delete');
  if (place.remove === undefined)
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot delete ${place.name}: nothing else is in it`, { hint: `rm -r ${place.path ?? ''}` });
  await using means = await openMeans(input.settings, '', { env: input.env, emit: input.report.emit });
  await place.remove(means, input.signal);
}

/** The digest of a manifest in a file. */
export async function runManifestDigestCommand({ positionals, stdout }: CommandInput): Promise<void> {
  const path = onlyOperand(positionals, 'tell a digest', 'files');
  const bytes = await readSmallFile(path, manifestLimitBytes).catch(inWords('ERR_USAGE', `Cannot read ${path}`));
  const root = parseJson(bytes.toString('utf8'));
  if (root instanceof Map && root.get('schemaVersion') === 1)
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot tell the digest of ${path}: it has the old schema 1`);
  stdout.write(`${digestOf(bytes)}\n`);
}

function onlyPlace({ positionals }: CommandInput, verb: string): Place {
  return parsePlace(onlyOperand(positionals, verb, 'places', 'for example docker://alpine:3.22'));
}

/** All tags beside the image; registries that keep them to themselves are no failure, as with skopeo. */
async function tagsBeside(place: Place, isUnwanted: boolean, means: Means, signal: AbortSignal): Promise<readonly string[]> {
  if (isUnwanted || place.reference === undefined) return [];
  try {
    return (await place.listNames?.(means, signal)) ?? [];
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RegistryError && [401, 403, 404, 405].includes(error.status ?? 0)) return [];
    throw error;
  }
}
