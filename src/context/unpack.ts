// An archive as a context: into a private folder, and nowhere else. RED: names come from strangers; nothing is ever written
// below a symbolic link, and what would lead out is refused, not bent.
import { bytesFromText, textFromBytes } from '../bytes.ts';
import { BuilderError, messageOf } from '../errors.ts';
import type { Emit } from '../events.ts';
import { EntryWriter } from '../files/entry-writer.ts';
import { plainRoot } from '../files/root.ts';
import { decompressArchive } from '../layer/decompress-archive.ts';
import { readHead, resume } from '../layer/decompress.ts';
import type { Entry } from '../layer/entry.ts';
import { readEntries } from '../layer/read.ts';
import { rootPath } from '../paths.ts';

/** A folder that was filled, and the time of what is in it, in seconds since 1970. */
export interface FilledFolder {
  readonly folder: string;
  readonly timeSeconds?: number;
}

interface Surroundings {
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const noXattrs: ReadonlyMap<string, Buffer> = new Map();

/**
 * Unpacks a tar archive, compressed or not, into an empty folder; gives that and the time of the newest entry. Owners are not
 * kept (a context has none).
 * @throws BuilderError ERR_CONTEXT naming the archive, and the entry that is to blame
 */
export async function unpackContext(
  name: string,
  bytes: AsyncIterable<Buffer>,
  folder: string,
  surroundings: Surroundings,
): Promise<FilledFolder> {
  const { signal } = surroundings;
  const writer = new EntryWriter(plainRoot(bytesFromText(folder)), { kind: 'archive', keepsOwners: false, refuseXattr: () => undefined });
  let count = 0;
  let timeSeconds = 0;
  try {
    count = await writer.writeAll(contextEntries(name, bytes, surroundings), signal, async (entry) => {
      if (entry.type !== 'directory') timeSeconds = Math.max(timeSeconds, entry.mtime.seconds);
      // The folder itself is ours.
      if (entry.path !== rootPath) await writer.write(entry);
    });
  } catch (error) {
    if (signal.aborted) throw error;
    const reason = messageOf(error);
    throw new BuilderError('ERR_CONTEXT', `Cannot unpack context ${name}: ${reason}`, { cause: error });
  }
  if (count === 0) throw new BuilderError('ERR_CONTEXT', `Cannot unpack context ${name}: it is not a tar archive, or an empty one`);
  return { folder, ...(timeSeconds > 0 ? { timeSeconds } : {}) };
}

// The archive's entries as a context can have them.
async function* contextEntries(name: string, bytes: AsyncIterable<Buffer>, { emit, signal }: Surroundings): AsyncGenerator<Entry> {
  const told = new Set<string>();
  const warn = (code: string, message: string): void => {
    if (!told.has(code)) emit({ kind: 'warning', code, message: `${name}: ${message}` });
    told.add(code);
  };
  const iterator = bytes[Symbol.asyncIterator]();
  const head = await readHead(iterator);
  const whole = resume(head, iterator, signal);
  if (head.toString('latin1', 0, 4) === 'PK\x03\x04') {
    for await (const _ of whole) break; // lets go of it
    throw new BuilderError('ERR_CONTEXT', 'it is a zip archive, and tar archives are taken');
  }
  for await (const entry of readEntries(decompressArchive(whole, signal), signal, (message) => warn('context-archive', message))) {
    if (entry.xattrs.size > 0) warn('context-xattrs', 'extended attributes of an archive are not kept in a context');
    if (entry.type === 'fifo' || entry.type === 'character' || entry.type === 'block')
      warn('context-nodes', `'${textFromBytes(entry.path)}' is a ${entry.type} node, which a context can't have: left out`);
    else yield { ...entry, xattrs: noXattrs };
  }
}
