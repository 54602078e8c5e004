import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { parseDigest } from '../../../src/oci/digest.ts';
import { createReport, type Report } from '../../../src/report/report.ts';
import { Screen } from '../../support/screen.ts';
import { stepLabel } from '../../support/step-label.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 4_000_000 } as const;
const step = stepLabel({ number: 2, total: 3, overall: { number: 5, total: 9 }, stage: 'build', text: 'RUN npm ci' });

function liveOn(screen: Screen): Report {
  const { sink } = screen;
  const report = createReport({ format: 'color', verbosity: 'info', timestamps: false, isLive: true, sink, now: () => Date.now() });
  report.emit({ kind: 'phase', phase: 'checking' });
  return report;
}

const printed = (report: Report, from: number, to: number): void => {
  for (let line = from; line <= to; line++) report.emit({ kind: 'output', step, stream: 'stdout', line: `line ${line}` });
};

beforeEach(() => mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'], now: 0 }));
afterEach(() => mock.timers.reset());

test('what runs, for how long, its last lines and what moves stand at the bottom, below what is done', () => {
  const screen = new Screen(60);
  const report = liveOn(screen);
  report.emit({ kind: 'stage.started', stage: 'build', base: 'node' });
  report.emit({ kind: 'step.started', step });
  printed(report, 1, 8);
  report.emit({ kind: 'blob.progress', direction: 'push', descriptor, repository: 'r', doneBytes: 2_000_000 });
  mock.timers.tick(3400);
  assert.equal(
    screen.text,
    `FROM node AS build
[build 2/3] RUN npm ci                           3.4s (5/9)
  | line 3
  | line 4
  | line 5
  | line 6
  | line 7
  | line 8
  push [#####-----] 2.0 MB of 4.0 MB`,
  );
  report.emit({ kind: 'step.finished', step, durationMs: 3400 });
  report.close();
  assert.equal(screen.text, 'FROM node AS build\n[build 2/3] RUN npm ci ‥ done in 3.4s');
});

test('what a step waits for stands below it until its command runs', () => {
  const screen = new Screen(60);
  const report = liveOn(screen);
  const belowTitle = (): string => {
    mock.timers.tick(100);
    return screen.text.split('\n').slice(1).join('\n');
  };
  report.emit({ kind: 'step.started', step });
  report.emit({ kind: 'phase', phase: 'unpacking', detail: 'layer 1 of 2' });
  assert.equal(belowTitle(), '  unpacking layer 1 of 2');
  report.emit({ kind: 'unpack.finished', entries: 3, durationMs: 100 });
  report.emit({ kind: 'phase', phase: 'running' });
  printed(report, 1, 1);
  assert.match(screen.text, /^unpacked 3 entries/);
  assert.doesNotMatch(belowTitle(), /unpacking/);
  report.emit({ kind: 'phase', phase: 'snapshotting' });
  assert.match(belowTitle(), /\n {2}snapshotting\n {2}\| line 1$/);
  report.close();
});

test('the output of a step that failed stays, the last two hundred lines of it', () => {
  const screen = new Screen(60);
  const report = liveOn(screen);
  report.emit({ kind: 'step.started', step });
  printed(report, 1, 230);
  mock.timers.tick(500);
  report.close({ message: 'no' });
  report.line('error', 'error: no');
  const lines = screen.text.split('\n');
  assert.deepEqual(lines.slice(0, 3), ['[build 2/3] RUN npm ci', '  | (30 lines before these)', '  | line 31']);
  assert.deepEqual(lines.slice(-2), ['  | line 230', 'error: no']);
});

for (const columns of [20, 34, 80, 200])
  test(`nothing breaks a line or is left over on a terminal of ${columns} columns`, () => {
    const screen = new Screen(columns);
    const report = liveOn(screen);
    report.emit({ kind: 'step.started', step });
    report.emit({ kind: 'output', step, stream: 'stdout', line: 'x'.repeat(500) });
    for (let frame = 0; frame < 30; frame++) mock.timers.tick(100);
    assert.equal(screen.text.split('\n').length, 2, screen.text);
    report.close();
    assert.equal(screen.text, '');
  });

test('a terminal that becomes narrower and wider keeps what was printed, once', () => {
  const screen = new Screen(100);
  const report = liveOn(screen);
  report.emit({ kind: 'stage.started', stage: '', base: 'node' });
  report.emit({ kind: 'step.started', step });
  printed(report, 1, 3);
  for (const columns of [100, 40, 25, 120]) {
    screen.resize(columns);
    mock.timers.tick(200);
  }
  report.close();
  assert.equal(screen.text, 'FROM node');
});

test('a low terminal shows no more lines than it has', () => {
  const screen = new Screen(60, 5);
  const report = liveOn(screen);
  report.emit({ kind: 'step.started', step });
  printed(report, 1, 50);
  mock.timers.tick(300);
  assert.equal(screen.text.split('\n').length, 2);
  report.close();
});

test('a step that is done is one line, however long its command', () => {
  const screen = new Screen(60);
  const report = liveOn(screen);
  const long = stepLabel({ number: 2, total: 3, overall: { number: 5, total: 9 }, stage: 'build', text: `RUN ${'make all; '.repeat(20)}` });
  report.emit({ kind: 'step.started', step: long });
  report.emit({ kind: 'step.finished', step: long, durationMs: 3400 });
  report.close();
  assert.equal(screen.text, '[build 2/3] RUN make all; make all; make al… ‥ done in 3.4s');
});
