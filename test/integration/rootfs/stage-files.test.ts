// Stages between layers, tree and disk: real layers on a real folder, commands in a chroot, and a pod's mounts as protected paths.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ByteString } from '../../../src/bytes.ts';
import type { FileView } from '../../../src/files/file-view.ts';
import { digestOf as digestOfBytes } from '../../../src/oci/digest.ts';
import type { Layer } from '../../../src/oci/image.ts';
import { childPath, rootPath } from '../../../src/paths.ts';
import type { Ground } from '../../../src/rootfs/ground.ts';
import { createProtection } from '../../../src/rootfs/protect.ts';
import type { StageLayer } from '../../../src/rootfs/stage-layer.ts';
import type { StageFiles, TakenLayer } from '../../../src/rootfs/stage-files.ts';
import { shellRootMissing } from '../../support/shell-root.ts';
import { type BenchOptions, StageBench, digestOf, entriesOf, linesOf } from '../../support/stage-bench.ts';
import type { TarOptions } from '../../support/tar.ts';
import { describe, temporaryFolder } from '../../support/tree.ts';
import { node } from '../../support/tree-lines.ts';

const skip = shellRootMissing() ?? false;
const at = (path: string): ByteString => path as ByteString; // ASCII
const token = 'var/run/secrets/token';

const shell: readonly TarOptions[] = [
  { path: 'bin', type: '5', mode: 0o755 },
  ...(skip === false ? [{ path: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 }] : []),
  ...'sh cat chmod ln ls mkdir mv readlink rm stat test touch'
    .split(' ')
    .map((name) => ({ path: `bin/${name}`, type: '2', link: 'busybox' })),
  { path: 'd', type: '5', mode: 0o755, mtime: 7 },
  { path: 'd/f', content: 'first', mtime: 7 },
  { path: 'd/g', type: '1', link: 'd/f', mtime: 7 },
  { path: 'large', content: 'l'.repeat(2_000_000), mtime: 7 },
];
const debian: readonly TarOptions[] = [
  ...shell,
  { path: 'run', type: '5', mode: 0o755, mtime: 7 },
  { path: 'run/lock', type: '5', mode: 0o1777, mtime: 7 },
  { path: 'run/pid', content: 'pid', mtime: 7 },
  { path: 'var', type: '5', mode: 0o711, mtime: 7 },
  { path: 'var/run', type: '2', link: '/run', mtime: 7 },
];

function benchAt(context: TestContext, options: BenchOptions = {}, standing: readonly string[] = [], mode = 0o755): StageBench {
  const folder = temporaryFolder(context);
  for (const path of standing) {
    mkdirSync(join(folder, 'root', dirname(path)), { recursive: true });
    writeFileSync(join(folder, 'root', path), `the pod's ${path}`);
    chmodSync(join(folder, 'root', dirname(path), '..'), mode);
  }
  const bench = new StageBench(folder, options);
  context.after(() => bench[Symbol.asyncDispose]());
  return bench;
}

async function run(bench: StageBench, files: StageFiles, script: string): Promise<TakenLayer & { readonly layer: Layer }> {
  const { layer = assert.fail('no layer was written'), ...taken } = await take(bench, files, script);
  return { ...taken, layer };
}

