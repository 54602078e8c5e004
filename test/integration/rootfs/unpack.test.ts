import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readEntries } from '../../../src/layer/read.ts';
import { createProtection } from '../../../src/rootfs/protect.ts';
import type { Root } from '../../../src/files/root.ts';
import { type UnpackReport, createUnpackReport } from '../../../src/rootfs/unpack-report.ts';
import { unpackLayer } from '../../../src/rootfs/unpack.ts';
import { type TarOptions, bytes, chunks, tar } from '../../support/tar.ts';
import { describe, temporaryFolder, tree } from '../../support/tree.ts';

const signal = new AbortController().signal;

interface Place {
  readonly root: Root;
  /** The root's folder. */
  readonly inside: string;
  /** A file beside the root that no archive may reach. */
  readonly canary: string;
}

function place(context: TestContext, protectedPaths: readonly string[] = []): Place {
  const folder = temporaryFolder(context);
  const inside = join(folder, 'root');
  tree(folder, { root: { dir: {} }, outside: { dir: { canary: { file: 'precious', mode: 0o640, mtime: 1000 } } } });
  utimesSync(join(folder, 'outside'), 1000, 1000);
  return {
    root: { path: bytes(inside), protection: createProtection(protectedPaths.map(bytes)) },
    inside,
    canary: join(folder, 'outside', 'canary'),
  };
}

async function unpack(root: Root, entries: readonly TarOptions[], report: UnpackReport = createUnpackReport()): Promise<UnpackReport> {
  await unpackLayer(root, readEntries(chunks(tar(entries)), signal), report, signal);
  return report;
}

function assertUntouched(canary: string): void {
  const stat = lstatSync(canary);
  assert.equal(readFileSync(canary, 'utf8'), 'precious');
  assert.deepEqual([stat.mode & 0o7777, stat.uid, stat.mtimeMs, stat.nlink], [0o640, process.getuid?.(), 1_000_000, 1]);
  assert.deepEqual(readdirSync(join(canary, '..')), ['canary']);
  assert.equal(statSync(join(canary, '..')).mtimeMs, 1_000_000);
}

