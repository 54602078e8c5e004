// `yadokari copy SOURCE DESTINATION`: an image from one place to another, as skopeo copies it.
import { BuilderError } from '../../errors.ts';
import { type BlobStore, openBlobStore } from '../../layer/store.ts';
import { type CopiedImage, type CopyMeans, type CopyOptions, copyBetween } from '../../transports/copy.ts';
import type { Place } from '../../transports/transport.ts';
import type { CommandInput } from '../command.ts';
import { openResultFile } from '../images/result-file.ts';
import { copyOptionsOf, openMeans, temporaryFolderOf } from '../requests/transport-request.ts';
import type { Emit } from '../../events.ts';
import type { Report } from '../../report/report.ts';
import type { Settings } from '../settings.ts';
import { withRetries } from '../../registry/again.ts';
import { parsePlace } from '../../transports/places.ts';

/** Copies, and tells where and which digest. */
export async function runCopyCommand(input: CommandInput): Promise<void> {
  const { settings, positionals, report } = input;
  const [source, destination, ...others] = positionals;
  if (source === undefined || destination === undefined || others.length > 0)
    throw new BuilderError('ERR_USAGE', `Cannot copy: ${positionals.length} places are named, and two are needed`, {
      hint: 'yadokari copy docker://alpine:3.22 oci:images:alpine',
    });
  const [from, to] = [parsePlace(source), parsePlace(destination)];
  const options = copyOptionsOf(settings);
  await using file = await openResultFile(settings, 'digestfile');
  await using means = await openCopyMeans(input);
  const { digest, referrers } = await copyWithRetries(from, to, options, { ...input, means });
  await file?.commit(digest);
  const also = referrers === 0 ? '' : `, with ${referrers} referrer${referrers === 1 ? '' : 's'}`;
  if (!settings.boolean('quiet')) report.line('info', `${from.name} -> ${to.name} ${digest}${also}`);
}

/** Both sides, and room for layers that are compressed anew. */
export async function openCopyMeans({ settings, env, report }: CommandInput): Promise<CopyMeans & AsyncDisposable> {
  const emit = quietOf(settings, report);
  const stack = new AsyncDisposableStack();
  try {
    const from = stack.use(await openMeans(settings, 'src-', { env, emit }));
    const to = stack.use(await openMeans(settings, 'dest-', { env, emit }));
    const store: BlobStore = stack.use(openBlobStore(temporaryFolderOf(settings, env)));
    const opened = stack.move();
    return { from, to, store, emit, [Symbol.asyncDispose]: async () => await opened.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Hears all, with `--quiet` warnings alone. */
export function quietOf(settings: Settings, { emit }: Pick<Report, 'emit'>): Emit {
  return settings.boolean('quiet') ? (event) => void (event.kind === 'warning' && emit(event)) : emit;
}

/** Copies again what a registry failed at, as often as `--retry-times` says: what is there already is not sent again. */
export async function copyWithRetries(
  from: Place,
  to: Place,
  options: CopyOptions,
  { settings, report, signal, means }: Pick<CommandInput, 'settings' | 'report' | 'signal'> & { readonly means: CopyMeans },
): Promise<CopiedImage> {
  const retries = settings.number('retry-times') ?? settings.number('retry') ?? 0;
  return await withRetries(async () => await copyBetween(from, to, options, means, signal), {
    task: 'copying',
    retriesAfter: ({ code }) => (['ERR_REGISTRY', 'ERR_DIGEST_MISMATCH'].includes(code) ? retries : 0),
    emit: report.emit,
    signal,
  });
}
