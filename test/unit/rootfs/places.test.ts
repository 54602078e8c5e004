import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createProtection, mountsBelow } from '../../../src/rootfs/protect.ts';
import { resolvePath } from '../../../src/files/resolve.ts';
import { bytes } from '../../support/tar.ts';
import { temporaryFolder, tree } from '../../support/tree.ts';
import { clampPath } from '../../../src/paths.ts';

test('createProtection() covers paths and all below, and names that only begin alike not', () => {
  const { covers, holds, paths } = createProtection(['/yadokari/', './etc/hosts', 'etc/hosts'].map(bytes));
  assert.deepEqual(paths, ['etc/hosts', 'yadokari']);
  const table = { yadokari: true, 'yadokari/a/b': true, 'yadokari-x': false, etc: false, 'etc/hosts': true, 'etc/hosts.allow': false };
  for (const [path, expected] of Object.entries(table)) assert.equal(covers(bytes(path)), expected, path);
  assert.deepEqual(
    ['.', 'etc', 'etc/hosts', 'yadokari', 'usr'].map((path) => holds(bytes(path))),
    [true, true, false, false, false],
  );
});

test('createProtection() of nothing, or of the root, protects nothing', () => {
  for (const { covers, holds } of [createProtection([]), createProtection([bytes('/')])]) {
    assert.ok(!covers(bytes('etc')) && !holds(bytes('.')));
  }
});

test('mountsBelow() gives mount points as paths in the root', () => {
  const mounts = ['/', '/proc', '/proc/sys', '/x', '/x/y z', '/xy'].map((target) => ({
    id: 0,
    target: bytes(target),
    isReadOnly: false,
  }));
  assert.deepEqual(mountsBelow(bytes('/'), mounts), ['proc', 'proc/sys', 'x', 'x/y z', 'xy']);
  assert.deepEqual(mountsBelow(bytes('/x'), mounts), ['y z']);
});

test('clampPath() stops at the root', () => {
  const table = {
    'a/b': 'a/b',
    '../x': 'x',
    '/../../x': 'x',
    'a/../../x': 'x',
    'a/./b//c/': 'a/b/c',
    '..': '.',
    '': '.',
    '/': '.',
    'a/..': '.',
    '..a/b..': '..a/b..',
  };
  for (const [from, to] of Object.entries(table)) assert.equal(clampPath(bytes(from)), to, from);
});

test('resolvePath() sees the root as a chroot would', (context) => {
  const folder = temporaryFolder(context);
  tree(folder, {
    'usr/lib/x': 'x',
    lib: { link: 'usr/lib' },
    abs: { link: '/usr' },
    up: { link: '../../../usr/lib' },
    chain: { link: 'lib/../../abs/lib' },
    dangling: { link: 'gone/away' },
    file: 'f',
    leaf: { link: '/etc/passwd' },
  });
  const root = { path: bytes(folder), protection: createProtection([bytes('usr/lib/x')]) };
  const table: Readonly<Record<string, readonly [string, boolean]>> = {
    'lib/x': ['usr/lib/x', true],
    '/abs/lib/x': ['usr/lib/x', true],
    'up/x': ['usr/lib/x', true],
    'chain/x': ['usr/lib/x', true],
    '../../lib/../lib': ['usr/lib', true],
    'dangling/f': ['gone/away/f', false],
    'new/a/../b': ['new/b', false],
    'file/x': ['file/x', false],
    '/': ['.', true],
    leaf: ['etc/passwd', false],
    'lib/./': ['usr/lib', true],
  };
  for (const [path, [real, exists]] of Object.entries(table)) {
    const found = resolvePath(root, bytes(path), 'follow');
    assert.deepEqual([found.path, found.mode !== undefined, found.isProtected], [real, exists, real === 'usr/lib/x'], path);
  }
  assert.equal(resolvePath(root, bytes('leaf'), 'keep').path, 'leaf');
  assert.equal(resolvePath(root, bytes('lib'), 'keep').path, 'lib');
  assert.equal(resolvePath(root, bytes('lib/x'), 'keep').path, 'usr/lib/x');
});

test('resolvePath() follows 40 links and not one more', (context) => {
  const folder = temporaryFolder(context);
  const links = Object.fromEntries(
    Array.from({ length: 41 }, (_each, index) => [`l${index}`, { link: index === 0 ? 'end' : `l${index - 1}` }]),
  );
  tree(folder, { end: 'x', ...links, loop: { link: 'loop' } });
  const root = { path: bytes(folder), protection: createProtection([]) };
  assert.equal(resolvePath(root, bytes('l39'), 'follow').path, 'end');
  for (const path of ['l40', 'loop', join('loop', 'x')]) {
    assert.throws(() => resolvePath(root, bytes(path), 'follow'), { code: 'ERR_UNSAFE_PATH', message: /more than 40 symbolic links/ });
  }
});
