// Memory does not grow with the size of a layer: measured, in a process of its own.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startFakeRegistry } from '../../support/fake-registry.ts';

const run = promisify(execFile);
const worker = fileURLToPath(new URL('../../support/transfer-blob.ts', import.meta.url));

async function peakMiB(host: string, direction: 'push' | 'pull', sizeMiB: number): Promise<number> {
  const { stdout } = await run(process.execPath, [worker, host, direction, String(sizeMiB)]);
  return Number(stdout.trim());
}

for (const direction of ['push', 'pull'] as const) {
  test(`a ${direction} of 300 MiB takes hardly more memory than one of 80 MiB`, { timeout: 120_000 }, async () => {
    const registry = await startFakeRegistry({ forgetBlobs: true });
    try {
      const block = Buffer.alloc(1024 * 1024);
      registry.inject({
        method: 'GET',
        path: /\/blobs\/sha256/,
        times: 10,
        act: async (request, response) => {
          const sizeMiB = Number(/\/size-(\d+)\//.exec(request.url ?? '')?.[1]);
          response.writeHead(200, { 'content-length': sizeMiB * block.length });
          for (let sent = 0; sent < sizeMiB; sent++) {
            if (!response.write(block)) await new Promise((resolve) => response.once('drain', resolve));
          }
          response.end();
        },
      });
      const small = await peakMiB(registry.host, direction, 80);
      const large = await peakMiB(registry.host, direction, 300);
      assert.ok(large < small + 60, `${large} MiB against ${small} MiB`);
    } finally {
      await registry.stop();
    }
  });
}
