// Which of the image's own files a RUN can't see.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { hiddenPaths } from '../../../src/rootfs/hidden-paths.ts';
import { createProtection } from '../../../src/rootfs/protect.ts';
import { ImageTree } from '../../../src/tree/image-tree.ts';
import { mapPod } from '../../../src/tree/pod-map.ts';

const common = { uid: 0, gid: 0, size: 0, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: new Map<string, Buffer>() };

function hidden(paths: readonly string[], covered: readonly string[]): readonly string[] {
  const tree = new ImageTree();
  for (const path of paths) {
    const [name = '', target] = path.split(' -> ');
    const clean = bytesFromText(name.replace(/\/$/, ''));
    if (target !== undefined) tree.put(clean, { type: 'symlink', mode: 0o777, ...common, linkTarget: bytesFromText(target) });
    else if (name.endsWith('/')) tree.put(clean, { type: 'directory', mode: 0o755, ...common });
    else tree.put(clean, { type: 'file', mode: 0o644, ...common });
  }
  const protection = createProtection(covered.map(bytesFromText));
  return hiddenPaths(tree, protection, mapPod(tree, protection));
}

const rows = [
  { title: 'a file that a mount covers', tree: ['etc/', 'etc/app.conf'], covered: ['etc/app.conf'], hidden: ['etc/app.conf'] },
  { title: 'a folder with something in it', tree: ['opt/', 'opt/tool'], covered: ['opt'], hidden: ['opt'] },
  { title: 'no folder that is only a place to mount to', tree: ['mnt/', 'mnt/data/'], covered: ['mnt/data'], hidden: [] },
  { title: 'nothing where the image has nothing', tree: ['var/'], covered: ['var/run/secrets'], hidden: [] },
  {
    title: 'nothing that every engine mounts',
    tree: ['etc/', 'etc/hosts', 'etc/resolv.conf', 'dev/', 'dev/null', 'proc/', 'proc/x'],
    covered: ['etc/hosts', 'etc/resolv.conf', 'dev', 'dev/null', 'proc'],
    hidden: [],
  },
  {
    title: 'the path in the image of what is mounted below a link of it',
    tree: ['run/', 'run/token', 'var/', 'var/run -> /run'],
    covered: ['var/run/token'],
    hidden: ['run/token'],
  },
];
for (const row of rows) {
  test(`hiddenPaths() names ${row.title}`, () => assert.deepEqual(hidden(row.tree, row.covered), row.hidden));
}
