// The images that an index shall name: as operands, flags, or a list that a workflow made of its tasks' results.
import { resolve } from 'node:path';
import { BuilderError, inWords } from '../../errors.ts';
import { given } from '../../given.ts';
import { type Json, parseJson } from '../../oci/json.ts';
import { type Platform, hostPlatform, parsePlatform } from '../../oci/platform.ts';
import type { Place } from '../../transports/transport.ts';
import type { CommandInput } from '../command.ts';
import { readStandardInput } from '../standard-input.ts';
import { placeOrImage } from '../../transports/places.ts';
import { readSmallFile } from '../../small-file.ts';

export interface IndexSource {
  readonly place: Place;
  /** What the index shall say that it is for. */
  readonly platform?: Platform;
}

const jsonLimitBytes = 1024 * 1024;

/** What is named by operands, `--from` and `--from-json`, and the platforms that are wanted of all. @throws ERR_USAGE, ERR_REFERENCE */
export async function indexSources(
  { settings, positionals }: Pick<CommandInput, 'settings' | 'positionals'>,
  workingDirectory: string,
): Promise<{ readonly sources: readonly IndexSource[]; readonly platforms: readonly Platform[] }> {
  const host = hostPlatform(process.arch);
  const overrides = new Map<string, Platform>();
  const platforms: Platform[] = [];
  for (const item of settings.list('platform')) {
    const equals = item.lastIndexOf('=');
    if (equals === -1) platforms.push(parsePlatform(item, host));
    else overrides.set(item.slice(0, equals), parsePlatform(item.slice(equals + 1), host));
  }
  const json = settings.text('from-json');
  const listed = json === undefined ? [] : listOf(await jsonText(json, workingDirectory), json);
  // What comes out of a file of results ends with a newline.
  const names = [...positionals, ...settings.list('from')].map((name) => ({ name: name.trim(), platform: undefined }));
  const sources = [...names, ...listed].map(({ name, platform: own }): IndexSource => {
    const platform = overrides.get(name) ?? (own === undefined ? undefined : parsePlatform(own, host));
    overrides.delete(name);
    const place = placeOrImage(name);
    if (place.transport.hasManifests) return { place, ...given({ platform }) };
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot use ${name} for an index: an image has no digest there`, {
      hint: `yadokari copy ${name} oci:FOLDER:TAG`,
    });
  });
  if (sources.length === 0)
    throw new BuilderError('ERR_USAGE', 'Cannot make an index: no image is named', { hint: '--from IMAGE,IMAGE, or --from-json FILE' });
  const [stray] = overrides.keys();
  if (stray !== undefined) throw new BuilderError('ERR_USAGE', `Cannot use --platform ${stray}=…: no source has this name`);
  return { sources, platforms };
}

/** @throws ERR_USAGE where it can't be read */
async function jsonText(place: string, workingDirectory: string): Promise<string> {
  if (place.trimStart().startsWith('[')) return place;
  if (place === '-') return (await readStandardInput('the list of images')).toString('utf8');
  const bytes = await readSmallFile(resolve(workingDirectory, place), jsonLimitBytes).catch(
    inWords('ERR_USAGE', `Cannot read --from-json ${place}`),
  );
  return bytes.toString('utf8');
}

/** Names, or objects with `image` and perhaps `platform`. */
function listOf(text: string, place: string): readonly { readonly name: string; readonly platform: string | undefined }[] {
  const fail = (why: string): never => {
    const what = place.trimStart().startsWith('[') ? '' : ` ${place}`;
    throw new BuilderError('ERR_USAGE', `Cannot use --from-json${what}: ${why}`, {
      hint: '["repo/app@sha256:…", {"image": "repo/app:arm64", "platform": "linux/arm64"}]',
    });
  };
  let list: Json;
  try {
    list = parseJson(text);
  } catch (error) {
    return fail(error instanceof Error ? error.message : 'it is no JSON');
  }
  if (!Array.isArray(list)) return fail('it is no list');
  return list.map((item: Json, position) => {
    if (typeof item === 'string' && item.trim() !== '') return { name: item.trim(), platform: undefined };
    const [name, platform] = item instanceof Map ? [item.get('image'), item.get('platform')] : [];
    if (typeof name !== 'string' || name === '') return fail(`item ${position + 1} is no name of an image`);
    if (platform !== undefined && typeof platform !== 'string') return fail(`the platform of item ${position + 1} is no text`);
    return { name, platform };
  });
}
