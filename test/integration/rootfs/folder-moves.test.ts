// Folders of a stage that nobody reads again are moved where a RUN needs a copy of them: the root is what the layer would have made of it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CopyTarget } from '../../../src/build/instructions/copy-target.ts';
import { type CopyPolicy, copySelection } from '../../../src/build/instructions/copy-tree.ts';
import { type ByteString, bytesFromText } from '../../../src/bytes.ts';
import { compileExcludes } from '../../../src/context/ignore.ts';
import { selectSources } from '../../../src/context/select.ts';
import { given } from '../../../src/given.ts';
import { splitPath } from '../../../src/paths.ts';
import type { StageFiles } from '../../../src/rootfs/stage-files.ts';
import { shellRootMissing } from '../../support/shell-root.ts';
import { StageBench } from '../../support/stage-bench.ts';
import type { TarOptions } from '../../support/tar.ts';
import { describe, temporaryFolder } from '../../support/tree.ts';

const skip = shellRootMissing() ?? false;

const base: readonly TarOptions[] = [
  { path: 'bin', type: '5', mode: 0o755, mtime: 7 },
  ...(skip === false ? [{ path: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755, mtime: 7 }] : []),
  ...'sh cat chmod ln mkdir rm test touch'.split(' ').map((name) => ({ path: `bin/${name}`, type: '2', link: 'busybox' })),
  { path: 'app', type: '5', mode: 0o755, mtime: 7 },
  { path: 'lib', type: '5', mode: 0o755, mtime: 7 },
  { path: 'lib/of-base', content: 'base', mtime: 7 },
];

const make =
  'mkdir -p /made/by /made/shut; echo x > /made/by/x; ln -s by/x /made/link; : > /made/empty; echo top > /made/top; chmod 4711 /made/by/x; chmod 0 /made/shut';

interface Row {
  readonly title: string;
  readonly script?: string;
  /** What stays on the disk though it is in no layer. */
  readonly left?: string;
  readonly from?: string;
  readonly to: string;
  readonly policy?: Partial<CopyPolicy>;
  readonly exclude?: string;
  /** Comes from the base over what was copied. */
  readonly over?: string;
  readonly moved: readonly (readonly [from: string, to: string])[];
  /** The root turned out to be something else. */
  readonly isEmptied?: boolean;
}

const whole = (to: string): Row['moved'] => [
  ['made', to],
  ['made/by/x', `${to}/by/x`],
];
const rows: readonly Row[] = [
  { title: 'a folder', to: 'made', moved: whole('made') },
  { title: 'a folder with folders above it that are new', to: 'opt/deep/copy', moved: whole('opt/deep/copy') },
  {
    title: 'folders in one that is there, beside files',
    to: 'app',
    script: `${make}; cd /made/by; touch a b c d e f g h i j k l m n o p`,
    moved: [['made/by', 'app/by']],
  },
  { title: 'a folder below one', from: 'made/by', to: 'by', moved: [['made/by', 'by']] },
  { title: 'a folder over which something is copied', to: 'made', over: 'made/by/x', moved: [['made', 'made']] },
  { title: 'a folder that has more on the disk than in the stage', to: 'made', left: 'made/left', moved: [], isEmptied: true },
  { title: 'no folder with hard links', to: 'made', script: `${make}; ln /made/top /made/again`, moved: [] },
  { title: 'no folder with a symbolic link that has other names', to: 'made', script: `${make}; ln /made/link /made/by/again`, moved: [] },
  { title: 'no folder that gets another owner', to: 'made', policy: { owner: { uid: 3, gid: 4 } }, moved: [] },
  { title: 'no folder that gets other times', to: 'made', policy: { mtimeSeconds: 5 }, moved: [] },
  { title: 'no folder of which something is left out', to: 'made', exclude: 'by/x', moved: [] },
  { title: 'no folder of the base', from: 'lib', to: 'copy', script: 'echo x > /lib/new', moved: [] },
];

async function run(bench: StageBench, files: StageFiles, script: string, left?: string): Promise<void> {
  await files.prepareRun();
  const stdio = ['ignore', 'ignore', 'inherit'] as const;
  execFileSync('/usr/sbin/chroot', [bench.rootFolder, '/bin/sh', '-euc', script], { env: { PATH: '/bin' }, stdio: [...stdio] });
  await files.takeRun({ except: left === undefined ? [] : [bytesFromText(left)], unchanged: [] }, new Map());
}

