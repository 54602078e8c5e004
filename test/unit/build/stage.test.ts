import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildStage, type StageRun } from '../../../src/build/stage.ts';
import { scratchImage } from '../../../src/build/start-image.ts';
import { parseDockerfile } from '../../../src/dockerfile/parse.ts';

test('buildStage() hears of an abort between settings, which wait for nothing', async () => {
  const dockerfile = parseDockerfile(`FROM scratch\n${'LABEL a=b\n'.repeat(10_000)}`, 'Dockerfile');
  const [stage] = dockerfile.stages;
  assert.ok(stage !== undefined);
  const controller = new AbortController();
  let executed = 0;
  setTimeout(() => controller.abort(new Error('asked to stop')), 1);
  const run: StageRun = {
    secrets: new Map(),
    dockerfile,
    execute: async (_instruction, state) => {
      executed++;
      return await Promise.resolve({ state, touched: { kind: 'nothing' } });
    },
    files: { takeAheadMs: () => 0 } as StageRun['files'], // all that settings use
    numbers: { next: () => 1, total: 10_000 },
    created: () => '2026-11-27T00:00:00Z',
    hasFixedTime: false,
    emit: () => undefined,
    signal: controller.signal,
  };
  const image = scratchImage({ os: 'linux', architecture: 'amd64' }, { imageFormat: 'oci' });
  const start = { image, name: '', baseName: 'scratch', instructions: stage.instructions, from: stage.from.range };
  await assert.rejects(buildStage(start, run), /asked to stop/);
  assert.ok(executed < 10_000, `${executed} were executed`);
});