const up = '../'.repeat(20);
const attacks: readonly (readonly [title: string, build: (outside: string) => readonly TarOptions[], result: 'inside' | 'refused'])[] = [
  ['dots in a name', (outside) => [{ path: `a/../${up}${outside}/canary`, content: 'evil' }], 'inside'],
  ['an absolute name', (outside) => [{ path: `${outside}/canary`, content: 'evil' }], 'inside'],
  [
    'a symlink for a parent',
    (outside) => [
      { path: 'd', type: '2', link: outside },
      { path: 'd/canary', content: 'evil' },
    ],
    'inside',
  ],
  [
    'a relative symlink for a parent',
    () => [
      { path: 'd', type: '2', link: '../outside' },
      { path: 'd/canary', content: 'evil' },
    ],
    'inside',
  ],
  [
    'a chain of symlinks',
    () => [
      { path: 'a/b/c/up', type: '2', link: '../..' },
      { path: 'a/b/escape', type: '2', link: 'c/up/../../../outside' },
      { path: 'a/b/escape/canary', content: 'evil' },
    ],
    'inside',
  ],
  [
    'a symlink that a file replaces',
    (outside) => [
      { path: 'f', type: '2', link: `${outside}/canary` },
      { path: 'f', content: 'evil', mode: 0o777 },
    ],
    'inside',
  ],
  [
    'a symlink that a directory replaces',
    (outside) => [
      { path: 'f', type: '2', link: outside },
      { path: 'f', type: '5', mode: 0o777 },
    ],
    'inside',
  ],
  [
    'a directory whose name becomes a symlink before times are set',
    (outside) => [
      { path: 'd', type: '5' },
      { path: 'd/canary', type: '5', mtime: 77 },
      { path: 'd/canary', content: '' },
      { path: 'd', type: '2', link: outside },
    ],
    'inside',
  ],
  [
    'a hard link out through a symlink',
    (outside) => [
      { path: 'd', type: '2', link: outside },
      { path: 'h', type: '1', link: 'd/canary' },
      { path: 'h', content: 'evil' },
    ],
    'refused',
  ],
  ['a hard link with dots', () => [{ path: 'h', type: '1', link: `${up}outside/canary` }], 'refused'],
  [
    'a hard link to a symlink, then written',
    (outside) => [
      { path: 's', type: '2', link: `${outside}/canary` },
      { path: 'h', type: '1', link: 's' },
      { path: 'h', content: 'evil' },
    ],
    'inside',
  ],
  [
    'a late hard link whose parent has become a symlink',
    (outside) => [
      { path: 'd', type: '5' },
      { path: 'd/h', type: '1', link: 'late' },
      { path: 'd', type: '2', link: outside },
      { path: 'late', content: 'evil' },
    ],
    'inside',
  ],
  ['a whiteout through a symlink', (outside) => [{ path: 'd', type: '2', link: outside }, { path: 'd/.wh.canary' }], 'inside'],
  ['an opaque mark through a symlink', (outside) => [{ path: 'd', type: '2', link: outside }, { path: 'd/.wh..wh..opq' }], 'inside'],
  [
    'a symlink as the root',
    (outside) => [
      { path: './', type: '2', link: outside },
      { path: 'canary', content: 'evil' },
    ],
    'refused',
  ],
  ['a file as the root', () => [{ path: '/.', type: '0' }], 'refused'],
  [
    'a hard link to itself',
    () => [
      { path: 'h', content: 'x' },
      { path: 'h', type: '1', link: 'h' },
    ],
    'refused',
  ],
  ['a hard link to nothing', () => [{ path: 'h', type: '1', link: 'nothing' }], 'refused'],
  [
    'a hard link to a directory',
    () => [
      { path: 'd', type: '5' },
      { path: 'h', type: '1', link: 'd' },
    ],
    'refused',
  ],
  [
    'a loop of symlinks for a parent',
    () => [
      { path: 'a', type: '2', link: 'b' },
      { path: 'b', type: '2', link: 'a' },
      { path: 'a/f', content: 'x' },
    ],
    'refused',
  ],
  ['a whiteout of nothing', () => [{ path: '.wh.' }], 'refused'],
  ['a whiteout of the parent', () => [{ path: 'd/.wh...' }], 'refused'],
];
for (const [title, build, result] of attacks) {
  test(`unpackLayer() leaves the outside alone: ${title}`, async (context) => {
    const { root, canary } = place(context);
    const unpacking = unpack(root, build(join(canary, '..')));
    if (result === 'inside') await unpacking;
    else
      await assert.rejects(unpacking, (error: Error & { code?: string }) => error.code === 'ERR_LAYER' || error.code === 'ERR_UNSAFE_PATH');
    assertUntouched(canary);
  });
}

test('unpackLayer() agrees with GNU tar on an ordinary tree', async (context) => {
  const { root, inside } = place(context);
  const folder = temporaryFolder(context);
  tree(folder, {
    source: {
      dir: {
        'a b': 'x',
        'd/e': { file: 'y', mode: 0o4755, mtime: 5 },
        'd/l': { link: '../a b' },
        h: { hardlink: 'source/a b' },
        empty: { dir: {}, mode: 0o1777 },
      },
    },
    copy: { dir: {} },
  });
  const archive = execFileSync('tar', ['-C', join(folder, 'source'), '--format=posix', '--xattrs', '-cf', '-', '.']);
  execFileSync('tar', ['-C', join(folder, 'copy'), '-xpf', '-'], { input: archive });
  await unpackLayer(root, readEntries(chunks(archive), signal), createUnpackReport(), signal);
  assert.deepEqual(describe(inside), describe(join(folder, 'source')));
  assert.deepEqual(describe(inside), describe(join(folder, 'copy')));
});

