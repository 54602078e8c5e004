// What a tree is after RUNs, with the disk as the oracle: random changes beside, in and above a folder that stands for a link.
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  cpSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ByteString } from '../../../src/bytes.ts';
import { diskView } from '../../../src/files/disk-view.ts';
import type { FileView } from '../../../src/files/file-view.ts';
import { childPath, rootPath } from '../../../src/paths.ts';
import { randomFrom } from '../../support/random.ts';
import { StageBench, entriesOf } from '../../support/stage-bench.ts';
import type { TarOptions } from '../../support/tar.ts';
import { temporaryFolder } from '../../support/tree.ts';

const token = 'var/run/secrets/token';
const skip = process.getuid?.() === 0 ? false : 'needs root to unpack layers with their owners';

/** What is in a view, path by path; `placeOf` gives what a path is called, undefined for what is not the image's. */
function linesOf(files: FileView, placeOf: (path: ByteString) => ByteString | undefined): readonly string[] {
  const lines: string[] = [];
  const visit = (path: ByteString): void => {
    for (const name of files.names(path)) {
      const child = childPath(path, name);
      const stat = files.stat(child);
      const place = placeOf(child);
      if (stat === undefined || place === undefined) continue;
      const target = stat.type === 'symlink' ? files.linkTarget(child) : '';
      // The link and the folder that stands for it have changed places.
      const what =
        place === 'var/run'
          ? ['the link']
          : [stat.type, stat.mode.toString(8), stat.size, target, `@${stat.mtime.seconds}.${stat.mtime.nanoseconds}`];
      lines.push([place, ...what].join(' '));
      if (stat.type === 'directory') visit(child);
    }
  };
  visit(rootPath);
  return lines.sort();
}

/** Changes something below the root at random; what can't be done is left. */
function scribble(root: string, random: (limit: number) => number): void {
  const folders = ['d', 'var', 'var/run', 'var/run/lock', 'd/a', 'var/run/b'];
  const pathOf = (): string => join(root, folders[random(folders.length)] ?? '', ['a', 'b', 'c'][random(3)] ?? '');
  const path = pathOf();
  const acts = [
    () => writeFileSync(path, 'x'.repeat(random(100))),
    () => mkdirSync(path),
    () => rmSync(path, { recursive: true }),
    () => symlinkSync('nowhere', path),
    () => linkSync(path, pathOf()),
    () => chmodSync(path, [0o700, 0o644][random(2)] ?? 0),
    () => renameSync(path, pathOf()),
    () => utimesSync(path, 5, random(50)),
  ];
  try {
    acts[random(acts.length)]?.();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
  }
}

const directory = (path: string): TarOptions => ({ path, type: '5', mode: 0o755 });

for (const image of ['a link', 'a folder', 'nothing']) {
  test(
    `the tree is what 60 RUNs made of the disk, where the image has ${image} above a token`,
    { skip, timeout: 120_000 },
    async (context) => {
      const folder = temporaryFolder(context);
      mkdirSync(join(folder, 'root/var/run/secrets'), { recursive: true });
      writeFileSync(join(folder, 'root', token), 'token');
      await using bench = new StageBench(folder, { protect: [token] });
      const random = randomFrom(image.length);
      const base = await bench.layer('base', [
        { path: 'd', type: '5', mode: 0o755 },
        { path: 'd/a', content: 'a' },
        ...(image === 'nothing' ? [] : ['var', ...(image === 'a link' ? ['run', 'run/lock'] : ['var/run', 'var/run/lock'])].map(directory)),
        ...(image === 'a link' ? [{ path: 'var/run', type: '2', link: '../run' }] : []),
      ]);
      const files = bench.stage([base]);
      const placeOf = (path: ByteString): ByteString | undefined => {
        const { covers, holds } = bench.disk.root.protection;
        if (covers(path)) return undefined;
        const place = bench.disk.map.toImage(path);
        return holds(path) && tree.at(place) === undefined ? undefined : place;
      };
      await files.prepareRun();
      const tree = await files.tree();
      for (let turn = 1; turn <= 60; turn++) {
        await files.prepareRun();
        for (let step = random(5); step >= 0; step--) scribble(bench.rootFolder, random);
        await files.takeRun({ except: [], unchanged: [] }, new Map());
        assert.deepEqual(
          linesOf(await files.view(), (path) => path),
          linesOf(diskView(bench.disk.root.path), placeOf),
          `turn ${turn}`,
        );
      }
      assert.equal(lstatSync(join(bench.rootFolder, token)).size, 5);
      assert.ok(readdirSync(join(bench.rootFolder, 'var/run')).length > 1);
    },
  );
}

test('a RUN that copies a folder with the pod’s token in it is told', { skip }, async (context) => {
  const folder = temporaryFolder(context);
  const mounted = 'run/secrets/kubernetes.io/serviceaccount';
  mkdirSync(join(folder, 'root', mounted), { recursive: true });
  writeFileSync(join(folder, 'root', mounted, 'token'), 'token');
  await using bench = new StageBench(folder, { protect: [mounted] });
  const files = bench.stage([await bench.layer('base', [directory('run')])]);
  await files.prepareRun();
  cpSync(join(bench.rootFolder, 'run'), join(bench.rootFolder, 'moved'), { recursive: true });
  await files.takeRun({ except: [], unchanged: [] }, new Map());
  const told = bench.events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /token of this pod's service account: .* \/moved\/secrets\/kubernetes\.io\/serviceaccount$/);
});

test('the folders above a token stay the pod’s where a RUN gives all of /run to somebody', { skip }, async (context) => {
  const folder = temporaryFolder(context);
  const mounted = 'run/secrets/kubernetes.io/serviceaccount';
  mkdirSync(join(folder, 'root', mounted), { recursive: true });
  await using bench = new StageBench(folder, { protect: [mounted] });
  const files = bench.stage([await bench.layer('base', [directory('run')])]);
  await files.prepareRun();
  for (const path of ['run', 'run/secrets', 'run/secrets/kubernetes.io']) chownSync(join(bench.rootFolder, path), 7, 7);
  const { layer } = await files.takeRun({ except: [], unchanged: [] }, new Map());
  assert.ok(layer !== undefined);
  assert.deepEqual(
    (await entriesOf(layer)).map(({ path }) => path),
    ['run'],
  );
});
