import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ByteString } from '../../../src/bytes.ts';
import type { Entry } from '../../../src/layer/entry.ts';
import { readEntries } from '../../../src/layer/read.ts';
import { writeArchive } from '../../../src/layer/write.ts';
import { makeNode, setTimes } from '../../../src/linux/files.ts';
import { createLauncher } from '../../../src/linux/launch.ts';
import { Processes, protectSelf } from '../../../src/linux/process.ts';
import { setXattr } from '../../../src/linux/xattr.ts';
import { captureChanges } from '../../../src/rootfs/capture.ts';
import { clearRoot } from '../../../src/rootfs/clear.ts';
import { diffTrees } from '../../../src/rootfs/diff.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { createUnpackReport } from '../../../src/rootfs/unpack-report.ts';
import { createProtection } from '../../../src/rootfs/protect.ts';
import type { ReadAheadRequest } from '../../../src/files/read-ahead.ts';
import type { Root } from '../../../src/files/root.ts';
import { scanRoot, settleClock } from '../../../src/rootfs/scan.ts';
import { type LookRequest, SecondLook, lookAgain as lookAgainAt } from '../../../src/rootfs/second-look.ts';
import { takeRootBack, setRootAside } from '../../../src/rootfs/set-aside.ts';
import { unpackLayer } from '../../../src/rootfs/unpack.ts';
import { runThread } from '../../../src/surroundings/guarded-launch.ts';
import { bytes } from '../../support/tar.ts';
import { describe, temporaryFolder, tree } from '../../support/tree.ts';

const signal = new AbortController().signal;

function rootAt(path: string, protectedPaths: readonly string[] = []): Root {
  return { path: bytes(path), protection: createProtection(protectedPaths.map(bytes)) };
}

/** The entries that a change makes, without their content. */
async function layerOf(root: Root, change: () => void): Promise<Omit<Entry, 'content'>[]> {
  const before = await scanRoot(root, signal);
  await settleClock(before, signal);
  change();
  const after = await scanRoot(root, signal);
  const entries: Omit<Entry, 'content'>[] = [];
  for (const { content: _content, ...entry } of captureChanges(root, diffTrees(before, after), signal)) entries.push(entry);
  return entries;
}

function names(entries: readonly Omit<Entry, 'content'>[]): string[] {
  return entries.map(({ type, path, linkTarget }) => (type === 'hardlink' ? `${path} => ${linkTarget}` : path));
}

function oddTree(folder: string): void {
  tree(folder, {
    'etc/passwd': { file: 'root', mode: 0o640, mtime: 1.5 },
    'bin/su': { file: 'elf', mode: 0o4755 },
    tmp: { dir: {}, mode: 0o1777 },
    lib: { link: 'usr/lib' },
    dangling: { link: '/../../nowhere' },
    'h/1': 'linked',
    'h/2': { hardlink: 'h/1' },
    z: { hardlink: 'h/1' },
    ['long/'.repeat(40) + 'name']: 'deep',
    big: 'x'.repeat(1_500_000),
    empty: '',
  });
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x0a, 0x5c, 0xe9])]), 'odd name');
  makeNode(bytes(`${folder}/fifo`), 0o010644);
  linkSync(join(folder, 'dangling'), join(folder, 'dangling2'));
  chownSync(join(folder, 'etc/passwd'), 1000, 4_000_000_000);
  chmodSync(join(folder, 'etc/passwd'), 0o640);
  setXattr(bytes(`${folder}/bin/su`), 'user.binary', Buffer.from([0, 255, 10]));
  setXattr(bytes(`${folder}/bin/su`), 'security.capability', Buffer.from('0100000200040000000000000000000000000000', 'hex'));
  setTimes(bytes(`${folder}/etc/passwd`), -6, 123_456_789);
}

async function copyByLayer(source: Root, target: Root): Promise<void> {
  const after = await scanRoot(source, signal);
  const nothing = await scanRoot(target, signal);
  const archive = writeArchive(captureChanges(source, diffTrees(nothing, after), signal));
  await unpackLayer(target, readEntries(archive, signal), createUnpackReport(), signal);
}

