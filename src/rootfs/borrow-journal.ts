// What is written down about a borrowed folder, for whoever finds it after a kill -9: what it was like, and when the builder worked
// in it. Times are those that its filesystem stamps files with, in nanoseconds since 1970.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type ByteString, bytesFromText, fsPath, joinBytes } from '../bytes.ts';
import { systemCode } from '../errors.ts';
import type { Metadata } from '../layer/entry.ts';
import { identityOf } from './folder-stat.ts';

/** Whatever changed in the folder from `start` to `end` is the image's. */
export interface WorkTime {
  readonly start: bigint;
  readonly end: bigint;
}

export interface Journal {
  /** Tells the folder from others, wherever it is mounted. */
  readonly identity: string;
  /** Undefined where it could not be read any more. */
  readonly metadata: Metadata | undefined;
  /** Names that were not moved. */
  readonly staying: readonly ByteString[];
  readonly work: readonly WorkTime[];
  /** Since when it works there now. */
  readonly since?: bigint;
  /** The folder has nothing of the image's any more: all in it is the user's. */
  readonly isReturning: boolean;
}

const fileName = bytesFromText('journal.json');

/** Writes it to `folder`, as a whole or not at all. @throws SystemError */
export function writeJournal(folder: ByteString, journal: Journal): void {
  const { metadata, work, since } = journal;
  const text = JSON.stringify({
    ...journal,
    metadata: metadata && { ...metadata, xattrs: [...metadata.xattrs].map(([name, value]) => [name, value.toString('base64')]) },
    work: work.map(({ start, end }) => [String(start), String(end)]),
    since: since === undefined ? undefined : String(since),
  });
  const path = fsPath(joinBytes(folder, fileName));
  const temporary = fsPath(joinBytes(folder, bytesFromText('journal.new')));
  writeFileSync(temporary, text, { mode: 0o600, flush: true });
  renameSync(temporary, path);
}

/** Undefined where there is none, or none that can be read. */
export function readJournal(folder: ByteString): Journal | undefined {
  try {
    // Written above; the folder is ours alone.
    const read = JSON.parse(readFileSync(fsPath(joinBytes(folder, fileName)), 'utf8')) as Omit<Journal, 'metadata' | 'work' | 'since'> & {
      readonly metadata?: Omit<Metadata, 'xattrs'> & { readonly xattrs: readonly (readonly [string, string])[] };
      readonly work: readonly (readonly [string, string])[];
      readonly since?: string;
    };
    const { metadata, work, since } = read;
    return {
      ...read,
      metadata: metadata && { ...metadata, xattrs: new Map(metadata.xattrs.map(([name, value]) => [name, Buffer.from(value, 'base64')])) },
      work: work.map(([start, end]) => ({ start: BigInt(start), end: BigInt(end) })),
      ...(since === undefined ? {} : { since: BigInt(since) }),
    } as Journal; // as checked by nobody else: see above
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** True for a ctime at which the builder was at work. */
export function wasAtWork(work: readonly WorkTime[], changed: bigint): boolean {
  return work.some(({ start, end }) => start <= changed && changed <= end);
}

/** The journal of a folder in which the builder worked until `end`, if it did. */
export function endWork(journal: Journal, end: bigint): Journal {
  const { since, ...rest } = journal;
  const done: WorkTime[] = since === undefined ? [] : [{ start: since, end }];
  return { ...rest, work: [...journal.work, ...done] };
}

/** What can be said where no journal is left: all that is there is the user's. */
export function emptyJournal(folder: ByteString): Journal {
  return { identity: identityOf(folder), metadata: undefined, staying: [], work: [], isReturning: false };
}
