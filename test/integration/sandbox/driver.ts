// Runs one sandbox as the user that this process has: `node driver.ts REQUEST`, with the request as JSON.
import { join } from 'node:path';
import { BuilderError } from '../../../src/errors.ts';
import { runInSandbox } from '../../../src/sandbox/launch.ts';
import type { VisiblePath } from '../../../src/sandbox/plan.ts';

const request = JSON.parse(process.argv[2] ?? '') as { argv: string[]; visible: VisiblePath[]; parentFolder: string }; // the test's own
const controller = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => controller.abort(new BuilderError('ERR_ABORTED', name)));
try {
  process.exitCode = await runInSandbox(
    {
      nodePath: process.execPath,
      mainPath: join(import.meta.dirname, 'inside.ts'),
      invocation: { argv: request.argv, env: { SECRET: 'environment-canary' } },
      visible: request.visible,
      parentFolder: request.parentFolder,
    },
    (event) => console.error(JSON.stringify(event)),
    controller.signal,
  );
} catch (error) {
  console.error(error instanceof BuilderError ? `${error.code} ${error.message} (${error.hint ?? ''})` : error);
  process.exitCode = 99;
}
