// Many images at once: which ones a source has, and where each of them goes. skopeo-sync(1).
import { readdir } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { BuilderError, inWords } from '../errors.ts';
import { isDigest } from '../oci/digest.ts';
import { type Reference, formatCommonName, parseReference, withDefaultTag } from '../oci/reference.ts';
import { parsePlace } from './places.ts';
import type { SyncRegistry } from './sync-file.ts';
import type { Place } from './transport.ts';
import { registryPlace } from './transports.ts';

/** An image to be copied, and its name as far as that counts at the destination. */
export interface SyncSource {
  readonly place: Place;
  readonly name: string;
}

/** Lists the tags of a repository. */
export type ListTags = (reference: Reference) => Promise<readonly string[]>;

/** One image of a repository, or all of them where the name has neither tag nor digest. */
export async function repositorySources(text: string, listTags: ListTags): Promise<readonly SyncSource[]> {
  const reference = parseReference(text);
  if (reference.tag !== undefined || reference.digest !== undefined) return [registrySource(reference)];
  return (await listTags(reference)).map((tag) => registrySource({ ...reference, tag }));
}

/** The images of one registry in a sync file. As with skopeo, a repository whose tags can't be listed holds up no other: `skip` is told. */
export async function fileSources(registry: SyncRegistry, list: ListTags, skip: (error: unknown) => void): Promise<readonly SyncSource[]> {
  const listTags: ListTags = async (reference) =>
    await list(reference).catch((error: unknown) => {
      skip(error);
      return [];
    });
  const found: SyncSource[] = [];
  for (const [name, tags] of registry.images) {
    const reference = parseReference(`${registry.host}/${name}`);
    const wanted = tags.length === 0 ? await listTags(reference) : tags;
    for (const tag of wanted) found.push(registrySource({ ...reference, ...(isDigest(tag) ? { digest: tag } : { tag }) }));
  }
  for (const [name, pattern] of registry.byPattern) {
    const reference = parseReference(`${registry.host}/${name}`);
    for (const tag of await listTags(reference)) if (pattern.test(tag)) found.push(registrySource({ ...reference, tag }));
  }
  return found;
}

/** The images below a folder: each folder that holds one, as `dir:` has it. @throws ERR_USAGE when there is none */
export async function folderSources(folder: string): Promise<readonly SyncSource[]> {
  const found: SyncSource[] = [];
  for (const path of await imageFolders(folder)) {
    const name = relative(folder, path);
    found.push({ place: parsePlace(`dir:${path}`), name: name === '' ? basename(folder) : name });
  }
  if (found.length === 0) throw new BuilderError('ERR_USAGE', `Cannot sync ${folder}: there is no image in it`);
  return found;
}

/**
 * Where an image goes: below `destination` by the last part of its name, or by all of it.
 * @throws ERR_REFERENCE for a name that can't be one there
 */
export function syncDestination({ name }: SyncSource, { kind, destination, isScoped, suffix }: SyncTarget): Place {
  const below = isScoped ? name : basename(name);
  const whole = `${destination.replace(/\/+$/, '')}/${below}${suffix}`;
  return kind === 'dir' ? parsePlace(`dir:${whole}`) : registryPlace(withDefaultTag(parseReference(whole)));
}

export interface SyncTarget {
  readonly kind: 'docker' | 'dir';
  readonly destination: string;
  readonly isScoped: boolean;
  /** Behind every tag. */
  readonly suffix: string;
}

function registrySource(reference: Reference): SyncSource {
  return { place: registryPlace(reference), name: formatCommonName(reference) };
}

async function imageFolders(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(inWords('ERR_USAGE', `Cannot sync ${folder}`));
  if (entries.some((entry) => entry.name === 'manifest.json' && entry.isFile())) return [folder];
  const below: string[] = [];
  // Links are not followed: they could lead out, or in circles.
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1)))
    if (entry.isDirectory()) below.push(...(await imageFolders(join(folder, entry.name))));
  return below;
}
