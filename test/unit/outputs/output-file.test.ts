import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, linkSync, openSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openOutputFile } from '../../../src/outputs/output-file.ts';
import { temporaryFolder } from '../../support/tree.ts';

test('openOutputFile() makes the file, and the folders above it, only when there is something to write', async (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'a/b/digest');
  const file = await openOutputFile(path, 'digest-file');
  assert.deepEqual(readdirSync(folder), []);
  await file.commit('sha256:1');
  await file.close();
  assert.equal(readFileSync(path, 'utf8'), 'sha256:1');
  assert.deepEqual(readdirSync(join(folder, 'a/b')), ['digest']);
});

test('openOutputFile() writes into a file that was there, such as a mounted one, and cuts off what was longer', async (context) => {
  const path = join(temporaryFolder(context), 'termination-log');
  writeFileSync(path, 'something long from before');
  const { ino } = statSync(path);
  const file = await openOutputFile(path, 'digest-file');
  assert.equal(readFileSync(path, 'utf8'), 'something long from before', 'nothing is lost before the build succeeds');
  await file.commit('short');
  await file.close();
  assert.equal(readFileSync(path, 'utf8'), 'short');
  assert.equal(statSync(path).ino, ino);
});

test('openOutputFile() writes into a pipe, as /dev/stdout of a container is', async () => {
  const module = new URL('../../../src/outputs/output-file.ts', import.meta.url).href;
  const script = `import { openOutputFile } from '${module}';
    const file = await openOutputFile('/dev/stdout', 'digest-file'); await file.commit('sha256:1'); await file.close();`;
  const command = '"$0" --no-warnings --input-type=module -e "$1" | cat';
  assert.equal(spawnSync('bash', ['-c', command, process.execPath, script]).stdout.toString(), 'sha256:1');
});

test('a RUN that swaps the result file for a link does not lead the result to another file', async (context) => {
  const folder = temporaryFolder(context);
  const [path, victim, kept] = [join(folder, 'digest'), join(folder, 'victim'), join(folder, 'kept')];
  writeFileSync(victim, 'precious');
  writeFileSync(path, '');
  const file = await openOutputFile(path, 'digest-file');
  linkSync(path, kept);
  rmSync(path);
  symlinkSync(victim, path);
  await file.commit('sha256:1');
  await file.close();
  assert.equal(readFileSync(victim, 'utf8'), 'precious');
  assert.equal(readFileSync(kept, 'utf8'), 'sha256:1');
});

test('a link that a RUN plants where a new result file will be is replaced, not followed', async (context) => {
  const folder = temporaryFolder(context);
  const [path, victim] = [join(folder, 'digest'), join(folder, 'victim')];
  writeFileSync(victim, 'precious');
  const file = await openOutputFile(path, 'digest-file');
  symlinkSync(victim, path);
  symlinkSync(victim, join(folder, '.digest.yadokari'));
  await file.commit('sha256:1');
  await file.close();
  assert.equal(readFileSync(victim, 'utf8'), 'precious');
  assert.equal(readFileSync(path, 'utf8'), 'sha256:1');
});

test('openOutputFile() writes to standard output behind what it had, also where that is a file', async (context) => {
  const path = join(temporaryFolder(context), 'log');
  const probe = `import { openOutputFile } from '${import.meta.resolve('../../../src/outputs/output-file.ts')}';
    process.stdout.write('log ');
    const file = await openOutputFile('/dev/stdout', 'digest-file');
    await file.commit('sha256:1');
    await file.close();
    process.stdout.write(' log');`;
  const log = openSync(path, 'w');
  const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', probe], { stdio: ['ignore', log, 'inherit'] });
  closeSync(log);
  assert.deepEqual([status, readFileSync(path, 'utf8')], [0, 'log sha256:1 log']);
});

test('openOutputFile() refuses a folder before the build begins, naming the flag', async (context) => {
  await assert.rejects(
    openOutputFile(temporaryFolder(context), 'digest-file'),
    /^BuilderError: Cannot use --digest-file \/.*: it is a directory$/,
  );
});