for (const order of ['before', 'after'] as const) {
  test(`unpackLayer() spares what a layer brings itself when its whiteouts come ${order} it`, async (context) => {
    const { root, inside } = place(context);
    tree(inside, { 'd/old': 'x', 'd/sub/old': 'x', 'o/old': 'x', 'o/sub/old': 'x', f: 'lower' });
    const whiteouts = [{ path: '.wh.d' }, { path: 'o/.wh..wh..opq' }, { path: '.wh.f' }];
    const fresh = [
      { path: 'd/sub/new', content: 'y' },
      { path: 'o/sub/new', content: 'y' },
      { path: 'f', content: 'upper' },
    ];
    await unpack(root, order === 'before' ? [...whiteouts, ...fresh] : [...fresh, ...whiteouts]);
    const found = execFileSync('find', [inside, '-type', 'f', '-printf', '%P\n'], { encoding: 'utf8' }).trim().split('\n').sort();
    assert.deepEqual(found, ['d/sub/new', 'f', 'o/sub/new']);
    assert.equal(readFileSync(join(inside, 'f'), 'utf8'), 'upper');
  });
}

test('unpackLayer() takes a whiteout of any type, with content or without a target', async (context) => {
  const { root, inside } = place(context);
  tree(inside, { a: 'x', b: 'x', c: 'x' });
  await unpack(root, [
    { path: '.wh.a', content: 'body' },
    { path: '.wh.b', type: '5' },
    { path: '.wh.b/child' },
    { path: '.wh.c', type: '2', link: 'x' },
    { path: '.wh.gone' },
    { path: 'no/such/.wh.x' },
  ]);
  assert.deepEqual(readdirSync(inside), []);
});

test('unpackLayer() follows a parent that is a symlink inside the root', async (context) => {
  const { root, inside } = place(context);
  await unpack(root, [
    { path: 'usr/lib', type: '5' },
    { path: 'lib', type: '2', link: 'usr/lib' },
    { path: 'lib/x.so', content: 'x' },
    { path: 'abs', type: '2', link: '/usr' },
    { path: 'abs/lib/y.so', content: 'y' },
  ]);
  assert.deepEqual(readdirSync(join(inside, 'usr/lib')), ['x.so', 'y.so']);
  assert.ok(lstatSync(join(inside, 'lib')).isSymbolicLink());
});

test('unpackLayer() replaces a parent that is a file by a directory', async (context) => {
  const { root, inside } = place(context);
  await unpack(root, [
    { path: 'a', content: 'file' },
    { path: 'a/b/c', content: 'x' },
  ]);
  assert.equal(readFileSync(join(inside, 'a/b/c'), 'utf8'), 'x');
});

test('unpackLayer() keeps the children of a directory that comes again and gives it its new metadata', async (context) => {
  const { root, inside } = place(context);
  await unpack(root, [
    { path: 'd', type: '5', mode: 0o700, mtime: 5, pax: { 'SCHILY.xattr.user.old': '1' } },
    { path: 'd/f', content: 'x' },
  ]);
  await unpack(root, [{ path: 'd', type: '5', mode: 0o2775, mtime: 9 }]);
  assert.match(describe(inside)[0] ?? '', /^d 42775 0:0 9000000000 0$/);
  assert.ok(existsSync(join(inside, 'd/f')));
});

test('unpackLayer() breaks a hard link when one of its names is replaced', async (context) => {
  const { root, inside } = place(context);
  await unpack(root, [
    { path: 'a', content: 'one' },
    { path: 'b', type: '1', link: 'a' },
  ]);
  await unpack(root, [{ path: 'b', content: 'two' }]);
  assert.equal(readFileSync(join(inside, 'a'), 'utf8'), 'one');
});

test('unpackLayer() makes a hard link whose target comes later', async (context) => {
  const { root, inside } = place(context);
  await unpack(root, [
    { path: 'a', type: '1', link: 'z' },
    { path: 'z', content: 'x' },
  ]);
  assert.equal(statSync(join(inside, 'a')).ino, statSync(join(inside, 'z')).ino);
});

