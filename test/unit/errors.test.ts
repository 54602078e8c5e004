import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { inflateSync, zstdDecompressSync } from 'node:zlib';
import { describeFailure } from '../../src/cli/exit.ts';
import { BuilderError, firstFailure, systemReason } from '../../src/errors.ts';
import type { BuildEvent } from '../../src/events.ts';

test('firstFailure() gives what failed first, and tells of each failure while things were put away', () => {
  const first = new BuilderError('ERR_COMMAND', 'the command failed');
  const events: BuildEvent[] = [];
  const caught = new SuppressedError(new Error('Cannot close'), new SuppressedError(new Error('Cannot empty'), first));
  assert.equal(
    firstFailure(caught, (event) => events.push(event)),
    first,
  );
  assert.deepEqual(
    events.map((event) => (event.kind === 'warning' ? event.message : '')),
    ['after the failure, Cannot close', 'after the failure, Cannot empty'],
  );
  assert.equal(firstFailure(first), first);
});

test('systemReason() takes the numbers of zlib and zstd for no numbers of the system', () => {
  for (const [inflate, bytes] of [
    [zstdDecompressSync, '28b52ffd0090010000'],
    [inflateSync, 'ffff'],
  ] as const) {
    const error: unknown = catchError(() => inflate(Buffer.from(bytes, 'hex')));
    assert.ok(error instanceof Error && 'errno' in error);
    assert.equal(systemReason(error), error.message);
    const wrapped = new BuilderError('ERR_LAYER', 'Cannot decompress data', { cause: error });
    assert.equal(describeFailure(wrapped, false)[0], 'error: Cannot decompress data');
  }
  assert.equal(systemReason(catchError(() => statSync('/no/such'))), 'no such file or directory');
});

test("an error whose words are a stranger's without end says how many there are more", () => {
  const { message } = new BuilderError('ERR_REGISTRY', `Cannot pull: too many redirects (${'a'.repeat(100_000)})`);
  assert.match(message, /^Cannot pull: too many redirects \(a{3000,} … \(\d+ more characters\)$/);
  assert.ok(message.length < 4100);
});

function catchError(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
