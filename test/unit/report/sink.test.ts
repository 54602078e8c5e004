import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSink } from '../../../src/report/sink.ts';
import { temporaryFolder } from '../../support/tree.ts';

const size = { columns: () => 80, rows: () => 24 };

test('openSink() writes at once and whole', (context) => {
  const path = join(temporaryFolder(context), 'out');
  const fd = openSync(path, 'w');
  const text = 'ü'.repeat(100_000);
  openSink(fd, false, size).write(text);
  assert.equal(readFileSync(path, 'utf8'), text);
  closeSync(fd);
});

test('openSink() drops what nobody takes any more, and the build goes on', () => {
  const full = openSync('/dev/full', 'w');
  const sink = openSink(full, false, size);
  sink.write('one');
  sink.write('two');
  closeSync(full);
  sink.write('three');
});
