import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuilderError, firstFailure } from '../../src/errors.ts';
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
