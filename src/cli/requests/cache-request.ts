// The flags of the layer cache → CacheRequest.
import { resolve } from 'node:path';
import type { BuildRequest, CacheRequest } from '../../build/request.ts';
import { BuilderError } from '../../errors.ts';
import { parseReference } from '../../oci/reference.ts';
import type { CachePlace } from '../../outputs/entry-place.ts';
import type { OutputRequest } from '../../outputs/output-request.ts';
import { parseBytes } from '../../report/units.ts';
import type { Settings } from '../settings.ts';

const defaultTtlMs = 336 * 3_600_000;
const defaultMountSize = '2GB';
/** kaniko's. */
export const defaultBaseFolder = '/cache';

/** A build that has a store of images keeps its results there, unless it is told otherwise. */
export function hasCache(settings: Settings): boolean {
  return settings.boolean('cache', settings.has('root'));
}

/** What --cache asks for. @throws ERR_USAGE, ERR_REFERENCE for values and combinations that can't be */
export function makeCacheRequest(settings: Settings, output: OutputRequest, workingDirectory: string): CacheRequest {
  const place = (flag: string): CachePlace | undefined => {
    const text = settings.text(flag);
    return text === undefined ? undefined : parseCachePlace(`--${flag}`, text, workingDirectory);
  };
  const isKept = !settings.boolean('no-push-cache');
  const [repo, to] = [place('cache-repo'), place('cache-to')];
  const others = settings.list('cache-from').map((text) => parseCachePlace('--cache-from', text, workingDirectory));
  const own = repo ?? (to === undefined ? (storePlace(settings, output, workingDirectory) ?? defaultPlace(output, isKept)) : undefined);
  // What this very build kept before it was stopped is where new results go.
  const from = unique([to, own, ...others].filter((each) => each !== undefined));
  const isRead = !settings.boolean('no-cache');
  if (!isRead && settings.has('cache')) throw new BuilderError('ERR_USAGE', 'Cannot combine --cache with --no-cache');
  if (from.length === 0)
    throw new BuilderError('ERR_USAGE', 'Cannot use --cache: nothing says where the cache is', { hint: 'give --cache-repo' });
  const target = to ?? own;
  return {
    from: isRead ? from : [],
    ...(isKept && target !== undefined ? { to: target, ...(to === undefined ? {} : { copiesFound: true }) } : {}),
    ttlMs: ttlMsOf(settings),
    copyLayers: settings.boolean('cache-copy-layers', !settings.has('cache')),
    runLayers: settings.boolean('cache-run-layers', true),
    ...(settings.boolean('cache-mounts') ? { mountBytes: readMountBytes(settings) } : {}),
  };
}

function readMountBytes(settings: Settings): number {
  const text = settings.text('cache-mounts-size') ?? defaultMountSize;
  const bytes = parseBytes(text);
  if (bytes !== undefined) return bytes;
  throw new BuilderError('ERR_USAGE', `Cannot use --cache-mounts-size=${text}: expected a size such as 500MB or 2GB`);
}

/** Beside the images of this machine, unless --cache was asked for together with a destination. */
function storePlace(settings: Settings, { destinations, noPush }: OutputRequest, workingDirectory: string): CachePlace | undefined {
  const root = settings.text('root');
  if (root === undefined || (settings.has('cache') && destinations.length > 0 && !noPush)) return undefined;
  return { kind: 'layout', folder: resolve(workingDirectory, root, 'cache') };
}

/** kaniko's rule: beside the first destination. */
function defaultPlace({ destinations, noPush }: OutputRequest, isKept: boolean): CachePlace | undefined {
  const [first] = destinations;
  if (first === undefined || (noPush && isKept)) {
    if (!isKept) return undefined;
    throw new BuilderError('ERR_USAGE', 'Cannot use --cache: where nothing is pushed, --cache-repo has to say where the cache is', {
      hint: 'give --cache-repo, or --no-push-cache to keep nothing',
    });
  }
  return { kind: 'registry', reference: { registry: first.registry, repository: `${first.repository}/cache` } };
}

/** A repository, or `oci:FOLDER`; `flag` is what names it. @throws ERR_USAGE, ERR_REFERENCE */
export function parseCachePlace(flag: string, text: string, workingDirectory: string): CachePlace {
  if (text.startsWith('oci:')) {
    const folder = text.slice('oci:'.length);
    if (folder === '') throw new BuilderError('ERR_USAGE', `Cannot use ${flag} ${text}: it names no folder`);
    return { kind: 'layout', folder: resolve(workingDirectory, folder) };
  }
  const reference = parseReference(text);
  if (reference.tag !== undefined || reference.digest !== undefined) {
    throw new BuilderError('ERR_USAGE', `Cannot use ${flag} ${text}: a cache is a repository, its tags are keys`, {
      hint: 'leave out the tag',
    });
  }
  return { kind: 'registry', reference };
}

/** kaniko's folder of base images: asked with --cache, as there, and wherever it is named. @throws ERR_USAGE */
export function makeBaseFolder(settings: Settings, workingDirectory: string): BuildRequest['baseFolder'] {
  if (!settings.boolean('cache') && !settings.has('cache-dir')) return undefined;
  return { path: resolve(workingDirectory, settings.text('cache-dir') ?? defaultBaseFolder), ttlMs: ttlMsOf(settings) };
}

/** How old a result may be. */
export function ttlMsOf(settings: Settings): number {
  return settings.durationMs('cache-ttl') ?? defaultTtlMs;
}

function unique(places: readonly CachePlace[]): readonly CachePlace[] {
  return [...new Map(places.map((place) => [JSON.stringify(place), place])).values()];
}
