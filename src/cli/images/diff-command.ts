// `yadokari diff`: what an image has that another one has not.
import { textFromBytes } from '../../bytes.ts';
import { BuilderError } from '../../errors.ts';
import type { JsonObject } from '../../oci/json.ts';
import { type ImageChange, compareImages } from '../../rootfs/compare-images.ts';
import type { CommandInput } from '../command.ts';
import { printJson } from '../../go/json.ts';
import { storeOf } from '../requests/store-request.ts';
import { withStoredImage } from './stored-image.ts';

/** What an image has that another one, or its own layers but the last, has not: `A`, `C` and `D`, as podman prints it. */
export async function runDiffCommand({ settings, positionals, env, stdout, signal }: CommandInput): Promise<void> {
  const [text, base, ...others] = positionals;
  if (text === undefined || others.length > 0)
    throw new BuilderError('ERR_USAGE', `Cannot compare: ${positionals.length} images are named, and one or two are needed`, {
      hint: 'yadokari diff IMAGE [BASE]',
    });
  const store = storeOf(settings, env);
  const changes = await withStoredImage({ store, text, settings }, signal, async (after) => {
    if (base === undefined) return await compareImages(after.image.layers.slice(0, -1), after.image.layers, signal);
    return await withStoredImage(
      { store, text: base, settings },
      signal,
      async (before) => await compareImages(before.image.layers, after.image.layers, signal),
    );
  });
  stdout.write(
    settings.boolean('json') || settings.text('format') === 'json'
      ? `${printJson(byKind(changes))}\n`
      : changes.map(({ kind, path }) => `${kind.slice(0, 1).toUpperCase()} /${textFromBytes(path)}\n`).join(''),
  );
}

function byKind(changes: readonly ImageChange[]): JsonObject {
  const kinds = ['changed', 'added', 'deleted'] as const;
  const byKinds = Map.groupBy(changes, ({ kind }) => kind);
  const paths = (of: readonly ImageChange[]): readonly string[] => of.map(({ path }) => `/${textFromBytes(path)}`);
  return new Map(kinds.flatMap((kind) => (byKinds.has(kind) ? [[kind, paths(byKinds.get(kind) ?? [])]] : [])));
}
