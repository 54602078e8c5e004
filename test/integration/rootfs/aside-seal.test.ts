// A stage that is set aside lies where a RUN of another stage can write.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { AsideSeal } from '../../../src/rootfs/aside-seal.ts';
import type { StageFiles, TakenLayer } from '../../../src/rootfs/stage-files.ts';
import { shellRootMissing } from '../../support/shell-root.ts';
import { StageBench, digestOf } from '../../support/stage-bench.ts';
import type { TarOptions } from '../../support/tar.ts';
import { temporaryFolder } from '../../support/tree.ts';

const skip = shellRootMissing() ?? false;
const shell: readonly TarOptions[] = [
  { path: 'bin', type: '5', mode: 0o755 },
  ...(skip === false ? [{ path: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 }] : []),
  ...'sh cat mkdir touch'.split(' ').map((name) => ({ path: `bin/${name}`, type: '2', link: 'busybox' })),
];

async function run(bench: StageBench, files: StageFiles, script: string): Promise<TakenLayer> {
  await files.prepareRun();
  execFileSync('/usr/sbin/chroot', [bench.rootFolder, '/bin/sh', '-euc', script], { env: { PATH: '/bin' }, stdio: 'ignore' });
  return await files.takeRun({ except: [], unchanged: [] }, new Map());
}

const makeFiles = 'mkdir /app /evil /mine; echo good > /app/f; for d in /evil /mine; do echo evil > $d/f; touch -r /app/f $d/f; done';

/** What hides behind the size and time of /app/f, in the folder where the stage is. */
const changes: Readonly<Record<string, (aside: string) => void>> = {
  'writes to a file and puts its time back': (aside) => {
    const { atime, mtime } = statSync(join(aside, 'app/f'));
    writeFileSync(join(aside, 'app/f'), 'evil\n');
    utimesSync(join(aside, 'app/f'), atime, mtime);
  },
  'renames another folder of the stage to its place': (aside) => {
    renameSync(join(aside, 'app'), join(aside, 'was'));
    renameSync(join(aside, 'evil'), join(aside, 'app'));
  },
  'puts a link in the place of a folder': (aside) => {
    renameSync(join(aside, 'app'), join(aside, 'was'));
    symlinkSync('mine', join(aside, 'app'));
  },
};

for (const [name, change] of Object.entries(changes)) {
  test(`a RUN that ${name}, where another stage is set aside, changes nothing of that stage`, { skip }, async (context) => {
    await using bench = new StageBench(temporaryFolder(context));
    const one = bench.stage([await bench.layer('base', shell)]);
    await run(bench, one, makeFiles);
    const good = await digestOf(bench, await one.view());
    bench.disk.keep('begun with');
    const other = bench.stage([await bench.layer('other', shell)]);
    await other.prepareRun();
    // as for a bind of that RUN
    assert.equal(await digestOf(bench, await one.view()), good);
    const folder = join(bench.rootFolder, '../stages');
    change(join(folder, readdirSync(folder)[0] ?? ''));
    await other.takeRun({ except: [], unchanged: [] }, new Map());
    assert.equal(await digestOf(bench, await one.view()), good);
    await run(bench, one, 'test "$(cat /app/f)" = good');
    assert.match(bench.warnings.join('\n'), /^a RUN changed files of another stage in .*: that stage is unpacked again$/);
  });
}

test('what was looked at and changed right before it is sealed is intact', async (context) => {
  const folder = temporaryFolder(context);
  const file = join(folder, 'f');
  writeFileSync(file, 'f');
  for (const mode of [0o600, 0o644, 0o600]) {
    statSync(file);
    chmodSync(file, mode);
    const seal = await AsideSeal.of(bytesFromText(folder), AbortSignal.timeout(10_000));
    assert.ok(seal.isIntact(bytesFromText('f')));
    chmodSync(file, 0o640);
    assert.ok(!seal.isIntact(bytesFromText('f')));
  }
});

test('a file that a RUN changed where the only copy of another stage is, is an error', { skip }, async (context) => {
  await using bench = new StageBench(temporaryFolder(context));
  const one = bench.stage([await bench.layer('base', shell)], { isOnlyRead: true });
  await run(bench, one, makeFiles);
  bench.disk.keep('read');
  const other = bench.stage([await bench.layer('other', shell)]);
  await other.prepareRun();
  const folder = join(bench.rootFolder, '../stages');
  rmSync(join(folder, readdirSync(folder)[0] ?? '', 'app/f'));
  await other.takeRun({ except: [], unchanged: [] }, new Map());
  await assert.rejects(digestOf(bench, await one.view()), { code: 'ERR_TAMPERED', message: /a RUN changed them/ });
});
