import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withHostPaths } from '../../../src/cli/host-paths.ts';
import type { BuildEvent } from '../../../src/events.ts';
import { sandboxPath } from '../../../src/sandbox/plan.ts';
import { stepLabel } from '../../support/step-label.ts';

const inside = sandboxPath('/home/me/app');
const step = stepLabel({ text: 'RUN pwd' });

function shown(event: BuildEvent): BuildEvent | undefined {
  let seen: BuildEvent | undefined;
  withHostPaths({ emit: (one) => void (seen = one), line: () => undefined, close: () => undefined }).emit(event);
  return seen;
}

test('withHostPaths() shows the paths that people wrote, in events and in lines', () => {
  const message = `Cannot read ${inside}/x: EACCES`;
  const warning: BuildEvent = { kind: 'warning', code: 'c', message };
  assert.deepEqual(shown(warning), { ...warning, message: 'Cannot read /home/me/app/x: EACCES' });
  const written: BuildEvent = { kind: 'image.written', destination: `oci:${inside}`, digest: 'sha256:1', sizeBytes: 1 };
  assert.deepEqual(shown(written), { ...written, destination: 'oci:/home/me/app' });
  const lines: string[] = [];
  const report = { emit: () => undefined, line: (_: string, text: string) => void lines.push(text), close: () => undefined };
  withHostPaths(report).line('error', message);
  assert.deepEqual(lines, ['Cannot read /home/me/app/x: EACCES']);
});

test('withHostPaths() leaves alone what a RUN prints', () => {
  const output: BuildEvent = { kind: 'output', step, stream: 'stdout', line: `${inside}/x` };
  assert.deepEqual(shown(output), output);
});
