import assert from 'node:assert/strict';
import { layerDigest, stepLabel } from '../../support/step-label.ts';
import { mock, test } from 'node:test';
import { describe } from '../../../src/report/describe.ts';
import { createReport, type ReportOptions } from '../../../src/report/report.ts';
import type { BuildEvent } from '../../../src/events.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import { asObject } from '../../support/parsed.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 2_500_000 } as const;
const range = { start: { line: 7, column: 1 }, end: { line: 7, column: 9 } };
const step = stepLabel({ number: 2, total: 5, stage: 'make', range });

interface Written {
  readonly emit: (event: BuildEvent) => void;
  readonly line: (level: 'info' | 'error', text: string) => void;
  readonly close: () => void;
  readonly text: () => string;
}

function report(options: Partial<ReportOptions> = {}): Written {
  let text = '';
  const sink = { isTerminal: false, columns: () => 80, rows: () => 24, write: (more: string) => void (text += more) };
  const made = createReport({ format: 'text', verbosity: 'info', timestamps: false, sink, now: () => 0, ...options });
  return { ...made, text: () => text };
}

const rows: readonly { readonly event: BuildEvent; readonly line: string }[] = [
  { event: { kind: 'stage.started', stage: 'make', base: 'debian:12' }, line: 'FROM debian:12 AS make' },
  { event: { kind: 'stage.started', stage: '', base: 'scratch' }, line: 'FROM scratch' },
  { event: { kind: 'step.started', step }, line: '[make 2/5] RUN make' },
  { event: { kind: 'step.finished', step, durationMs: 65_000 }, line: '[make 2/5] done in 1m05s' },
  {
    event: { kind: 'step.finished', step, durationMs: 1234, layer: { entries: 1, sizeBytes: 999, digest: layerDigest } },
    line: '[make 2/5] done in 1.2s, layer of 1 entry, 999 B',
  },
  {
    event: { kind: 'step.finished', step, durationMs: 1234, layer: { entries: 3, sizeBytes: 1_200_000, digest: layerDigest } },
    line: '[make 2/5] done in 1.2s, layer of 3 entries, 1.2 MB',
  },
  { event: { kind: 'output', step, stream: 'stderr', line: 'cc -c a.c' }, line: '  | cc -c a.c' },
  {
    event: { kind: 'blob.finished', direction: 'pull', descriptor, repository: 'r.example/a', how: 'transferred' },
    line: 'pulled sha256:aaaaaaaaaaaa 2.5 MB (r.example/a)',
  },
  {
    event: { kind: 'blob.finished', direction: 'push', descriptor, repository: 'r.example/a', how: 'mounted' },
    line: 'mounted sha256:aaaaaaaaaaaa 2.5 MB (r.example/a)',
  },
  {
    event: { kind: 'image.written', destination: 'oci:/out', digest, sizeBytes: 1 },
    line: `Wrote oci:/out ${digest}`,
  },
  {
    event: { kind: 'image.written', destination: `r.example/a@${digest}`, digest, sizeBytes: 1 },
    line: `Pushed r.example/a@${digest}`,
  },
  { event: { kind: 'warning', code: 'c', message: 'it is late', range }, line: 'warning: it is late (line 7)' },
  { event: { kind: 'note', level: 'info', message: 'it is early', step }, line: '[make 2/5] it is early' },
];
for (const { event, line } of rows) test(`describe() says ${JSON.stringify(line)}`, () => assert.equal(describe(event), line));

test('a report keeps to its verbosity', () => {
  const events: readonly BuildEvent[] = [
    { kind: 'phase', phase: 'pulling' },
    { kind: 'note', level: 'debug', message: 'a detail' },
    { kind: 'step.started', step },
    { kind: 'phase', phase: 'running' },
    { kind: 'warning', code: 'c', message: 'it is late' },
  ];
  const linesAt = (verbosity: ReportOptions['verbosity']): number => {
    const { emit, text } = report({ verbosity });
    for (const event of events) emit(event);
    return text().split('\n').length - 1;
  };
  assert.deepEqual((['trace', 'debug', 'info', 'warn', 'error'] as const).map(linesAt), [5, 3, 2, 1, 0]);
});

const verbosities = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'panic'] as const;
for (const format of ['text', 'json'] as const) {
  for (const verbosity of verbosities) {
    test(`errors and the output of a RUN are told at --verbosity=${verbosity} in ${format}`, () => {
      const { emit, line, text } = report({ format, verbosity });
      emit({ kind: 'output', step, stream: 'stderr', line: 'cc: no such file' });
      line('error', 'error: no');
      assert.match(text(), /^.*cc: no such file.*\n.*error: no.*\n$/);
    });
  }
}