test('a tree survives capture, archive and unpack: owners, modes, attributes, times, odd names, hard links', async (context) => {
  const folder = temporaryFolder(context);
  tree(folder, { a: { dir: {} }, b: { dir: {} } });
  oddTree(join(folder, 'a'));
  await copyByLayer(rootAt(join(folder, 'a')), rootAt(join(folder, 'b')));
  assert.deepEqual(describe(join(folder, 'b')), describe(join(folder, 'a')));
});

test('layers of changes on top of each other give the tree that they were taken from', async (context) => {
  const folder = temporaryFolder(context);
  tree(folder, { a: { dir: {} }, b: { dir: {} } });
  const [source, target] = [rootAt(join(folder, 'a')), rootAt(join(folder, 'b'))];
  oddTree(join(folder, 'a'));
  await copyByLayer(source, target);
  const before = await scanRoot(source, signal);
  await settleClock(before, signal);
  const at = (path: string): string => join(folder, 'a', path);
  rmSync(at('h'), { recursive: true });
  rmSync(at('lib'));
  mkdirSync(at('lib'));
  writeFileSync(at('lib/x'), 'x');
  rmSync(at('long'), { recursive: true });
  writeFileSync(at('long'), 'a file now');
  chmodSync(at('tmp'), 0o700);
  writeFileSync(at('etc/passwd'), 'user');
  renameSync(at('empty'), at('etc/empty'));
  const after = await scanRoot(source, signal);
  const archive = writeArchive(captureChanges(source, diffTrees(before, after), signal));
  await unpackLayer(target, readEntries(archive, signal), createUnpackReport(), signal);
  assert.deepEqual(describe(join(folder, 'b')), describe(join(folder, 'a')));
});

function small(context: TestContext): { readonly root: Root; readonly at: (path: string) => string } {
  const folder = temporaryFolder(context);
  tree(folder, { 'd/f': 'one', 'd/g': 'two', 'd/e/deep': 'x', top: 'y', '.hidden': 'z', 'd-x': 'q' });
  return { root: rootAt(folder), at: (path) => join(folder, path) };
}

test('scanRoot() notices what hides its traces: same size, same times, same inode', async (context) => {
  const { root, at } = small(context);
  const stat = lstatSync(at('d/f'));
  const changed = await layerOf(root, () => {
    writeFileSync(at('d/f'), 'eno', { flag: 'r+' });
    utimesSync(at('d/f'), stat.atime, stat.mtime);
  });
  assert.deepEqual(names(changed), ['d/f']);
});

test('scanRoot() notices every change that follows the scan at once, a hundred times', async (context) => {
  const { root, at } = small(context);
  for (let round = 0; round < 100; round++) {
    const stat = lstatSync(at('top'));
    const changed = await layerOf(root, () => {
      writeFileSync(at('top'), String(round % 10), { flag: 'r+' });
      utimesSync(at('top'), stat.atime, stat.mtime);
    });
    assert.deepEqual(names(changed), ['top']);
  }
});

test('captureChanges() notices mode, owner and attributes alone', async (context) => {
  const { root, at } = small(context);
  const changed = await layerOf(root, () => {
    chmodSync(at('d/f'), 0o600);
    chownSync(at('d/g'), 5, 6);
    setXattr(bytes(at('top')), 'user.x', Buffer.from('1'));
  });
  assert.deepEqual(names(changed), ['d/f', 'd/g', 'top']);
  assert.deepEqual(changed.at(-1)?.xattrs, new Map([['user.x', Buffer.from('1')]]));
});

test('captureChanges() gives nothing for no change', async (context) => {
  const { root, at } = small(context);
  assert.deepEqual(await layerOf(root, () => void readFileSync(at('top'))), []);
});

test('captureChanges() puts whiteouts before siblings, only at the top of what is gone', async (context) => {
  const { root, at } = small(context);
  const changed = await layerOf(root, () => {
    rmSync(at('d/e'), { recursive: true });
    unlinkSync(at('d/g'));
    writeFileSync(at('d/a'), 'new');
    unlinkSync(at('top'));
  });
  assert.deepEqual(names(changed), ['.wh.top', 'd', 'd/.wh.e', 'd/.wh.g', 'd/a']);
});

