// Steps for tests of what is told about them.
import { parseDigest } from '../../src/oci/digest.ts';
import type { StepLabel } from '../../src/events.ts';

/** A step of line 1, `RUN make`, but for what is given. */
export function stepLabel(given: Partial<StepLabel> = {}): StepLabel {
  const range = { start: { line: 1, column: 1 }, end: { line: 1, column: 9 } };
  const { number = 1, total = 1 } = given;
  const overall = { number, total };
  return { number, total, overall, stage: '', instruction: 'run', text: 'RUN make', dockerfile: 'Dockerfile', range, ...given };
}

/** Of a layer that nobody reads. */
export const layerDigest = parseDigest(`sha256:${'a'.repeat(64)}`);