test('what a RUN prints can neither move the cursor nor forge a line, but may be coloured', () => {
  const { emit, text } = report();
  emit({ kind: 'output', step, stream: 'stdout', line: '\u001b[2J\u009b1A\u001b[31mred\u001b[0m\u0007[make 2/5] done' });
  assert.equal(text(), '  | [2J1A\u001b[31mred\u001b[0m[make 2/5] done\n');
});

test('a progress bar that a RUN draws over itself keeps its last state', () => {
  const { emit, text } = report();
  emit({ kind: 'output', step, stream: 'stdout', line: ' 10%\r 55%\r100%' });
  emit({ kind: 'output', step, stream: 'stdout', line: 'half\r' });
  assert.equal(text(), '  | 100%\n  | half\n');
});

test('texts of strangers, such as a registry in an error, move no cursor either', () => {
  const { line, emit, text } = report();
  line('error', 'error: registry says \u001b[1A\u001b[2Kpushed');
  emit({ kind: 'warning', code: 'c', message: 'see \u001b]0;title\u0007' });
  assert.equal(text(), 'error: registry says [1A[2Kpushed\nwarning: see ]0;title\n');
});

test('a report in JSON is one object a line, with level, time, text and the event itself', () => {
  const { emit, line, text } = report({ format: 'json', now: () => 1000 });
  emit({ kind: 'warning', code: 'c', message: 'it is "late"' });
  line('error', 'error: no');
  const [first, second] = text().trim().split('\n');
  const warning = asObject(JSON.parse(first ?? ''));
  assert.deepEqual(
    { level: warning['level'], time: warning['time'], msg: warning['msg'], kind: warning['kind'], code: warning['code'] },
    { level: 'warn', time: '1970-01-01T00:00:01.000Z', msg: 'warning: it is "late"', kind: 'warning', code: 'c' },
  );
  assert.deepEqual(asObject(JSON.parse(second ?? '')), { level: 'error', time: '1970-01-01T00:00:01.000Z', msg: 'error: no' });
});

test('in JSON the end of a build that failed says what failed', () => {
  const { emit, text } = report({ format: 'json' });
  emit({ kind: 'build.finished', durationMs: 65_000, failure: 'it fell over' });
  assert.equal(asObject(JSON.parse(text()))['msg'], 'failed: it fell over');
});

test('no line of JSON has a key twice, whatever the event', () => {
  const events: readonly BuildEvent[] = [
    ...rows.map(({ event }) => event),
    { kind: 'phase', phase: 'pulling', detail: 'debian' },
    { kind: 'note', level: 'info', message: 'a note' },
    { kind: 'note', level: 'debug', message: 'a detail' },
    { kind: 'unpack.finished', entries: 1, durationMs: 1 },
    { kind: 'snapshot.finished', scanned: 1, changed: 1, durationMs: 1 },
  ];
  const { emit, line, text } = report({ format: 'json', verbosity: 'trace' });
  for (const event of events) emit(event);
  line('info', 'digest');
  const lines = text().trim().split('\n');
  assert.equal(lines.length, events.length + 1);
  for (const written of lines) {
    const keys = [...written.matchAll(/"(\w+)":/g)].map((match) => match[1]);
    const own = keys.filter((key) => ['level', 'time', 'msg', 'kind', 'message'].includes(key ?? ''));
    assert.equal(new Set(own).size, own.length, written);
  }
});

test('timestamps begin each line where they are asked for', () => {
  const { line, text } = report({ timestamps: true });
  line('info', 'hello');
  assert.equal(text(), '1970-01-01T00:00:00.000Z hello\n');
});

test('colours are given where they are asked for, on a pipe as well', () => {
  const warning: BuildEvent = { kind: 'warning', code: 'c', message: 'late' };
  const plain = report();
  plain.emit(warning);
  assert.equal(plain.text(), 'warning: late\n');
  const coloured = report({ format: 'color' });
  coloured.emit(warning);
  assert.equal(coloured.text(), '\u001b[33mwarning: late\u001b[0m\n');
});

test('a report that is told nothing, or has been closed, gives no signs of life', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    let now = 0;
    const wait = (): void => {
      now += 21_000;
      mock.timers.tick(500);
    };
    const untold = report({ now: () => now });
    wait();
    assert.equal(untold.text(), '', 'as the report for a wrong command line, while another one tells of the build');
    const told = report({ now: () => now });
    told.emit({ kind: 'phase', phase: 'unpacking' });
    wait();
    assert.equal(told.text(), '  … unpacking, 21.0s\n');
    told.close();
    told.emit({ kind: 'phase', phase: 'finished' });
    wait();
    assert.equal(told.text(), '  … unpacking, 21.0s\n');
  } finally {
    mock.timers.reset();
  }
});