test('captureChanges() needs no whiteout where something else took the place', async (context) => {
  const { root, at } = small(context);
  const changed = await layerOf(root, () => {
    rmSync(at('d'), { recursive: true });
    symlinkSync('top', at('d'));
    unlinkSync(at('top'));
    mkdirSync(at('top'));
    writeFileSync(at('top/in'), '');
  });
  assert.deepEqual(names(changed), ['d', 'top', 'top/in']);
});

test('captureChanges() links new names of one file, and old names, but not new to old', async (context) => {
  const { root, at } = small(context);
  tree(at(''), { h1: 'x', h2: { hardlink: 'h1' } });
  const changed = await layerOf(root, () => {
    tree(at(''), { n1: 'new', 'd/n2': { hardlink: 'n1' } });
    linkSync(at('top'), at('top2'));
    writeFileSync(at('h1'), 'written through one name');
  });
  assert.deepEqual(names(changed), ['d', 'd/n2', 'h1', 'h2 => h1', 'n1 => d/n2', 'top', 'top2']);
});

test('captureChanges() leaves out sockets and refuses names that mean deletion', async (context) => {
  const { root, at } = small(context);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(at('d/socket'), resolve));
  const changed = await layerOf(root, () => writeFileSync(at('new'), ''));
  assert.deepEqual(names(changed), ['new']);
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(
    layerOf(root, () => writeFileSync(at('d/.wh.x'), '')),
    { code: 'ERR_LAYER', message: /"\/d\/\.wh\.x"/ },
  );
});

test('captureChanges() never opens a FIFO or what took the place of a file', async (context) => {
  const { root, at } = small(context);
  const before = await scanRoot(root, signal);
  await settleClock(before, signal);
  writeFileSync(at('d/f'), 'changed');
  const after = await scanRoot(root, signal);
  unlinkSync(at('d/f'));
  makeNode(bytes(at('d/f')), 0o010644);
  const capture = async (): Promise<void> => {
    for (const entry of captureChanges(root, diffTrees(before, after), signal)) assert.ok(entry.path !== 'd/f');
  };
  await assert.rejects(capture(), { code: 'ERR_ROOTFS', message: /"\/d\/f": it is no longer a regular file/ });
});

test('scanRoot() does not enter what is protected', async (context) => {
  const folder = temporaryFolder(context);
  tree(folder, { 'etc/hosts': 'mounted', 'etc/passwd': 'x', 'yadokari/secret': 'y' });
  const found = await scanRoot(rootAt(folder, ['etc/hosts', 'yadokari']), signal);
  assert.deepEqual(
    [...found.entries()].map(([path]) => path),
    ['etc', 'etc/passwd'],
  );
});

test('setRootAside() and takeRootBack() move a root away and back, apart from what is protected', async (context) => {
  const folder = temporaryFolder(context);
  const aside = temporaryFolder(context);
  oddTree(folder);
  tree(folder, { 'etc/resolv.conf': 'mounted', 'yadokari/secret': 'ours' });
  const root = rootAt(folder, ['etc/resolv.conf', 'yadokari']);
  const was = describe(folder);
  await setRootAside(root, bytes(aside), signal);
  assert.deepEqual(
    describe(folder, false).map((line) => line.split(' ')[0]),
    ['etc', 'etc/resolv.conf', 'yadokari', 'yadokari/secret'],
  );
  assert.match(describe(aside).find((line) => line.startsWith('etc/passwd')) ?? '', / 1000:4000000000 4 -5876543211 /);
  await takeRootBack(root, bytes(aside), signal);
  assert.deepEqual(describe(folder), was);
});

test('setRootAside() copies where renaming is impossible, hard links and all', async (context) => {
  const folder = temporaryFolder(context);
  oddTree(folder);
  const aside = `/dev/shm/yadokari-test-${process.pid}`;
  mkdirSync(aside);
  context.after(() => rmSync(aside, { recursive: true, force: true }));
  if (lstatSync(aside).dev === lstatSync(folder).dev) {
    context.skip('/dev/shm and the temporary folder are one filesystem');
    return;
  }
  const was = describe(folder);
  await setRootAside(rootAt(folder), bytes(aside), signal);
  assert.deepEqual(describe(folder), []);
  await takeRootBack(rootAt(folder), bytes(aside), signal);
  assert.deepEqual(describe(folder), was);
});