async function copy(bench: StageBench, stage: StageFiles, source: StageFiles, row: Row, isLast: boolean): Promise<void> {
  const tree = { files: await source.view(isLast), label: 'stage one', keepsOwners: true };
  const draft = await stage.draft();
  const target = new CopyTarget(draft, { instruction: 'COPY' });
  const job = {
    target,
    policy: { parents: { mode: 0o755 }, ...row.policy },
    destination: { path: bytesFromText(row.to), isDirectory: false },
    written: [],
    ...given({ excludes: row.exclude === undefined ? undefined : compileExcludes([row.exclude]) }),
    spool: bench.spool,
    warn: assert.fail,
    signal: bench.signal,
  };
  for (const selection of selectSources(tree, row.from ?? 'made')) await copySelection(job, tree, selection);
  target.finish();
  await stage.write(draft);
}

async function build(context: TestContext, row: Row, isLast: boolean): Promise<void> {
  const bench = new StageBench(temporaryFolder(context));
  context.after(() => bench[Symbol.asyncDispose]());
  const inode = (path: string): number => statSync(join(bench.rootFolder, path)).ino;
  const layers = [await bench.layer('base', base)];
  const one = bench.stage(layers, { isOnlyRead: true, sharesBase: true });
  await run(bench, one, `${row.script ?? make}${row.left === undefined ? '' : `; : > /${row.left}`}`, row.left);
  const before = row.moved.map(([path]) => inode(path));
  bench.disk.keep('read');
  const two = bench.stage(layers, { willRun: true });
  await copy(bench, two, one, row, isLast);
  if (row.over !== undefined) await overwrite(two, bytesFromText(row.over));
  await two.prepareRun();
  const areMoved = row.moved.map(([, path], index) => inode(path) === before[index]);
  assert.deepEqual(
    areMoved,
    row.moved.map(() => isLast),
  );
  const isEmptied = bench.events.some((event) => event.kind === 'note' && event.message.startsWith('the root is emptied'));
  assert.equal(isEmptied, row.isEmptied === true);
  const moved = describe(bench.rootFolder);
  bench.disk.clear();
  await two.prepareRun();
  assert.deepEqual(moved, describe(bench.rootFolder), 'the root is what the layers say');
  await run(bench, two, 'touch /ran');
}

/** Gives a file another content, and nothing else. */
async function overwrite(stage: StageFiles, path: ByteString): Promise<void> {
  const draft = await stage.draft();
  const { tree } = draft;
  const folder = tree.node(tree.at(splitPath(path).parent) ?? assert.fail());
  const node = tree.node(tree.at(path) ?? assert.fail());
  draft.put(path, node, { open: () => ({ size: node.size, chunks: [Buffer.from('y\n')], close: () => undefined }) });
  draft.setTime(splitPath(path).parent, folder.mtime);
  await stage.write(draft);
}

for (const row of rows) test(`moved for a RUN is ${row.title}`, { skip }, (context) => build(context, row, true));

test('moved for a RUN is what several COPYs take, each folder once', { skip }, async (context) => {
  const bench = new StageBench(temporaryFolder(context));
  context.after(() => bench[Symbol.asyncDispose]());
  const layers = [await bench.layer('base', base)];
  const one = bench.stage(layers, { isOnlyRead: true, sharesBase: true });
  await run(bench, one, `${make}; mkdir -p /other/deep; cd /other/deep; touch a b c d e f g h`);
  bench.disk.keep('read');
  const two = bench.stage(layers, { willRun: true });
  const copies = [
    ['made', 'made'],
    ['made/by', 'by'],
    ['other', 'app'],
    ['made/top', 'app/top'],
    ['made', 'again'],
    ['other', 'more'],
  ] as const;
  for (const [from, to] of copies) await copy(bench, two, one, { title: '', from, to, moved: [] }, true);
  await two.prepareRun();
  const moved = describe(bench.rootFolder);
  bench.disk.clear();
  await two.prepareRun();
  assert.deepEqual(moved, describe(bench.rootFolder));
  assert.ok(moved.some((line) => line.startsWith('again/by/x ')) && moved.some((line) => line.startsWith('app/deep/h ')));
});

test('moved for a RUN is nothing that somebody may still read', { skip }, (context) =>
  build(context, { title: '', to: 'made', moved: whole('made') }, false),
);
