// Stages that begin with the layers that an earlier one began with: the root goes back to them, and is what unpacking would make of it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ByteString } from '../../../src/bytes.ts';
import type { StageFiles } from '../../../src/rootfs/stage-files.ts';
import type { StageLayer } from '../../../src/rootfs/stage-layer.ts';
import { Capability, hasCapability } from '../../../src/linux/capabilities.ts';
import { shellRootMissing } from '../../support/shell-root.ts';
import { StageBench, digestOf } from '../../support/stage-bench.ts';
import type { TarOptions } from '../../support/tar.ts';
import { describe, temporaryFolder } from '../../support/tree.ts';
import { node } from '../../support/tree-lines.ts';

const skip = shellRootMissing() ?? false;
const at = (path: string): ByteString => path as ByteString; // ASCII
const token = 'var/run/secrets/token';

const below: readonly TarOptions[] = [
  { path: 'bin', type: '5', mode: 0o755, mtime: 7 },
  ...(skip === false ? [{ path: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755, mtime: 7 }] : []),
  ...'sh cat chmod chown ln mkdir mv rm touch test'.split(' ').map((name) => ({ path: `bin/${name}`, type: '2', link: 'busybox' })),
  { path: 'etc', type: '5', mode: 0o755, mtime: 7 },
  { path: 'etc/conf', content: 'as it was', mtime: 7, uid: 3, gid: 4 },
  { path: 'etc/old', content: 'of the first layer', mtime: 7 },
  { path: 'd', type: '5', mode: 0o750, mtime: 7 },
  { path: 'd/f', content: 'first', mtime: 7 },
  { path: 'd/g', type: '1', link: 'd/f', mtime: 7 },
  { path: 'd/l', type: '2', link: 'f', mtime: 7 },
  { path: 'd/e', type: '5', mode: 0o700, mtime: 7 },
  { path: 'd/e/deep', content: 'deep', mtime: 7 },
  { path: 'd/fifo', type: '6', mtime: 7 },
  { path: 'run', type: '5', mode: 0o755, mtime: 7 },
  { path: 'run/pid', content: 'pid', mtime: 7 },
  { path: 'var', type: '5', mode: 0o711, mtime: 7 },
  { path: 'var/run', type: '2', link: '/run', mtime: 7 },
];
const above: readonly TarOptions[] = [
  { path: 'etc/.wh.old', content: '' },
  { path: 'd/h', type: '5', mode: 0o2755, gid: 42, mtime: 8 },
  { path: 'd/h/i', content: 'of the second layer', mtime: 8, pax: { 'SCHILY.xattr.user.kept': 'yes' } },
];

function benchAt(context: TestContext, protect: readonly string[] = []): StageBench {
  const folder = temporaryFolder(context);
  for (const path of protect) {
    mkdirSync(join(folder, 'root', dirname(path)), { recursive: true });
    writeFileSync(join(folder, 'root', path), `the pod's ${path}`);
  }
  const bench = new StageBench(folder, { protect });
  context.after(() => bench[Symbol.asyncDispose]());
  return bench;
}

async function layersOf(bench: StageBench): Promise<readonly StageLayer[]> {
  return [await bench.layer('below', below), await bench.layer('above', above)];
}