test('clearRoot() empties all but what is protected', async (context) => {
  const folder = temporaryFolder(context);
  oddTree(folder);
  tree(folder, { 'etc/resolv.conf': 'mounted' });
  clearRoot(rootAt(folder, ['etc/resolv.conf']), signal);
  assert.deepEqual(
    describe(folder, false).map((line) => line.split(' ')[0]),
    ['etc', 'etc/resolv.conf'],
  );
});

test('readEntries() and unpackLayer() stop when told to', async (context) => {
  const controller = new AbortController();
  const root = rootAt(temporaryFolder(context));
  const endless = async function* (): AsyncGenerator<Entry> {
    for (let index = 0; ; index++) {
      if (index === 3000) controller.abort(new Error('stopped'));
      const mtime = { seconds: 0, nanoseconds: 0 };
      yield { type: 'directory', path: `d${index}` as ByteString, mode: 0o755, uid: 0, gid: 0, mtime, xattrs: new Map(), size: 0 };
    }
  };
  await assert.rejects(unpackLayer(root, endless(), createUnpackReport(), controller.signal), /stopped/);
});

function manyIn(folder: string): void {
  mkdirSync(folder);
  for (let index = 0; index < 1000; index++) writeFileSync(join(folder, String(index)), '');
}

test('scanRoot() that knows an earlier tree sees what one that knows nothing sees, whatever was done in between', async (context) => {
  const { root, at } = small(context);
  tree(at(''), { 'deep/er/f': 'x', empty: { dir: {} }, h1: 'x', h2: { hardlink: 'h1' } });
  manyIn(at('many')); // enough for another thread to help
  const steps: readonly (() => void)[] = [
    () => undefined,
    () => writeFileSync(at('d/f'), 'longer than it was'),
    () => writeFileSync(at('deep/er/new'), ''),
    () => renameSync(at('d/g'), at('d/g2')),
    () => (unlinkSync(at('d/f')), writeFileSync(at('d/f'), 'one')),
    () => (renameSync(at('deep'), at('d/deep')), mkdirSync(at('deep'))),
    () => (rmSync(at('empty'), { recursive: true }), symlinkSync('d', at('empty'))),
    () => chmodSync(at('d/deep/er'), 0o700),
    () => (renameSync(at('d'), at('was-d')), renameSync(at('deep'), at('d'))),
    () => writeFileSync(at('h2'), 'written through one name', { flag: 'r+' }),
    () => {
      for (let index = 0; index < 300; index++) writeFileSync(at(`d/${index}`), '');
    },
    () => (unlinkSync(at('d/7')), linkSync(at('d/8'), at('d/7'))),
    () => (renameSync(at('d'), at('e')), symlinkSync('e', at('d'))), // each file is found where it was, through the link
    () => (rmSync(at('many/7')), writeFileSync(at('many/8'), 'x'), mkdirSync(at('many/new'))),
  ];
  // All is looked at before the walk begins: the thread that is ahead of it.
  const lookAgain = (request: LookRequest): void => {
    lookAgainAt(request);
    assert.ok(request.same.filter((each) => each === 1).length > 900);
  };
  let before = await scanRoot(root, signal);
  for (const [index, step] of steps.entries()) {
    await settleClock(before, signal);
    step();
    const earlier = { tree: before, hasTrueTimes: true };
    const [known, fresh] = [await scanRoot(root, signal, earlier), await scanRoot(root, signal)];
    assert.deepEqual([...known.entries()], [...fresh.entries()], `step ${index}`);
    const helped = await scanRoot(root, signal, { ...earlier, lookAgain });
    assert.deepEqual([...helped.entries()], [...fresh.entries()], `step ${index} with help`);
    before = known;
  }
});

test('the thread that starts RUNs sees what is as it was, and not what has changed', { timeout: 20_000 }, async (context) => {
  const { root, at } = small(context);
  manyIn(at('many'));
  protectSelf();
  const processes = new Processes();
  const launcher = await createLauncher(processes, { thread: runThread });
  try {
    const before = await scanRoot(root, signal);
    await settleClock(before, signal);
    writeFileSync(at('d/f'), 'eno', { flag: 'r+' });
    unlinkSync(at('many/500'));
    const second = new SecondLook(root, before, launcher.tell);
    const changed = ['d/f', 'many', 'many/500'];
    const others = [...before.entries()].flatMap(([path], position) => (changed.includes(path) ? [] : [position]));
    while (!others.every((position) => second.isSame(position))) await sleep(10);
    await sleep(10);
    const seen = Array.from({ length: before.size }, (_, position) => position).filter((position) => !second.isSame(position));
    assert.deepEqual(
      seen.map((position) => before.path(position)),
      changed,
    );
    second.end();
  } finally {
    await launcher.close();
    processes.close();
  }
});

