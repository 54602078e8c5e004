import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { mayExecuteIn } from '../../../src/linux/statfs.ts';

const statfs = new URL('../../../src/linux/statfs.ts', import.meta.url).href;
const canMount = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

test('mayExecuteIn() is true of a folder of programs, and false of none at all', () => {
  assert.equal(mayExecuteIn(bytesFromText('/usr/bin')), true);
  assert.equal(mayExecuteIn(bytesFromText('/no/such/folder')), false);
});

for (const option of ['noexec', 'ro']) {
  test(
    `mayExecuteIn() is false of a filesystem that is mounted ${option}`,
    { skip: canMount ? false : 'mounting is not allowed here' },
    () => {
      const script = `import { mayExecuteIn } from ${JSON.stringify(statfs)}; process.stdout.write(String(mayExecuteIn('/mnt')));`;
      const command = 'mount -t tmpfs -o "$0" none /mnt && exec "$@"';
      const words = ['--mount', 'sh', '-c', command, option, process.execPath, '--input-type=module', '-e', script];
      const result = spawnSync('unshare', words, { encoding: 'utf8' });
      assert.equal(result.stdout, 'false', result.stderr);
    },
  );
}
