// The safety copy of a borrowed folder, in the builder's own, and what is put right from it alone. RED.
import { rmSync } from 'node:fs';
import { type ByteString, bytesFromText, fsPath, joinBytes, textFromBytes } from '../bytes.ts';
import { type Journal, endWork } from './borrow-journal.ts';
import { plainRoot } from '../files/root.ts';
import { changeTime, identityOf, restoreMetadata, restoreTime } from './folder-stat.ts';
import { putBack } from './safety-copy.ts';
import { scanLiving } from './scan.ts';
import { removeOurs } from './strangers.ts';

export interface BorrowOptions {
  /** The builder's own folder for safety copies. */
  readonly copies: ByteString;
  readonly warn: (message: string) => void;
  readonly signal: AbortSignal;
}

/** The file that is touched while the builder works in the folder. */
export const aliveName = bytesFromText('alive');
/** Where the files of a copy are. */
export const filesName = bytesFromText('files');
/** How long after its last sign of life a killed builder may have gone on working. */
export const slackNs = 1_000_000_000n;
const shownPaths = 3;

/** Where the copy of a folder is. */
export function copyOf(folder: ByteString, { copies }: BorrowOptions): ByteString {
  return joinBytes(copies, bytesFromText(identityOf(folder)));
}

/** A RUN removed all that was hidden, and was killed with the builder: what is missing comes from the copy. */
export async function recoverFromCopy(
  folder: ByteString,
  copy: ByteString,
  journal: Journal,
  { warn, signal }: BorrowOptions,
): Promise<true> {
  const files = plainRoot(joinBytes(copy, filesName));
  if (!journal.isReturning) {
    const { work } = endWork(journal, (changeTime(joinBytes(copy, aliveName)) ?? journal.since ?? 0n) + slackNs);
    const staying = new Set(journal.staying);
    removeOurs({ folder, place: folder, isKept: (name) => staying.has(name), work, isImages: () => false });
    const root = plainRoot(folder);
    const { restored } = await putBack(files, await scanLiving(files, signal), root, await scanLiving(root, signal), 'missing only');
    if (restored.length > 0)
      warn(
        `a RUN of a killed build had removed ${listPaths(restored)} (${restored.length}) from ${textFromBytes(folder)}: put back from a copy`,
      );
  }
  if (journal.metadata !== undefined) restoreMetadata(folder, journal.metadata, warn);
  restoreTime(folder, journal.metadata?.mtime);
  rmSync(fsPath(copy), { recursive: true, force: true });
  return true;
}

/** Some paths for a message. */
export function listPaths(paths: readonly ByteString[]): string {
  const texts = paths.slice(0, shownPaths).map(textFromBytes).join(', ');
  return paths.length > shownPaths ? `${texts}, …` : texts;
}
