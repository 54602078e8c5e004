// `yadokari sync --src KIND --dest KIND SOURCE DESTINATION`: many images at once, as skopeo syncs them.
import { dirname } from 'node:path';
import { makeFolder } from '../../folders.ts';
import { BuilderError, inWords } from '../../errors.ts';
import { given } from '../../given.ts';
import type { Reference } from '../../oci/reference.ts';
import { openRegistrySide } from '../../surroundings/registry-side.ts';
import type { CopyMeans } from '../../transports/copy.ts';
import { type SyncRegistry, parseSyncFile } from '../../transports/sync-file.ts';
import { type SyncSource, type SyncTarget, fileSources, folderSources, repositorySources, syncDestination } from '../../transports/sync.ts';
import type { Means, Place } from '../../transports/transport.ts';
import type { CommandInput } from '../command.ts';
import { copyWithRetries, openCopyMeans } from './copy-command.ts';
import { describeFailure } from '../exit.ts';
import { copyOptionsOf, sideOf, withPolicy } from '../requests/transport-request.ts';
import { readSmallFile } from '../../small-file.ts';

const fileLimitBytes = 4 * 1024 * 1024;

/** Images of one source, and how they are reached. */
interface Batch {
  readonly sources: readonly SyncSource[];
  readonly from: Means;
}

/** 0 where all went well; 1 where the tags of some could not be listed, and with `--keep-going` where some were not copied. */
export async function runSyncCommand(input: CommandInput): Promise<number> {
  const { settings, report } = input;
  const { source, kind, target } = readRequest(input);
  const isQuiet = settings.boolean('quiet');
  await using means = await openCopyMeans(input);
  const tally = { copied: 0, failed: 0, skipped: 0 };
  const skip = (error: unknown): void => {
    if (!(error instanceof BuilderError) || input.signal.aborted) throw error;
    for (const line of describeFailure(error, false)) report.line('error', line);
    tally.skipped++;
  };
  for await (const batch of batches(source, kind, { means, skip }, input)) {
    for (const item of batch.sources) {
      if (await syncOne(item, target, { ...means, from: batch.from }, input)) tally.copied++;
      else tally.failed++;
    }
  }
  const verb = settings.boolean('dry-run') ? 'would be copied' : 'copied';
  if (!isQuiet) report.line('info', `${tally.copied} image${tally.copied === 1 ? '' : 's'} ${verb}`);
  if (tally.failed > 0) report.line('error', `error: ${tally.failed} image${tally.failed === 1 ? ' was' : 's were'} not copied`);
  if (tally.skipped > 0) report.line('error', `error: ${tally.skipped} repositor${tally.skipped === 1 ? 'y was' : 'ies were'} skipped`);
  return tally.failed + tally.skipped > 0 ? 1 : 0;
}

/** False where it failed and others are to follow. */
async function syncOne(item: SyncSource, target: SyncTarget, means: CopyMeans, input: CommandInput): Promise<boolean> {
  const { settings, report, signal } = input;
  const isQuiet = settings.boolean('quiet');
  try {
    const to = syncDestination(item, target);
    if (settings.boolean('dry-run')) {
      if (!isQuiet) report.line('info', `would copy ${item.place.name} -> ${to.name}`);
      return true;
    }
    makeParent(to);
    const { digest } = await copyWithRetries(item.place, to, copyOptionsOf(settings), { ...input, means });
    if (!isQuiet) report.line('info', `${item.place.name} -> ${to.name} ${digest}`);
    return true;
  } catch (error) {
    if (!settings.boolean('keep-going') || signal.aborted) throw error;
    for (const line of describeFailure(error, false)) report.line('error', line);
    return false;
  }
}

function readRequest({ settings, positionals }: CommandInput): {
  readonly source: string;
  readonly kind: 'docker' | 'dir' | 'yaml';
  readonly target: SyncTarget;
} {
  const [source, destination, ...others] = positionals;
  if (source === undefined || destination === undefined || others.length > 0)
    throw new BuilderError('ERR_USAGE', `Cannot sync: ${positionals.length} places are named, and two are needed`, {
      hint: 'yadokari sync --src docker --dest dir registry.example/app /media/usb',
    });
  for (const name of ['src', 'dest']) if (!settings.has(name)) throw new BuilderError('ERR_USAGE', `Cannot sync: --${name} is missing`);
  const kind = settings.choice('src', ['docker', 'dir', 'yaml'], 'docker');
  const to = settings.choice('dest', ['docker', 'dir'], 'docker');
  if (kind === 'dir' && to === 'dir')
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot sync from a folder to a folder: that is what cp -a does');
  const suffix = settings.text('append-suffix') ?? '';
  return { source, kind, target: { kind: to, destination, isScoped: settings.boolean('scoped'), suffix } };
}

async function* batches(
  source: string,
  kind: 'docker' | 'dir' | 'yaml',
  { means, skip }: { readonly means: CopyMeans; readonly skip: (error: unknown) => void },
  input: CommandInput,
): AsyncGenerator<Batch> {
  const { settings, signal } = input;
  const tagsBy = (from: Means) => async (reference: Reference) => await from.registry.listTags(reference, signal);
  if (kind === 'docker') {
    yield { sources: await repositorySources(source, tagsBy(means.from)), from: means.from };
    return;
  }
  if (kind === 'dir') {
    yield { sources: await folderSources(source), from: means.from };
    return;
  }
  for (const registry of parseSyncFile(await readList(source), source)) {
    const side = { env: withPolicy(settings, input.env), emit: means.emit };
    const { registry: client, policy } = await openRegistrySide(sideFor(registry, input), side);
    try {
      const from = { ...means.from, registry: client, policy };
      yield { sources: await fileSources(registry, tagsBy(from), skip), from };
    } finally {
      await client.close();
    }
  }
}

/** What the file says of a registry, and flags where it says nothing. */
function sideFor({ credential, tlsVerify, certificateFolder }: SyncRegistry, { settings }: CommandInput): ReturnType<typeof sideOf> {
  return {
    ...sideOf(settings, 'src-'),
    ...(credential === undefined ? {} : { credential: { kind: 'password' as const, ...credential } }),
    ...(tlsVerify === undefined ? {} : { isLenient: !tlsVerify }),
    ...given({ certificateFolder }),
  };
}

async function readList(path: string): Promise<string> {
  return (await readSmallFile(path, fileLimitBytes).catch(inWords('ERR_USAGE', `Cannot read ${path}`))).toString('utf8');
}

function makeParent({ transport, path }: Place): void {
  if (transport.name === 'dir' && path !== undefined) makeFolder(dirname(path));
}
