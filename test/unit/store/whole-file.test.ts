import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const probe = `
import { writeWholeFile } from ${JSON.stringify(join(import.meta.dirname, '../../../src/store/whole-file.ts'))};
// What makes the pipe non-blocking, as an engine may have made it.
process.stdout._handle.setBlocking?.(false);
await writeWholeFile('/dev/stdout', (async function* () { for (let n = 0; n < 64; n++) yield Buffer.alloc(65_536, n); })(), AbortSignal.timeout(30_000));
`;

test('writeWholeFile() waits for a slow reader of standard output, whose pipe does not block', async () => {
  const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', probe], { stdio: ['ignore', 'pipe', 'inherit'] });
  const hash = createHash('sha256');
  for await (const chunk of child.stdout) {
    hash.update(chunk as Buffer); // a pipe gives buffers
    await sleep(2);
  }
  const expected = createHash('sha256');
  for (let n = 0; n < 64; n++) expected.update(Buffer.alloc(65_536, n));
  assert.equal(hash.digest('hex'), expected.digest('hex'));
  assert.equal(child.exitCode ?? 0, 0);
});
