import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heldVariable, withHostPaths } from '../../../../src/cli/sandbox/host-paths.ts';
import type { BuildEvent } from '../../../../src/events.ts';
import { heldPath, sandboxPath } from '../../../../src/sandbox/plan.ts';
import { stepLabel } from '../../../support/step-label.ts';

const inside = sandboxPath('/home/me/app');
const held = { [heldVariable]: JSON.stringify(['/home/me/cache', '/data/store']) };
const step = stepLabel({ text: 'RUN pwd' });

function shown(event: BuildEvent): BuildEvent | undefined {
  let seen: BuildEvent | undefined;
  withHostPaths({ emit: (one) => void (seen = one), line: () => undefined, close: () => undefined }, held).emit(event);
  return seen;
}

test('withHostPaths() shows the paths that people wrote, in events and in lines', () => {
  const message = `Cannot read ${inside}/x: EACCES`;
  const warning: BuildEvent = { kind: 'warning', code: 'c', message };
  assert.deepEqual(shown(warning), { ...warning, message: 'Cannot read /home/me/app/x: EACCES' });
  const plan: BuildEvent = { kind: 'plan', message: `${inside}/D for linux/amd64` };
  assert.deepEqual(shown(plan), { ...plan, message: '/home/me/app/D for linux/amd64' });
  const written: BuildEvent = { kind: 'image.written', destination: `oci:${inside}`, digest: 'sha256:1', sizeBytes: 1 };
  assert.deepEqual(shown(written), { ...written, destination: 'oci:/home/me/app' });
  const started: BuildEvent = { kind: 'build.started', dockerfile: `${inside}/D`, text: '', platform: 'linux/amd64', destinations: [] };
  assert.deepEqual(shown(started), { ...started, dockerfile: '/home/me/app/D' });
  const stepped: BuildEvent = { kind: 'step.started', step: { ...step, dockerfile: `${inside}/D` } };
  assert.deepEqual(shown(stepped), { ...stepped, step: { ...step, dockerfile: '/home/me/app/D' } });
  const lines: string[] = [];
  const report = { emit: () => undefined, line: (_: string, text: string) => void lines.push(text), close: () => undefined };
  withHostPaths(report, held).line('error', message);
  assert.deepEqual(lines, ['Cannot read /home/me/app/x: EACCES']);
});

test('withHostPaths() calls a folder that only the builder has open by its name on the host', () => {
  const note = (message: string): BuildEvent => ({ kind: 'note', level: 'info', message });
  assert.deepEqual(shown(note(`from oci:${heldPath(1)}/blobs and ${heldPath(0)}`)), note('from oci:/data/store/blobs and /home/me/cache'));
  assert.deepEqual(shown(note('/proc/self/fd/1')), note('/proc/self/fd/1'));
});

test('withHostPaths() leaves alone what a RUN prints', () => {
  const output: BuildEvent = { kind: 'output', step, stream: 'stdout', line: `${inside}/x` };
  assert.deepEqual(shown(output), output);
});