/** A RUN; what is `left` in the root is in no layer. */
async function run(bench: StageBench, files: StageFiles, script: string, left: readonly string[] = []): Promise<void> {
  await files.prepareRun();
  execFileSync('/usr/sbin/chroot', [bench.rootFolder, '/bin/sh', '-euc', script], {
    env: { PATH: '/bin' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await files.takeRun({ except: left.map(at), unchanged: [] }, new Map());
}

const unpacked = (bench: StageBench): number => bench.events.filter(({ kind }) => kind === 'unpack.finished').length;

const emptied = (bench: StageBench): readonly string[] =>
  bench.events.flatMap((event) => (event.kind === 'note' && event.message.startsWith('the root is emptied') ? [event.message] : []));

const scripts: readonly (readonly [what: string, script: string, opened: readonly string[]])[] = [
  ['adds files and folders', 'mkdir -p /new/deep /d/e/more; touch /new/deep/f /d/e/more/g; ln -s f /new/l', []],
  ['changes nothing', 'touch /tmpfile; rm /tmpfile', []],
  ['changes modes and owners of folders', 'chmod 777 /d; chown 5:6 /d/e; touch /d', []],
  ['makes names of its own for files of the base', 'ln /d/f /also', []],
  ['changes contents, modes and owners of files', 'cat /d/l >> /etc/conf; chmod 600 /d/f; chown 9:9 /d/h/i', ['below', 'above']],
  ['removes files, links, folders', 'rm -r /d/e /d/g /d/l /d/fifo /d/h', ['below', 'above']],
  [
    'puts other things in their places',
    'rm -r /d/e /d/h; touch /d/e; ln -s e /d/h; rm /d/f; mkdir /d/f; cat /bin/busybox > /d/f/x',
    ['below', 'above'],
  ],
  ['moves things about', 'mv /d /moved; mv /etc/conf /moved/conf; mkdir /d; mv /moved/h /d/h', ['below']],
  ['works below what a pod has mounted', 'mkdir /run/sshd; touch /run/sshd/pid; rm /var/run/pid', ['below']],
];

for (const protect of [[], [token]]) {
  for (const [what, script, opened] of scripts) {
    const where = protect.length === 0 ? '' : ', in a pod with a token below a link';
    test(`a RUN that ${what} is undone for the next stage, and read as before${where}`, { skip }, async (context) => {
      const bench = benchAt(context, protect);
      const layers = await layersOf(bench);
      const first = bench.stage(layers, { sharesBase: true });
      await first.prepareRun();
      const was = describe(bench.rootFolder);
      await run(bench, first, script);
      const whole = await digestOf(bench, await first.view());
      bench.disk.keep('read');
      bench.opened.length = 0;
      await bench.stage(layers).prepareRun();
      assert.deepEqual(describe(bench.rootFolder), was);
      assert.deepEqual([unpacked(bench), bench.opened, emptied(bench)], [1, opened, []]);
      assert.equal(await digestOf(bench, await first.view()), whole, 'what the first stage has is read as before');
    });
  }
}

test('folders that a RUN put in place of files and links are read from where they are set aside', { skip }, async (context) => {
  const bench = benchAt(context);
  const layers = await layersOf(bench);
  const first = bench.stage(layers, { sharesBase: true, isOnlyRead: true });
  await run(bench, first, 'rm /d/f /d/l; mkdir /d/f /d/l; cat /bin/busybox > /d/f/x; ln /d/f/x /d/l/y');
  const whole = await digestOf(bench, await first.view());
  bench.disk.keep('read');
  await bench.stage(layers).prepareRun();
  assert.equal(await digestOf(bench, await first.view()), whole);
  assert.deepEqual([unpacked(bench), emptied(bench)], [1, []]);
});

test('a RUN whose files are needed no more leaves none in the folder for what is set aside', { skip }, async (context) => {
  const bench = benchAt(context);
  const layers = await layersOf(bench);
  const first = bench.stage(layers, { sharesBase: true });
  await run(bench, first, 'mkdir /new; touch /new/f; rm /etc/conf');
  await bench.stage(layers).prepareRun();
  assert.deepEqual([existsSync(join(bench.rootFolder, 'new')), existsSync(join(bench.rootFolder, '../stages/stage-0'))], [false, false]);
  assert.equal(unpacked(bench), 1);
});

test(
  'stages that begin with one that has run nothing find its files on the disk when they first ask for them',
  { skip },
  async (context) => {
    const bench = benchAt(context);
    const common = bench.stage(await layersOf(bench), { willRun: true });
    const draft = await common.draft();
    draft.put(at('work'), node('directory'));
    await common.write(draft);
    common.end();
    bench.disk.keep('begun with');
    const first = await common.continue({ willRun: true });
    await run(bench, first, 'touch /work/one; rm /d/f');
    first.end();
    bench.disk.keep('read');
    bench.opened.length = 0;
    const second = await common.continue({ willRun: true });
    await second.draft();
    assert.deepEqual([existsSync(join(bench.rootFolder, 'work/one')), existsSync(join(bench.rootFolder, 'd/f'))], [false, true]);
    await run(bench, second, 'test -d /work; touch /work/two');
    // Nobody's reading brings back what the disk had.
    assert.equal((await first.view()).stat(at('work/one'))?.type, 'file');
    assert.equal((await common.view()).stat(at('work/two')), undefined);
    assert.equal(existsSync(join(bench.rootFolder, 'work/two')), true);
    assert.deepEqual([bench.opened, emptied(bench)], [['below'], []]);
  },
);

test('what a COPY made after the last RUN is on no disk, and nothing is missing because of it', { skip }, async (context) => {
  const bench = benchAt(context);
  const layers = await layersOf(bench);
  const first = bench.stage(layers, { sharesBase: true });
  await first.prepareRun();
  const was = describe(bench.rootFolder);
  await run(bench, first, 'mkdir /new; touch /new/f');
  const draft = await first.draft();
  draft.put(at('new'), node('symlink', { linkTarget: at('d') }));
  draft.remove(at('d/e'));
  draft.put(at('copied'), node('directory'));
  await first.write(draft);
  await bench.stage(layers).prepareRun();
  assert.deepEqual(describe(bench.rootFolder), was);
});

test('a stage goes back, and on with its own layers', { skip }, async (context) => {
  const bench = benchAt(context);
  const layers = await layersOf(bench);
  await run(bench, bench.stage(layers, { sharesBase: true }), 'touch /one; rm /d/f');
  const second = bench.stage(layers, { willRun: true });
  const draft = await second.draft();
  draft.put(at('copied'), node('directory'));
  await second.write(draft);
  await run(bench, second, 'test ! -e /one; test -d /copied; test -e /d/f; touch /two');
  assert.equal(unpacked(bench), 2, 'the base, and the layer of the COPY');
  assert.ok(!existsSync(join(bench.rootFolder, 'one')));
});

test('what a RUN has left behind in no layer is a reason to empty the root', { skip }, async (context) => {
  const bench = benchAt(context);
  const layers = await layersOf(bench);
  const first = bench.stage(layers, { sharesBase: true });
  await first.prepareRun();
  const was = describe(bench.rootFolder);
  await run(bench, first, 'touch /one; mkdir /d/left; touch /d/left/over', ['d/left']);
  await bench.stage(layers).prepareRun();
  assert.deepEqual(describe(bench.rootFolder), was);
  assert.equal(unpacked(bench), 2);
  assert.ok(
    bench.events.some(
      (event) => event.kind === 'note' && event.message.startsWith('the root is emptied: /d/left is not what the base has'),
    ),
  );
});

test('a stage that another begins with is set aside whole', { skip }, async (context) => {
  const bench = benchAt(context);
  const layers = await layersOf(bench);
  await run(bench, bench.stage(layers, { sharesBase: true }), 'touch /one');
  bench.disk.keep('begun with');
  await bench.stage(layers).prepareRun();
  const aside = join(bench.rootFolder, '../stages/stage-0');
  assert.deepEqual([existsSync(join(aside, 'one')), existsSync(join(aside, 'etc/conf'))], [true, true]);
});

test('contents that can’t be read leave an empty root and the failure', { skip }, async (context) => {
  const bench = benchAt(context);
  const layers = await layersOf(bench);
  await run(bench, bench.stage(layers, { sharesBase: true }), 'rm /etc/conf');
  const [first] = layers;
  const broken = layers.map((layer) => (layer === first ? { ...layer, layer: () => Promise.reject(new Error('no more')) } : layer));
  await assert.rejects(bench.stage(broken).prepareRun(), /no more/);
  assert.deepEqual(describe(bench.rootFolder), []);
});

test('a folder in which a RUN makes something keeps its set-group-ID bit, and a chmod counts', { skip }, async (context) => {
  const bench = benchAt(context);
  const files = bench.stage(await layersOf(bench));
  const modeOf = async (path: string): Promise<number> => {
    const tree = await files.tree();
    return tree.node(tree.at(at(path)) ?? 0).mode;
  };
  await run(bench, files, 'touch /d/h/new; rm /d/h/i');
  assert.equal(await modeOf('d/h'), 0o2755);
  await run(bench, files, 'chmod 750 /d/h; touch /d/h/newer');
  // chmod of busybox keeps a bit that is on the disk.
  assert.equal((await modeOf('d/h')) & 0o777, 0o750);
});

const withoutBit = hasCapability(Capability.fsetid) ? false : 'CAP_FSETID is away already';
test('all of this is so without CAP_FSETID, where a set-group-ID bit of the base is not on the disk', { skip: skip || withoutBit }, () => {
  const { NODE_TEST_CONTEXT: _ours, ...env } = process.env;
  // A choice of tests that names this one would leave none to the inner run.
  const options = process.execArgv.filter((word) => !word.startsWith('--test-name-pattern'));
  execFileSync('setpriv', ['--bounding-set=-fsetid', '--inh-caps=-fsetid', process.execPath, ...options, import.meta.filename], {
    env,
    stdio: 'pipe',
  });
});