test('unpackLayer() sets directory times after their children, and keeps those of directories that it only passes', async (context) => {
  const { root, inside } = place(context);
  await unpack(root, [
    { path: 'd', type: '5', mtime: 1 },
    { path: 'd/e', type: '5', mtime: 2 },
    { path: 'd/e/f', content: 'x', pax: { mtime: '-5.123456789' } },
  ]);
  await unpack(root, [{ path: 'd/e/g', content: 'x' }, { path: 'd/.wh.e2' }]);
  const times = ['d', 'd/e', 'd/e/f'].map((path) => lstatSync(join(inside, path), { bigint: true }).mtimeNs);
  assert.deepEqual(times, [1_000_000_000n, 2_000_000_000n, -5_123_456_789n]);
});

test('unpackLayer() leaves protected paths alone and the rest of their directories not', async (context) => {
  const { root, inside } = place(context, ['yadokari', 'etc/resolv.conf']);
  tree(inside, { 'yadokari/bin': 'ours', 'etc/resolv.conf': 'mounted', 'etc/other': 'x' });
  const report = await unpack(root, [
    { path: 'yadokari/bin', content: 'evil' },
    { path: '.wh.yadokari' },
    { path: 'link', type: '2', link: 'yadokari' },
    { path: 'link/bin', content: 'evil' },
    { path: 'etc', type: '2', link: 'yadokari' },
    { path: 'etc/resolv.conf', content: 'evil' },
    { path: 'etc/.wh..wh..opq' },
    { path: '.wh.etc' },
    { path: '.wh..wh..opq' },
  ]);
  assert.deepEqual(
    [readFileSync(join(inside, 'yadokari/bin'), 'utf8'), readFileSync(join(inside, 'etc/resolv.conf'), 'utf8')],
    ['ours', 'mounted'],
  );
  assert.deepEqual(readdirSync(join(inside, 'etc')), ['resolv.conf']);
  assert.ok(report.protectedPaths.has(bytes('yadokari/bin')));
});

test('unpackLayer() makes no hard link to what is protected: the file that the image means is not on this disk', async (context) => {
  const { root, inside } = place(context, ['yadokari']);
  mkdirSync(join(inside, 'yadokari'));
  writeFileSync(join(inside, 'yadokari/config.json'), 'secret');
  symlinkSync('yadokari', join(inside, 'y'));
  writeFileSync(join(inside, 'stolen'), 'of a layer below');
  const report = await unpack(root, [{ path: 'stolen', type: '1', link: 'y/config.json' }]);
  assert.ok(!existsSync(join(inside, 'stolen')));
  assert.deepEqual([...report.protectedPaths], ['stolen']);
});

test('unpackLayer() makes FIFOs and devices, or says which it may not make', async (context) => {
  const { root, inside } = place(context);
  const report = await unpack(root, [
    { path: 'null', type: '3', major: 1, minor: 3, mode: 0o666 },
    { path: 'fifo', type: '6' },
  ]);
  assert.ok(lstatSync(join(inside, 'fifo')).isFIFO());
  if (report.nodes.size > 0) assert.deepEqual([...report.nodes], ['null']);
  else assert.match(describe(inside, false)[1] ?? '', /^null 20666 0:0 259$/);
});

test('unpackLayer() goes on where an attribute can not be set, and remembers it', async (context) => {
  const { root, inside } = place(context);
  const report = await unpack(root, [{ path: 'a', content: 'x', pax: { 'SCHILY.xattr.bogus.name': 'v', 'SCHILY.xattr.user.good': 'v' } }]);
  assert.deepEqual([...report.xattrs.keys()], ['bogus.name']);
  assert.match(describe(inside).join(), /user\.good=76/);
});

test('unpackLayer() names the entry in an error of the filesystem', async (context) => {
  const { root } = place(context);
  await assert.rejects(unpack(root, [{ path: 'x', pax: { path: `d/${'n'.repeat(256)}` } }]), {
    code: 'ERR_ROOTFS',
    message: /entry "d\/nnn.*ENAMETOOLONG/,
  });
});

// Small files are made while the archive is read on; these entries must wait for them.
const many = (folder: string, content: string): readonly TarOptions[] =>
  Array.from({ length: 40 }, (_, index) => ({ path: `${folder}/f${index}`, content }));