async function take(bench: StageBench, files: StageFiles, script: string): Promise<TakenLayer> {
  await files.prepareRun();
  execFileSync('/usr/sbin/chroot', [bench.rootFolder, '/bin/sh', '-euc', script], {
    env: { PATH: '/bin' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return await files.takeRun({ except: [], unchanged: [] }, new Map());
}

async function pathsOf(layer: Layer): Promise<readonly string[]> {
  return (await entriesOf(layer)).map(({ path }) => path);
}

const unpacked = (bench: StageBench): number => bench.events.filter(({ kind }) => kind === 'unpack.finished').length;

test('a stage that nobody asks about files opens no base layer', async (context) => {
  const bench = benchAt(context);
  const files = bench.stage([await bench.layer('base', [{ path: 'etc/passwd', content: 'x' }])]);
  const draft = files.detachedDraft();
  draft.put(at('new'), node('directory'));
  await files.write(draft);
  const next = await files.continue();
  await next.write(next.detachedDraft());
  assert.deepEqual(bench.opened, []);
  assert.deepEqual(readdirSync(bench.rootFolder), []);
});

test('a stage without a RUN reads headers once and writes nothing to the root', async (context) => {
  const bench = benchAt(context);
  const layers = [
    await bench.layer('one', [{ path: 'etc/passwd', content: 'x' }]),
    await bench.layer('two', [{ path: 'f', content: 'y' }]),
  ];
  const files = bench.stage(layers);
  const draft = await files.draft();
  draft.put(at('etc/new'), node('symlink', { linkTarget: at('passwd') }));
  const { layer } = await files.write(draft);
  assert.deepEqual(await linesOf(layer), ['etc directory 755', 'etc/new symlink -> passwd 777']);
  const view = await (await files.continue()).view();
  assert.equal(view.linkTarget(at('etc/new')), 'passwd');
  assert.deepEqual(bench.opened, ['one', 'two']);
  assert.deepEqual(readdirSync(bench.rootFolder), []);
});

test('what was drafted apart is put upon the tree, whether that was read before or after', async (context) => {
  for (const isFirst of [true, false]) {
    const bench = benchAt(context);
    const files = bench.stage([
      await bench.layer('base', [
        { path: 'd', type: '2', link: 'e' },
        { path: 'e/f', content: 'y' },
      ]),
    ]);
    if (isFirst) await files.tree();
    const draft = files.detachedDraft();
    draft.put(at('d'), node('directory'));
    draft.put(at('d/new'), node('symlink', { linkTarget: at('x') }));
    await files.write(draft);
    const tree = await files.tree();
    assert.deepEqual(
      Array.from(tree.walk(), ([path]) => path),
      ['d', 'd/new', 'e', 'e/f'],
    );
    assert.deepEqual(bench.opened, ['base']);
  }
});

test('the first RUN unpacks each layer once, and the tree comes with it', { skip }, async (context) => {
  const bench = benchAt(context);
  const files = bench.stage([await bench.layer('base', shell), await bench.layer('two', [{ path: 'd/.wh.g' }])]);
  const { layer } = await run(bench, files, 'cat /d/f > /d/new; test ! -e /d/g');
  assert.deepEqual(await linesOf(layer), ['d directory 755', 'd/new 644 "first"']);
  assert.equal((await files.view()).stat(at('d/g')), undefined);
  assert.deepEqual(bench.opened, ['base', 'two']);
});

test('where a RUN is due, who asks for the files before has them unpacked: the base is read once', { skip }, async (context) => {
  const bench = benchAt(context);
  const files = bench.stage([await bench.layer('base', shell), await bench.layer('two', [{ path: 'd/.wh.g' }])], { willRun: true });
  const [draft, tree] = await Promise.all([files.draft(), files.tree()]);
  assert.equal(tree.at(at('d/g')), undefined);
  draft.put(at('copied'), node('directory'));
  await files.write(draft);
  assert.equal(existsSync(join(bench.rootFolder, 'd/f')), true);
  const { layer } = await run(bench, files, 'test -d /copied; test ! -e /d/g; cat /d/f > /new');
  assert.deepEqual(await linesOf(layer), ['new 644 "first"']);
  assert.deepEqual(bench.opened, ['base', 'two']);
});

test('a base that several stages begin with is read once for its names, whatever a cache puts upon it, and none sees what another did', async (context) => {
  const bench = benchAt(context);
  const base = await bench.layer('base', [{ path: 'etc/passwd', content: 'root:x:0:0' }]);
  const cached = await bench.layer('cached', [{ path: 'etc/passwd', content: 'cached' }]);
  for (const [index, name] of ['a', 'b', 'c'].entries()) {
    const files = bench.stage([base], { sharesBase: index < 2 });
    if (name !== 'b') await files.append(cached);
    const draft = await files.draft();
    draft.put(at(name), node('directory'));
    await files.write(draft);
    const view = await files.view();
    assert.deepEqual(view.names(at('.')), [name, 'etc'].sort());
    const chunks: Buffer[] = [];
    for (const chunk of view.open(at('etc/passwd')).chunks) chunks.push(Buffer.from(chunk));
    assert.equal(Buffer.concat(chunks).toString(), name === 'b' ? 'root:x:0:0' : 'cached');
  }
  assert.deepEqual(bench.opened, ['base', 'cached', 'cached']);
});

test('a RUN on a base whose names an earlier stage has read only unpacks it', { skip }, async (context) => {
  const bench = benchAt(context);
  const base = await bench.layer('base', shell);
  await bench.stage([base], { sharesBase: true }).tree();
  const files = bench.stage([base]);
  const { layer } = await run(bench, files, 'cat /d/f > /d/new');
  assert.deepEqual(await linesOf(layer), ['d directory 755', 'd/new 644 "first"']);
  assert.deepEqual(bench.opened, ['base', 'base']);
});

test('stages that begin with the layers that the disk has go on there', { skip }, async (context) => {
  const bench = benchAt(context);
  const base = await bench.layer('base', shell);
  const one = bench.stage([base]);
  await run(bench, one, 'touch /one');
  const two = await one.continue();
  const draft = await two.draft();
  draft.put(at('copied'), node('directory'));
  await two.write(draft);
  await run(bench, two, 'test -e /one; test -d /copied; touch /two');
  assert.deepEqual(bench.opened, ['base']);
  const other = bench.stage([base]);
  await run(bench, other, 'test ! -e /one; test ! -e /two');
  assert.deepEqual(bench.opened, ['base', 'base']);
});

test('a stage that is read later is set aside, and comes back whole', { skip }, async (context) => {
  const bench = benchAt(context, { protect: ['etc/hosts'] }, ['etc/hosts']);
  const one = bench.stage([await bench.layer('base', shell)]);
  await run(bench, one, 'echo 1 > /one; chmod 700 /d; ln /one /etc/1');
  const was = describe(bench.rootFolder);
  bench.disk.keep('begun with');
  const two = bench.stage([await bench.layer('other', [...shell, { path: 'other', content: 'o' }])]);
  await run(bench, two, 'test ! -e /one; test ! -e /etc/1; test -e /other');
  bench.disk.keep('begun with');
  const three = await one.continue();
  await three.prepareRun();
  assert.deepEqual(describe(bench.rootFolder), was);
  assert.deepEqual(await pathsOf((await run(bench, three, 'test -e /one; touch /three')).layer), ['three']);
  assert.deepEqual(bench.opened, ['base', 'other']);
  assert.equal(unpacked(bench), 2);
  assert.equal(readFileSync(join(bench.rootFolder, 'etc/hosts'), 'utf8'), "the pod's etc/hosts");
});

test('a stage reads the same from the disk, from where it was set aside, and from its layers', { skip }, async (context) => {
  for (const protect of [[], [token]]) {
    const bench = benchAt(context, { protect }, protect);
    const base = await bench.layer('base', debian);
    const one = bench.stage([base]);
    await run(bench, one, 'mkdir /run/sshd; echo 1 > /var/run/sshd/pid; echo 2 > /d/new; rm /d/g; ln /d/new /run/twin');
    const draft = await one.draft();
    draft.link(at('again'), at('d/f'));
    await one.write(draft);
    const onDisk = await digestOf(bench, await one.view());
    bench.disk.keep('begun with');
    const empty = bench.stage([await bench.layer('other', shell)]);
    await empty.prepareRun();
    const aside = await digestOf(bench, await one.view());
    const { layers } = { layers: bench.sent };
    const [ran, drafted] = [layers[0], layers[1]];
    assert.ok(ran !== undefined && drafted !== undefined);
    const fresh = bench.stage([base, bench.counted('ran', ran), bench.counted('drafted', drafted)]);
    rmSync(join(bench.rootFolder, '../stages'), { recursive: true });
    const fromLayers = await digestOf(bench, await fresh.view());
    assert.deepEqual([aside, fromLayers], [onDisk, onDisk]);
  }
});

const busy = [
  'echo new > /new; ln /new /d/new; ln -s new /link; echo other > /d/f; rm /d/g; chmod 600 /large; mkdir -p /made/by; echo x > /made/by/x',
  'mv /made /moved; echo more >> /d/f; chmod 700 /d; mkdir /made; echo y > /made/y; rm /new',
];

/** All of a view: types, modes, and what is in the files. */
async function holding(bench: StageBench, view: FileView, path = rootPath): Promise<readonly string[]> {
  const paths = view.names(path).map((name) => childPath(path, name));
  await view.gather(paths, bench.signal);
  const lines = paths.map(async (each) => {
    const { type, mode, links } = view.stat(each) ?? assert.fail(each);
    if (type === 'directory') return [`${each} ${mode}`, ...(await holding(bench, view, each))];
    if (type === 'symlink') return [`${each} -> ${view.linkTarget(each)}`];
    const bytes = Buffer.concat(await Array.fromAsync(view.open(each).chunks));
    return [`${each} ${mode} ${links} ${digestOfBytes(bytes)}`];
  });
  return (await Promise.all(lines)).flat();
}

for (const [title, next] of [
  ['is on the disk', undefined],
  ['has the base of the next one', 'base'],
  ['is followed by another base', 'other'],
] as const) {
  test(`a stage that is only read writes no layer, and holds what it would with one, where it ${title}`, { skip }, async (context) => {
    const held: (readonly string[])[] = [];
    for (const isOnlyRead of [false, true]) {
      const bench = benchAt(context);
      const base = await bench.layer('base', shell);
      const stage = bench.stage([base], { isOnlyRead });
      for (const script of busy) assert.equal((await take(bench, stage, script)).layer === undefined, isOnlyRead);
      bench.disk.keep('read');
      const other = next === 'base' ? base : await bench.layer('other', debian);
      if (next !== undefined) await run(bench, bench.stage([other]), 'rm -r /d; touch /large');
      held.push(await holding(bench, await stage.view()));
    }
    assert.deepEqual(held[1], held[0]);
    assert.ok(held[0]?.some((line) => line.startsWith('moved/by/x ')));
  });
}

test('what is on the disk alone becomes a layer before the disk is emptied', { skip }, async (context) => {
  let isChanged = false;
  const ground: Ground = {
    protection: createProtection([]),
    isOthers: true,
    begin: () => false,
    suits: () => true,
    adjust: async () => await Promise.resolve(isChanged && !(isChanged = false)),
    followMounts: () => undefined,
    end: async () => await Promise.resolve(),
  };
  const bench = benchAt(context, { ground });
  const stage = bench.stage([await bench.layer('base', shell)], { isOnlyRead: true });
  for (const script of busy) await take(bench, stage, script);
  const before = await holding(bench, await stage.view());
  const draft = await stage.draft();
  draft.put(at('copied'), node('symlink', { linkTarget: at('x') }));
  await stage.write(draft);
  await take(bench, stage, 'test -L /copied; echo z > /z');
  isChanged = true;
  assert.equal((await take(bench, stage, 'test -e /moved/by/x; test ! -e /new; cat /z; rm /copied /z')).layer, undefined);
  assert.deepEqual(await holding(bench, await stage.view()), before);
});

test('what is on the disk alone becomes a layer where a RUN makes a link that a mount stands below', { skip }, async (context) => {
  const bench = benchAt(context, { protect: [token] }, [token]);
  const stage = bench.stage([await bench.layer('base', shell)], { isOnlyRead: true });
  assert.equal((await take(bench, stage, 'mkdir /run; echo 1 > /run/pid')).layer, undefined);
  const draft = await stage.draft();
  draft.put(at('var'), node('directory'));
  draft.put(at('var/run'), node('symlink', { linkTarget: at('/run') }));
  await stage.write(draft);
  await take(bench, stage, 'cat /var/run/secrets/token; test "$(cat /var/run/pid)" = 1; echo 2 > /run/two');
  const lines = await holding(bench, await stage.view());
  assert.deepEqual(
    lines.filter((line) => /^(?:run|var)\b/.test(line)).map((line) => line.split(' ').slice(0, 3).join(' ')),
    ['run 493', 'run/pid 420 1', 'run/two 420 1', 'var 493', 'var/run -> /run'],
  );
});

test('each layer is read once for all files that are wanted of it', async (context) => {
  const bench = benchAt(context);
  const files = bench.stage([
    await bench.layer('one', [
      { path: 'a', content: 'A' },
      { path: 'b', content: 'B' },
      { path: 'same', content: 'old' },
    ]),
    await bench.layer('two', [{ path: 'c', content: 'C' }, { path: 'same', content: 'new' }, { path: 'empty' }]),
    await bench.layer('three', [{ path: 'unread', content: 'x' }]),
  ]);
  const view = await files.view();
  bench.opened.length = 0;
  await view.gather(['c', 'a', 'same', 'b', 'empty'].map(at), bench.signal);
  await view.gather([at('a')], bench.signal);
  const text = async (path: string): Promise<string> => Buffer.concat(await Array.fromAsync(view.open(at(path)).chunks)).toString();
  assert.deepEqual(
    [await text('a'), await text('b'), await text('c'), await text('same'), await text('empty')],
    ['A', 'B', 'C', 'new', ''],
  );
  assert.equal(await text('a'), 'A', 'as often as wanted');
  assert.deepEqual(bench.opened.toSorted(), ['one', 'two']);
});

test(
  "folders that lead to what the pod mounts are the image's while it is there, and as before when it is gone",
  { skip },
  async (context) => {
    const bench = benchAt(context, { protect: [token] }, [token], 0o700);
    const modes = (): readonly string[] =>
      ['var', 'var/run', 'var/run/secrets'].map((path) => lstatSync(join(bench.rootFolder, path)).mode.toString(8).slice(-4));
    const before = modes();
    const one = bench.stage([
      await bench.layer('one', [...shell, { path: 'var', type: '5', mode: 0o711 }, { path: 'var/run', type: '5', mode: 0o1777 }]),
    ]);
    await one.prepareRun();
    assert.deepEqual(modes(), ['0711', '1777', '0755']);
    bench.disk.keep('begun with');
    const two = bench.stage([await bench.layer('two', shell)]);
    await two.prepareRun();
    assert.deepEqual(modes(), before);
    assert.deepEqual(await pathsOf((await run(bench, two, 'touch /x')).layer), ['x'], 'what only leads to a mount is not of the image');
    const back = await one.continue();
    await back.prepareRun();
    assert.deepEqual(modes(), ['0711', '1777', '0755']);
    bench.disk.clear();
    assert.deepEqual([modes(), readdirSync(bench.rootFolder)], [before, ['var']]);
    assert.equal(readFileSync(join(bench.rootFolder, token), 'utf8'), `the pod's ${token}`);
  },
);

test('a folder that leads to a mount becomes the image’s where a RUN makes something in it', { skip }, async (context) => {
  const bench = benchAt(context, { protect: [token] }, [token]);
  const files = bench.stage([await bench.layer('base', shell)]);
  assert.deepEqual(await pathsOf((await run(bench, files, 'touch /var/run/x')).layer), ['var', 'var/run', 'var/run/x']);
  assert.deepEqual(
    await pathsOf((await run(bench, files, 'rm /var/run/x; touch /var/y')).layer),
    ['var', 'var/run', 'var/run/.wh.x', 'var/y'].toSorted(),
  );
});

test('a token below a link of the image: RUN finds the same by both names, and the image keeps its link', { skip }, async (context) => {
  const bench = benchAt(context, { protect: [token] }, [token]);
  const base = await bench.layer('base', debian);
  const files = bench.stage([base]);
  const first = await run(
    bench,
    files,
    'cat /var/run/secrets/token; test -d /run/lock; test "$(cat /var/run/pid)" = pid; mkdir /var/run/sshd; echo 1 > /run/sshd/a; echo 2 > /run/b',
  );
  assert.deepEqual(await linesOf(first.layer), [
    'run directory 755',
    'run/b 644 "2\\n"',
    'run/sshd directory 755',
    'run/sshd/a 644 "1\\n"',
  ]);
  assert.equal(readlinkSync(join(bench.rootFolder, 'run')), '/var/run');
  const second = await run(bench, files, 'rm /var/run/b; ln /run/pid /var/run/twin; rm -r /run/sshd; chmod 700 /run/lock');
  assert.deepEqual(
    (await linesOf(second.layer)).toSorted(),
    ['run directory 755', 'run/.wh.b 0', 'run/.wh.sshd 0', 'run/lock directory 700', 'run/twin 644 "pid"'].toSorted(),
  );
  const third = await run(bench, files, 'true');
  assert.deepEqual(await pathsOf(third.layer), []);
  const tree = await files.tree();
  assert.equal(tree.linkTarget(tree.at(at('var/run')) ?? -1), '/run');
  assert.deepEqual(readdirSync(join(bench.rootFolder, 'var/run')).toSorted(), ['lock', 'pid', 'secrets', 'twin']);
  // The next image has no such link.
  const plain = bench.stage([await bench.layer('plain', [...shell, { path: 'run', type: '5' }, { path: 'var/run/own', content: 'own' }])]);
  await run(bench, plain, 'test ! -e /run/pid; test -d /run; test -e /var/run/own; test ! -e /var/run/pid');
  assert.ok(statSync(join(bench.rootFolder, 'run')).isDirectory());
  assert.equal(readFileSync(join(bench.rootFolder, token), 'utf8'), `the pod's ${token}`);
});

test('a RUN or COPY that makes or replaces the link that a token stands below', { skip }, async (context) => {
  const bench = benchAt(context, { protect: [token] }, [token]);
  const plain = [...shell, { path: 'run', type: '5', mode: 0o755 }, { path: 'run/pid', content: 'pid' }];
  const files = bench.stage([await bench.layer('base', plain)]);
  await run(bench, files, 'test ! -e /var/run/pid');
  const draft = await files.draft();
  draft.put(at('var'), node('directory'));
  draft.put(at('var/run'), node('symlink', { linkTarget: at('../run') }));
  await files.write(draft);
  assert.deepEqual(await pathsOf((await run(bench, files, 'test -e /var/run/pid; test -e /run/pid; touch /run/x')).layer), [
    'run',
    'run/x',
  ]);
  const back = await files.draft();
  back.put(at('var/run'), node('directory'));
  back.put(at('var/run/own'), node('symlink', { linkTarget: at('x') }));
  await files.write(back);
  const { layer } = await run(bench, files, 'test ! -e /var/run/pid; test -e /run/x; test -L /var/run/own; touch /run/y');
  assert.deepEqual(await pathsOf(layer), ['run', 'run/y']);
});

test(
  'where both the link and its target lead to mounts, what is written to either is recorded at the target, once',
  { skip },
  async (context) => {
    const bench = benchAt(context, { protect: [token, 'run/env/x'] }, [token, 'run/env/x']);
    const files = bench.stage([await bench.layer('base', debian)]);
    const { layer } = await run(bench, files, 'touch /var/run/a; touch /run/b');
    assert.deepEqual(await pathsOf(layer), ['run', 'run/a', 'run/b']);
    assert.deepEqual(bench.warnings, [
      `/var/run is a link to /run in the image, and something is mounted below both here: RUN sees two folders, and may miss programs; mount /${token} at /${token.replace('var/', '')} instead`,
    ]);
  },
);

test('a COPY to what is mounted goes into the image and is not seen by RUN', { skip }, async (context) => {
  const bench = benchAt(context, { protect: [token, 'etc/hosts'] }, [token, 'etc/hosts']);
  const files = bench.stage([await bench.layer('base', debian)]);
  const draft = await files.draft();
  for (const path of ['etc', 'run/secrets'].map(at)) draft.put(path, node('directory'));
  for (const path of ['etc/hosts', 'run/secrets/token'].map(at)) draft.put(path, node('symlink', { linkTarget: at('own') }));
  assert.deepEqual(await pathsOf((await files.write(draft)).layer), ['etc', 'etc/hosts', 'run', 'run/secrets', 'run/secrets/token']);
  const { layer } = await run(bench, files, 'test ! -L /etc/hosts; test ! -L /run/secrets/token; cat /run/secrets/token > /seen');
  assert.deepEqual(await linesOf(layer), [`seen 644 ${JSON.stringify(`the pod's ${token}`)}`]);
  assert.equal((await files.view()).stat(at('etc/hosts'))?.type, 'symlink');
});

test('--single-snapshot makes one layer that says what the disk does', { skip }, async (context) => {
  const bench = benchAt(context);
  const base = await bench.layer('base', shell);
  const files = bench.stage([base]);
  await files.beginSingleLayer();
  await run(
    bench,
    files,
    'echo 1 > /one; rm /d/g; mkdir -p /deep/er; echo x > /deep/er/x; echo gone > /gone; ln /one /d/one; chmod 600 /large',
  );
  const draft = await files.draft();
  draft.put(at('d/copied'), node('symlink', { linkTarget: at('x') }));
  draft.link(at('d/again'), at('d/f'));
  draft.remove(at('gone'));
  await files.write(draft);
  await run(bench, files, 'chmod 700 /deep; mv /deep/er/x /deep/y; rm -r /deep/er; ln -s large /d/link');
  const { layer } = await files.takeSingleLayer(new Map());
  assert.deepEqual(await pathsOf(layer), [
    'd/.wh.g',
    'd',
    'd/again',
    'd/copied',
    'd/f',
    'd/link',
    'd/one',
    'deep',
    'deep/y',
    'large',
    'one',
  ]);
  assert.deepEqual(bench.sent, [layer], 'no other layer leaves');
  const there = benchAt(context);
  const whole: readonly StageLayer[] = [base, { diffId: layer.diffId, layer: () => layer }];
  await there.stage(whole).prepareRun();
  assert.deepEqual(describe(there.rootFolder), describe(bench.rootFolder));
});

test('what is ignored is in no layer, and what stood there in the base stays in the tree', async (context) => {
  const bench = benchAt(context, { ignoredPaths: ['tmp'] });
  const files = bench.stage([
    await bench.layer('base', [
      { path: 'tmp', type: '5', mode: 0o1777 },
      { path: 'tmp/f', content: 'f' },
    ]),
  ]);
  const draft = await files.draft();
  draft.put(at('tmp/new'), node('symlink', { linkTarget: at('x') }));
  draft.put(at('kept'), node('symlink', { linkTarget: at('x') }));
  assert.deepEqual(await pathsOf((await files.write(draft)).layer), ['kept']);
  assert.deepEqual(
    Array.from((await files.tree()).walk(), ([path]) => path),
    ['kept', 'tmp', 'tmp/f'],
  );
  assert.match(bench.warnings.join(), /\/tmp\/?.* is left out of the image \(--ignore-path, /);
});
