// The journal of a borrowed folder on a disk that has no room for it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { emptyJournal, readJournal, writeJournal } from '../../../src/rootfs/borrow-journal.ts';
import { temporaryFolder } from '../../support/tree.ts';

test('writeJournal() that has no room for all of it leaves the one before', (context) => {
  const folder = temporaryFolder(context);
  const before = { ...emptyJournal(bytesFromText(folder)), staying: [bytesFromText('kept')] };
  writeJournal(bytesFromText(folder), before);
  const module = new URL('../../../src/rootfs/borrow-journal.ts', import.meta.url).href;
  const longer = JSON.stringify({ ...before, staying: Array.from({ length: 200 }, (_, index) => `name-${index}`) });
  const script = `import { writeJournal } from '${module}'; writeJournal(${JSON.stringify(folder)}, ${longer});`;
  // A limit on file sizes takes a part of a write, as a disk does that has no more room.
  const { status } = spawnSync('bash', [
    '-c',
    'ulimit -c 0 -f 1; exec "$0" --no-warnings --input-type=module -e "$1"',
    process.execPath,
    script,
  ]);
  assert.notEqual(status, 0);
  assert.deepEqual(readJournal(bytesFromText(folder))?.staying, before.staying);
});