test('files that are under way never follow a link that takes the place of their folder', async (context) => {
  const { root, inside, canary } = place(context);
  await unpack(root, [...many('d', 'evil'), { path: 'd', type: '2', link: join(canary, '..') }, ...many('d', 'evil')]);
  assertUntouched(canary);
  assert.equal(readdirSync(inside).includes('d'), true);
});

const orders: readonly (readonly [title: string, entries: readonly TarOptions[], check: (inside: string) => void])[] = [
  [
    'the last of several files of one name stays',
    Array.from({ length: 30 }, (_, index) => ({ path: 'f', content: String(index) })),
    (inside) => assert.equal(readFileSync(join(inside, 'f'), 'utf8'), '29'),
  ],
  [
    'a folder takes the place of a file, and what is in it comes after',
    [...many('d', 'x'), { path: 'd/f39', type: '5' }, { path: 'd/f39/g', content: 'y' }],
    (inside) => assert.equal(readFileSync(join(inside, 'd/f39/g'), 'utf8'), 'y'),
  ],
  [
    'a file below the name of a file takes its place',
    [...many('d', 'x'), { path: 'd/f39/g', content: 'y' }],
    (inside) => assert.equal(readFileSync(join(inside, 'd/f39/g'), 'utf8'), 'y'),
  ],
  [
    'a file below the name of a file takes its place through a link too',
    [{ path: 'l', type: '2', link: 'd' }, ...many('d', 'x'), { path: 'l/f39/g', content: 'y' }],
    (inside) => assert.equal(readFileSync(join(inside, 'd/f39/g'), 'utf8'), 'y'),
  ],
  [
    'a hard link finds the file before it',
    [...many('d', 'x'), { path: 'h', type: '1', link: 'd/f39' }],
    (inside) => assert.equal(statSync(join(inside, 'h')).nlink, 2),
  ],
  [
    'a file takes the place of a folder with files',
    [...many('d/e', 'x'), { path: 'd', content: 'y' }],
    (inside) => assert.equal(readFileSync(join(inside, 'd'), 'utf8'), 'y'),
  ],
  [
    'a whiteout spares the files of its own layer',
    [...many('d', 'x'), { path: 'd/.wh..wh..opq' }],
    (inside) => assert.equal(readdirSync(join(inside, 'd')).length, 40),
  ],
  [
    'a folder keeps the time of its entry',
    [{ path: 'd', type: '5', mtime: 1234 }, ...many('d', 'x')],
    (inside) => assert.equal(statSync(join(inside, 'd')).mtimeMs, 1_234_000),
  ],
];

for (const [title, entries, check] of orders) {
  test(`unpackLayer(), with many small files at once: ${title}`, async (context) => {
    const { root, inside } = place(context);
    await unpack(root, entries);
    check(inside);
  });
}

const hole = 8 * 2 ** 20;
const withHoles: readonly TarOptions[] = [
  { path: 'zeros', content: Buffer.concat([Buffer.from('a'), Buffer.alloc(hole), Buffer.from('b')]) },
  { path: 'ends', content: Buffer.concat([Buffer.from('a'), Buffer.alloc(hole)]) },
  { path: 'nothing', content: Buffer.alloc(hole) },
  { path: 'sparse', content: 'ab', pax: { 'GNU.sparse.map': `0,1,${hole + 1},1`, 'GNU.sparse.size': String(hole + 2) } },
];

test('unpackLayer() makes holes of long runs of zeros, whether the archive tells of them or not', async (context) => {
  const { root, inside } = place(context);
  await unpack(root, withHoles);
  const expected = { zeros: withHoles[0], ends: withHoles[1], nothing: withHoles[2], sparse: withHoles[0] };
  for (const [name, options] of Object.entries(expected)) {
    const path = join(inside, name);
    assert.ok(readFileSync(path).equals(Buffer.from(options?.content ?? '')), name);
    assert.ok(statSync(path).blocks * 512 < hole / 4, `${name} takes ${statSync(path).blocks} blocks`);
  }
});
