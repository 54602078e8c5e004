// Directories from literals, and what they hold as plain values to compare.
import {
  chmodSync,
  lstatSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getXattr, listXattrs } from '../../src/linux/xattr.ts';

/** A file's content, or something else. */
export type Node =
  | string
  | { readonly dir: Readonly<Record<string, Node>>; readonly mode?: number }
  | { readonly link: string }
  | { readonly hardlink: string }
  | { readonly file: string; readonly mode?: number; readonly mtime?: number };

/** A fresh directory under the temporary one, gone with the test. */
export function temporaryFolder(context: { readonly after: (run: () => void) => void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'yadokari-test-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Makes what the literal says below `folder`; names may hold slashes, and hard links name paths below `folder`. */
export function tree(folder: string, nodes: Readonly<Record<string, Node>>, base = folder): void {
  for (const [name, node] of Object.entries(nodes)) {
    const path = join(folder, name);
    mkdirSync(join(path, '..'), { recursive: true });
    if (typeof node === 'string') writeFileSync(path, node);
    else if ('dir' in node) {
      mkdirSync(path, { recursive: true });
      tree(path, node.dir, base);
      if (node.mode !== undefined) chmodSync(path, node.mode);
    } else if ('link' in node) symlinkSync(node.link, path);
    else if ('hardlink' in node) linkSync(join(base, node.hardlink), path);
    else {
      writeFileSync(path, node.file);
      if (node.mode !== undefined) chmodSync(path, node.mode);
      if (node.mtime !== undefined) lutimesSync(path, node.mtime, node.mtime);
    }
  }
}

/** Everything that an image keeps of a directory, one line a path; hard links name the first of theirs. */
export function describe(folder: string, withTimes = true): string[] {
  const lines: string[] = [];
  const firsts = new Map<string, string>();
  const visit = (relative: string): void => {
    const names = readdirSync(join(folder, relative), { encoding: 'buffer' }).sort((a, b) => Buffer.compare(a, b));
    for (const name of names) visitOne(relative, name);
  };
  const visitOne = (relative: string, name: Buffer): void => {
    const bytes = Buffer.concat([
      Buffer.from(folder),
      Buffer.from('/'),
      Buffer.from(relative === '' ? '' : `${relative}/`, 'latin1'),
      name,
    ]);
    const path = (relative === '' ? '' : `${relative}/`) + name.toString('latin1');
    const stat = lstatSync(bytes, { bigint: true });
    const key = `${stat.dev}:${stat.ino}`;
    const first = firsts.get(key);
    if (!stat.isDirectory() && stat.nlink > 1n && first !== undefined) {
      lines.push(`${path} => ${first}`);
      return;
    }
    firsts.set(key, path);
    const kind = stat.isSymbolicLink()
      ? ` -> ${readlinkSync(bytes, 'latin1')}`
      : stat.isFile()
        ? ` ${readFileSync(bytes, 'latin1').slice(0, 64)}`
        : '';
    const absolute = bytes.toString('latin1') as Parameters<typeof listXattrs>[0];
    const xattrs = listXattrs(absolute)
      .sort()
      .map((each) => `${each}=${getXattr(absolute, each)?.toString('hex')}`);
    const time = withTimes ? ` ${stat.mtimeNs}` : '';
    const size = stat.isFile() ? ` ${stat.size}` : '';
    lines.push(`${path} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid}${size}${time} ${stat.rdev}${kind} ${xattrs.join(' ')}`.trimEnd());
    if (stat.isDirectory()) visit(path);
  };
  visit('');
  return lines;
}