test(
  'the thread that starts RUNs reads small files ahead, and what goes into a layer is the same',
  { timeout: 20_000 },
  async (context) => {
    const folder = temporaryFolder(context);
    const root = rootAt(folder);
    oddTree(folder);
    manyIn(join(folder, 'many'));
    for (const size of [16_383, 16_384, 16_385]) writeFileSync(join(folder, `many/${size}`), 'x'.repeat(size));
    for (const name of ['grows', 'grows/far', 'shrinks', 'gone']) writeFileSync(join(folder, 'many', name.replace('/', '-')), 'content');
    setXattr(bytes(join(folder, 'many/7')), 'user.kept', Buffer.from('yes'));
    const found = await scanRoot(root, signal);
    const changes = diffTrees(await scanRoot(rootAt(temporaryFolder(context)), signal), found);
    writeFileSync(join(folder, 'many/grows'), 'more than it was');
    writeFileSync(join(folder, 'many/grows-far'), 'x'.repeat(20_000));
    writeFileSync(join(folder, 'many/shrinks'), '');
    const processes = new Processes();
    const launcher = await createLauncher(processes, { thread: runThread });
    const archiveOf = async (readAhead?: (request: ReadAheadRequest) => void): Promise<string> =>
      digestOf(
        Buffer.concat(
          await Array.fromAsync(writeArchive(captureChanges(root, changes, signal, { readAhead })), (block) => Buffer.from(block)),
        ),
      );
    try {
      const alone = await archiveOf();
      // One that nobody wants to the end is no matter.
      for (const { path } of captureChanges(root, changes, signal, { readAhead: launcher.tell })) if (path === bytes('many/500')) break;
      assert.equal(await archiveOf(launcher.tell), alone);
      unlinkSync(join(folder, 'many/gone'));
      for (const ask of [undefined, launcher.tell])
        await assert.rejects(archiveOf(ask), { code: 'ERR_ROOTFS', message: /Cannot read "\/many\/gone": ENOENT/ });
      makeNode(bytes(join(folder, 'many/gone')), 0o010644);
      await assert.rejects(archiveOf(launcher.tell), { code: 'ERR_ROOTFS', message: /it is no longer a regular file/ });
    } finally {
      await launcher.close();
      processes.close();
    }
  },
);

test('scanRoot() that knows an earlier tree passes over what is protected', async (context) => {
  const { root: plain, at } = small(context);
  const root = { ...plain, protection: createProtection([bytes('d/e')]) };
  const before = await scanRoot(root, signal);
  await settleClock(before, signal);
  writeFileSync(at('d/e/deep'), 'changed');
  writeFileSync(at('d/f'), 'changed');
  assert.deepEqual(
    Array.from(diffTrees(before, await scanRoot(root, signal, { tree: before, hasTrueTimes: true })), ({ path }) => path),
    ['d/f'],
  );
});

test('scanRoot() that knows an earlier tree keeps nothing twice, and not for ever what is gone', async (context) => {
  const { root, at } = small(context);
  mkdirSync(at('many'));
  const change = (round: number): void => {
    for (let index = 0; index < 3000; index++) writeFileSync(at(`many/${index}`), String(round));
  };
  change(0);
  let tree = await scanRoot(root, signal);
  const again = await scanRoot(root, signal, { tree, hasTrueTimes: false });
  assert.equal(again.table.count, tree.size);
  assert.equal(diffTrees(tree, again).length, 0);
  for (let round = 1; round < 5; round++) {
    await settleClock(tree, signal);
    change(round);
    const before = tree;
    tree = await scanRoot(root, signal, { tree, hasTrueTimes: true });
    assert.equal(diffTrees(before, tree).length, 3000);
    assert.ok(tree.table.count < 14_000, `${tree.table.count} rows for ${tree.size} files`);
  }
});
