// What unpacking could not do here, kept to be told once instead of a thousand times.
import { type ByteString, textFromBytes } from '../bytes.ts';
import type { Emit } from '../events.ts';
import type { Entry } from '../layer/entry.ts';
import type { Owner } from '../linux/owners.ts';

/** What of a base is not in the root although its layers say so. A snapshot sees neither as a change. */
export interface UnpackReport {
  /** Device nodes that may not be made (no CAP_MKNOD). */
  readonly nodes: Set<ByteString>;
  /** Attributes that can't be set here: name to the first path that had it. */
  readonly xattrs: Map<string, ByteString>;
  /** Owners that can't be given here, by path: the files belong to whoever builds. */
  readonly owners: Map<ByteString, Owner>;
  /** Entries under a mount, our own folder or an ignored path. */
  readonly protectedPaths: Set<ByteString>;
  /** Oddities of the archives. */
  readonly oddities: Set<string>;
}

/** An empty report. */
export function createUnpackReport(): UnpackReport {
  return { nodes: new Set(), xattrs: new Map(), owners: new Map(), protectedPaths: new Set(), oddities: new Set() };
}

/** The entry as it can be made here; an id that the user namespace does not map can be given to nothing, the layer has it all the same. */
export function withPossibleOwner(report: UnpackReport, path: ByteString, entry: Entry, possible: Owner): Entry {
  if (possible.uid === entry.uid && possible.gid === entry.gid) {
    if (report.owners.size > 0) report.owners.delete(path);
    return entry;
  }
  report.owners.set(path, { uid: entry.uid, gid: entry.gid });
  return { ...entry, ...possible };
}

/** One warning for each kind of thing in the report, with examples. */
export function tellUnpackReport(report: UnpackReport, emit: Emit): void {
  if (report.nodes.size > 0) {
    warn(
      emit,
      'unpack.devices',
      `${count(report.nodes.size, 'device node')} of the image can't be made without CAP_MKNOD: ${examples(report.nodes)}`,
    );
  }
  if (report.xattrs.size > 0) {
    const list = [...report.xattrs].map(([name, path]) => `${JSON.stringify(name)} (on ${textFromBytes(path)})`);
    warn(emit, 'unpack.xattrs', `extended attributes of the image can't be set here: ${list.slice(0, 5).join(', ')}`);
  }
  const [first] = report.owners;
  if (first !== undefined) {
    const [path, { uid, gid }] = first;
    const example = `${JSON.stringify(`/${textFromBytes(path)}`)} of ${uid}:${gid}`;
    const files = count(report.owners.size, 'file');
    const message = `${files} of the image can't have their owners here (${example}): while building they belong to root, in the image to whom they did`;
    warn(emit, 'unpack.owners', message);
  }
  for (const oddity of report.oddities) warn(emit, 'unpack.archive', oddity);
  if (report.protectedPaths.size > 0) {
    const message = `${count(report.protectedPaths.size, 'path')} of the image left alone as mounted or ignored here: ${examples(report.protectedPaths)}`;
    emit({ kind: 'note', level: 'debug', message });
  }
}

function warn(emit: Emit, code: string, message: string): void {
  emit({ kind: 'warning', code, message });
}

function examples(paths: ReadonlySet<ByteString>): string {
  const shown = [...paths].slice(0, 3).map((path) => JSON.stringify(`/${textFromBytes(path)}`));
  return paths.size > shown.length ? `${shown.join(', ')}, …` : shown.join(', ');
}

function count(amount: number, noun: string): string {
  return amount === 1 ? `1 ${noun}` : `${amount} ${noun}s`;
}
