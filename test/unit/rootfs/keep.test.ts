import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { type KeptFolder, keepFolder } from '../../../src/rootfs/keep.ts';

const never = new AbortController().signal;

describe('keepFolder()', () => {
  let place = '';
  let folder = '';
  let kept: KeptFolder;

  const shell = (script: string): string => execFileSync('sh', ['-c', script], { cwd: folder, encoding: 'utf8' });
  /** Everything of the folder that is not a ctime or an inode: names, types, modes, owners, times, links, sizes, contents. */
  const portrait = (): string =>
    shell(
      'find . -printf "%p %y %m %U %G %T@ %n %l\\n" | sort; find . -type f -exec md5sum {} + | sort; find . -type f -printf "%s %p\\n" | sort',
    );

  beforeEach(async () => {
    place = realpathSync(mkdtempSync('/var/tmp/yadokari-keep-'));
    folder = join(place, 'context');
    mkdirSync(folder);
    writeFileSync(join(place, 'outside'), 'outside');
    shell(`
      mkdir -p src/deep/er empty; echo main > src/main; echo deep > src/deep/er/file; : > src/none; head -c 3000000 /dev/zero > large
      ln -s src/main link; ln -s /nowhere dangling; mkfifo pipe; echo twin > one; ln one two; mkdir one-more; ln one one-more/three
      chmod 4750 src/main; chmod 0711 src/deep; touch -d '2001-02-03 04:05:06.123456789' src/main src/deep link src . empty
      printf x > "$(printf 'b\\377d')"; printf h > .wh.hidden
    `);
    kept = await keepFolder(bytesFromText(folder), place, never);
    await kept.settle(never);
  });
  afterEach(() => {
    kept.close();
    rmSync(place, { recursive: true, force: true });
  });

  const attacks: readonly (readonly [name: string, script: string])[] = [
    ['everything removed', 'rm -rf ./* ./.wh.hidden'],
    ['a file written to, and its time set back', "echo evil > src/main; touch -d '2001-02-03 04:05:06.123456789' src/main"],
    ['a file shortened', ': > large'],
    ['a file that grew', 'echo more >> src/deep/er/file'],
    ['a file replaced by another', 'cp src/main new; mv new src/main'],
    ['modes and times', 'chmod -R 777 .; touch src src/deep/er/file empty .'],
    ['new files and folders', 'mkdir -p new/folder; echo x > new/folder/file; echo y > src/other'],
    ['a folder replaced by a file', 'rm -rf src; echo x > src'],
    ['a file replaced by a folder', 'rm src/main; mkdir src/main; echo x > src/main/x'],
    ['a link turned elsewhere', 'ln -sfn /etc link'],
    ['a link replaced by a folder', 'rm link; mkdir link'],
    ['a name of a file with several removed', 'rm two'],
    ['all names of a file removed', 'rm one two one-more/three'],
    ['a file with several names written through', 'echo evil > two'],
    ['another name added', 'ln src/main another'],
    ['a pipe removed', 'rm pipe; echo x > pipe'],
    ['a folder moved', 'mv src elsewhere'],
    ['a name that is not UTF-8', 'rm "$(printf \'b\\377d\')"; rm .wh.hidden'],
  ];
  for (const [name, script] of attacks) {
    test(`puts back ${name}`, async () => {
      const before = portrait();
      shell(script);
      assert.notEqual(portrait(), before, 'the attack did nothing');
      const { changed, lost } = await kept.restore();
      assert.equal(portrait(), before);
      assert.deepEqual(lost, []);
      assert.notEqual(changed.length, 0);
      assert.deepEqual(await kept.restore(), { changed: [], lost: [] }, 'once is enough');
    });
  }

  test('finds a write that left size, time and mode alone', async () => {
    shell('printf DEEP | dd of=src/deep/er/file conv=notrunc 2>/dev/null; touch -r large src/deep/er/file');
    await kept.restore();
    assert.equal(readFileSync(join(folder, 'src/deep/er/file'), 'utf8'), 'deep\n');
  });

  test('owners come back', { skip: process.getuid?.() !== 0 && 'only root can give files away' }, async () => {
    const before = portrait();
    shell('chown -hR 1234:1234 .');
    assert.deepEqual((await kept.restore()).lost, []);
    assert.equal(portrait(), before);
  });

  test('follows no link out of the folder', async () => {
    const outside = join(place, 'outside');
    shell(`rm -rf src; ln -s .. src; rm large; ln -s ${outside} large`);
    await kept.restore();
    assert.equal(readFileSync(outside, 'utf8'), 'outside');
    assert.deepEqual(readdirSync(place).sort(), ['context', 'outside']);
  });

  test('does not take another folder for the one that was moved away', async () => {
    shell('mv ../context ../moved; ln -s /etc ../context');
    await assert.rejects(kept.restore(), { code: 'ERR_TAMPERED' });
  });

  test('tells what can not be put back', async () => {
    kept.close();
    const server = createServer();
    const { promise: isListening, resolve } = Promise.withResolvers<void>();
    server.listen(join(folder, 'socket'), resolve);
    await isListening;
    kept = await keepFolder(bytesFromText(folder), place, never);
    await kept.settle(never);
    shell('rm socket');
    assert.deepEqual(await kept.restore(), { changed: ['socket'], lost: ['socket'] });
    server.close();
  });
});
