// A layer read into an image's tree: its headers alone, or while its entries go by to the disk.
import { BuilderError } from '../errors.ts';
import type { Entry, LocalEntry } from '../layer/entry.ts';
import { openEntries } from '../layer/open-entries.ts';
import type { Layer } from '../oci/image.ts';
import { clampPath } from '../paths.ts';
import { LayerApplication } from '../tree/apply-layer.ts';
import type { ImageTree } from '../tree/image-tree.ts';
import type { ContentPlace } from '../tree/node.ts';

/** Files that are asked for by name before anything is on disk: they are kept when their headers are read. */
const accountPaths: ReadonlySet<string> = new Set(['etc/passwd', 'etc/group']);
const largestKept = 10 * 1024 * 1024;

/** Contents that were kept while layers were read, by `keyOf`. */
export type KeptContents = Map<string, Buffer>;

export function keyOf({ layer, entry }: ContentPlace): string {
  return `${layer}:${entry}`;
}

/** Passes a layer's entries on, each when the tree has it. @throws ERR_LAYER for an entry that makes no sense */
export async function* followLayer(
  entries: AsyncIterable<Entry>,
  tree: ImageTree,
  number: number,
  kept: KeptContents,
): AsyncGenerator<Entry> {
  const application = new LayerApplication(tree, number);
  let position = 0;
  for await (const entry of entries) {
    application.apply(entry);
    if (isKept(entry)) {
      const chunks: Buffer[] = [];
      // What the archive's reader gives out is only lent.
      for await (const chunk of entry.content ?? []) chunks.push(Buffer.from(chunk));
      yield keepContent(entry, chunks, keyOf({ layer: number, entry: position }), kept);
    } else yield entry;
    position++;
  }
  application.finish();
}

/** The same of entries that are at hand. */
export function* followLocal(entries: Iterable<LocalEntry>, tree: ImageTree, number: number, kept: KeptContents): Generator<LocalEntry> {
  const application = new LayerApplication(tree, number);
  let position = 0;
  for (const entry of entries) {
    application.apply(entry);
    if (isKept(entry)) {
      const chunks = Array.from(entry.content ?? [], (chunk) => Buffer.from(chunk));
      yield keepContent(entry, chunks, keyOf({ layer: number, entry: position }), kept);
    } else yield entry;
    position++;
  }
  application.finish();
}

function isKept({ type, size, path }: Entry): boolean {
  return type === 'file' && size <= largestKept && accountPaths.has(clampPath(path));
}

function keepContent(entry: Entry, chunks: readonly Buffer[], key: string, kept: KeptContents): LocalEntry {
  const content = Buffer.concat(chunks);
  kept.set(key, content);
  return { ...entry, content: [content] };
}

/** Reads a layer's headers. @throws ERR_LAYER, ERR_DIGEST_MISMATCH */
export async function readLayerInto(
  tree: ImageTree,
  number: number,
  layer: Layer,
  kept: KeptContents,
  options: { readonly warn: (message: string) => void; readonly signal: AbortSignal },
): Promise<void> {
  let count = 0;
  for await (const _ of followLayer(openEntries(layer, options.signal, options.warn), tree, number, kept)) {
    count++;
    if (count % 1024 === 0) {
      options.signal.throwIfAborted();
      // Everything here is synchronous while data is at hand; signals and downloads want their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** Says which layer a failure is about. */
export async function namingLayer<Value>(number: number, count: number, layer: Layer, task: () => Promise<Value>): Promise<Value> {
  try {
    return await task();
  } catch (error) {
    if (!(error instanceof BuilderError) || error.code === 'ERR_ABORTED') throw error;
    const message = `Cannot unpack layer ${number + 1} of ${count} (${layer.descriptor.digest}): ${error.message}`;
    throw new BuilderError(error.code, message, { cause: error, hint: error.hint });
  }
}
