// A thousand registries that misbehave by dice: each push and pull ends with the right bytes, or with an error of ours, and nothing fails
// that nobody waits for.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const worker = fileURLToPath(new URL('../../support/seeded-faults.ts', import.meta.url));

test('1,000 seeded runs against a registry that misbehaves end well or with an error of ours', { timeout: 300_000 }, async () => {
  const { stdout, stderr } = await run(process.execPath, ['--disable-warning=ExperimentalWarning', worker, '0', '1000']);
  const counts: Readonly<Record<string, number>> = JSON.parse(stdout);
  assert.equal(stderr, '');
  // Both ends are reached often enough to mean something.
  for (const what of ['push', 'pull', 'probe', 'download']) {
    const [well = 0, error = 0] = [counts[`${what} well`], counts[`${what} error`]];
    assert.equal(well + error, 1000, what);
    assert.ok(well > 100 && error > 20, `${what}: ${well} well, ${error} with an error`);
  }
});
