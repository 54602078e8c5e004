import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trackProgress } from '../../../src/report/progress.ts';
import type { BuildEvent } from '../../../src/events.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import { stepLabel } from '../../support/step-label.ts';

const range = { start: { line: 12, column: 1 }, end: { line: 12, column: 9 } };
const step = stepLabel({ number: 4, total: 9, range });

test('trackProgress() passes every event on as it is', () => {
  const seen: BuildEvent[] = [];
  const { emit } = trackProgress((event) => void seen.push(event));
  const events: readonly BuildEvent[] = [
    { kind: 'phase', phase: 'pulling' },
    { kind: 'step.started', step },
  ];
  for (const event of events) emit(event);
  assert.deepEqual(seen, events);
});

test('trackProgress() knows where the build is, step and line included', () => {
  const { emit, where } = trackProgress(() => undefined);
  assert.equal(where(), 'while starting');
  emit({ kind: 'phase', phase: 'pulling', detail: 'debian:12' });
  assert.equal(where(), 'while pulling debian:12');
  emit({ kind: 'step.started', step });
  assert.equal(where(), 'while building step 4/9 (RUN make, Dockerfile:12)');
  emit({ kind: 'phase', phase: 'unpacking', detail: 'layer 1 of 1' });
  assert.equal(where(), 'while unpacking layer 1 of 1 for step 4/9 (RUN make, Dockerfile:12)');
  emit({ kind: 'unpack.finished', entries: 1, durationMs: 1 });
  assert.equal(where(), 'while building step 4/9 (RUN make, Dockerfile:12)');
  emit({ kind: 'phase', phase: 'running' });
  assert.equal(where(), 'while running step 4/9 (RUN make, Dockerfile:12)');
  emit({ kind: 'step.finished', step, durationMs: 1 });
  assert.equal(where(), 'while building');
  emit({ kind: 'phase', phase: 'pushing' });
  assert.equal(where(), 'while pushing');
});

test('trackProgress() says what of a stopped build is to be seen outside', () => {
  const { emit, outcome } = trackProgress(() => undefined);
  assert.equal(outcome(), 'nothing was tagged');
  emit({ kind: 'phase', phase: 'pushing' });
  assert.equal(outcome(), 'a tag may have been written');
  emit({ kind: 'image.written', destination: 'oci:/out', digest: parseDigest(`sha256:${'a'.repeat(64)}`), sizeBytes: 1 });
  assert.equal(outcome(), 'oci:/out had been written');
});

test('trackProgress() blames a step only while it lasts', () => {
  const { emit, failedStep } = trackProgress(() => undefined);
  assert.equal(failedStep(), undefined);
  emit({ kind: 'step.started', step });
  assert.deepEqual(failedStep(), step);
  emit({ kind: 'step.finished', step, durationMs: 1 });
  assert.equal(failedStep(), undefined);
});
