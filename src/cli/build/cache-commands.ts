// `cache list`, `cache prune`: what a layer cache holds, and less of it. `cache explain`: what a build would find there.
import { type ListedEntry, chooseStale, listEntries } from '../../build/cache/listing.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { hostPlatform } from '../../oci/platform.ts';
import { formatTime } from '../../oci/time.ts';
import { type EntryPlace, openPlace } from '../../outputs/entry-place.ts';
import { accessRegistries } from '../../surroundings/registries.ts';
import { parseCachePlace } from '../requests/cache-request.ts';
import { runExplainCommand } from './explain-command.ts';
import { ownBuildGroups } from '../tables/own-build.ts';
import type { Command, CommandInput } from '../command.ts';
import { makeRegistryRequest } from '../requests/registry-request.ts';
import { listFormats, listGroups, pruneGroups } from '../tables/cache-command.ts';
import { registryFlags } from '../tables/registry.ts';
import { formatBytes, formatCount, parseBytes } from '../../report/units.ts';

/** As that of --cache-ttl. */
const defaultAgeMs = 336 * 3_600_000;

export const cacheCommands: readonly Command[] = [
  {
    name: 'cache list',
    usage: '[flags] REPOSITORY|oci:FOLDER',
    about: 'list what a cache holds, the oldest first',
    groups: listGroups,
    accepts: registryFlags,
    run: async (input) => await withPlace(input, async (place) => show(input, await listEntries(place, input.signal))),
  },
  {
    name: 'cache prune',
    usage: '[flags] REPOSITORY|oci:FOLDER',
    about: 'remove what is old, or too much',
    groups: pruneGroups,
    accepts: registryFlags,
    run: async (input) => await withPlace(input, async (place) => await prune(input, place)),
  },
  {
    name: 'cache explain',
    usage: '[flags] [CONTEXT]',
    about: 'say of each step whether it is in the cache, and why not; build nothing',
    groups: ownBuildGroups,
    tellsAccepted: true,
    run: async (input) => await runExplainCommand(input, ['cache']),
  },
];

async function withPlace(input: CommandInput, use: (place: EntryPlace) => Promise<void>): Promise<void> {
  const { settings, positionals, env, report } = input;
  const [name, stray] = positionals;
  if (name === undefined || stray !== undefined) {
    throw new BuilderError('ERR_USAGE', 'Cannot tell which cache is meant: name one', { hint: 'REPOSITORY, or oci:FOLDER' });
  }
  const workingDirectory = process.cwd();
  const place = parseCachePlace('the cache', name, workingDirectory);
  // Entries of other platforms are as good here as ours.
  const emit: typeof report.emit = (event) => (event.kind === 'warning' && event.code === 'platform' ? undefined : report.emit(event));
  const request = makeRegistryRequest(settings, env, workingDirectory);
  await using access = await accessRegistries(request, { env, emit });
  await use(openPlace(place, access.clients.push, hostPlatform(process.arch)));
}

async function prune(input: CommandInput, place: EntryPlace): Promise<void> {
  const { settings, report, signal } = input;
  const most = settings.text('max-size');
  const mostBytes = most === undefined ? undefined : parseBytes(most);
  if (most !== undefined && mostBytes === undefined)
    throw new BuilderError('ERR_USAGE', `Cannot use --max-size=${most}: expected a size such as 500MB or 20GB`);
  const rules = { olderThanMs: settings.durationMs('older-than') ?? defaultAgeMs, ...given({ mostBytes }), nowMs: Date.now() };
  const entries = await listEntries(place, signal);
  const stale = chooseStale(entries, rules);
  const isTried = settings.boolean('dryrun');
  for (const { tag } of isTried ? [] : stale) await place.remove(tag, signal);
  show(input, stale);
  const size = formatBytes(stale.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const count = formatCount(stale.length, 'result');
  report.line('info', `${isTried ? 'would remove' : 'removed'} ${count} of ${entries.length}, ${size}, from ${place.name}`);
}

function show({ settings, stdout }: CommandInput, entries: readonly ListedEntry[]): void {
  if (settings.choice('format', listFormats, 'text') === 'json') {
    const items = entries.map(({ tag, kind, text, storedMs, sizeBytes }) => {
      const stored = storedMs === undefined ? {} : { stored: formatTime(storedMs) };
      return { tag, kind, text, ...stored, sizeBytes };
    });
    stdout.write(`${JSON.stringify(items, undefined, 2)}\n`);
    return;
  }
  for (const { tag, kind, text, storedMs, sizeBytes } of entries) {
    const stored = storedMs === undefined ? '' : new Date(storedMs).toISOString().slice(0, 16).replace('T', ' ');
    const columns = [tag.slice(0, 12).padEnd(12), stored.padEnd(16), formatBytes(sizeBytes).padStart(7), kind.padEnd(7), oneLine(text)];
    stdout.write(`${columns.join('  ').trimEnd()}\n`);
  }
}

/** A stranger may have written it: no control characters, and no more than a line. */
function oneLine(text: string): string {
  const shown = text.replaceAll(/\p{Cc}+/gu, ' ');
  return shown.length > 120 ? `${shown.slice(0, 119)}…` : shown;
}
