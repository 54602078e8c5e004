// What the bytes of commits, tags and trees say.
import { bytesFromBuffer, type ByteString } from '../bytes.ts';

export interface Commit {
  readonly tree: string;
  /** Seconds since 1970. */
  readonly timeSeconds: number;
}

export interface TreeItem {
  readonly kind: 'file' | 'program' | 'link' | 'directory' | 'submodule';
  readonly name: ByteString;
  readonly id: string;
}

/** Undefined for what is no commit. */
export function parseCommit(bytes: Buffer): Commit | undefined {
  const head = bytes.toString('latin1').split('\n\n', 1)[0] ?? '';
  const tree = /^tree ([0-9a-f]{40})$/m.exec(head)?.[1];
  const time = /^committer .*> (\d+) [+-]\d{4}$/m.exec(head)?.[1];
  return tree === undefined ? undefined : { tree, timeSeconds: Number(time ?? 0) };
}

/** What a tag leads to; undefined for what is no tag. */
export function parseTag(bytes: Buffer): string | undefined {
  return /^object ([0-9a-f]{40})$/m.exec(bytes.toString('latin1').split('\n\n', 1)[0] ?? '')?.[1];
}

/** A directory's entries; undefined where the bytes are no tree. */
export function parseTree(bytes: Buffer): readonly TreeItem[] | undefined {
  const items: TreeItem[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const end = bytes.indexOf(0, space);
    if (space === -1 || end === -1 || end + 21 > bytes.length) return undefined;
    const kind = kindOf(Number.parseInt(bytes.toString('latin1', at, space), 8));
    if (kind === undefined) return undefined;
    items.push({ kind, name: bytesFromBuffer(bytes, space + 1, end), id: bytes.toString('hex', end + 1, end + 21) });
    at = end + 21;
  }
  return items;
}

function kindOf(mode: number): TreeItem['kind'] | undefined {
  switch (mode & 0o170000) {
    case 0o100000:
      // Old repositories have 0664 and the like: git keeps one bit of it.
      return (mode & 0o100) === 0 ? 'file' : 'program';
    case 0o120000:
      return 'link';
    case 0o040000:
      return 'directory';
    case 0o160000:
      return 'submodule';
    default:
      return undefined;
  }
}
