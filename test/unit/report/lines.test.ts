import assert from 'node:assert/strict';
import { layerDigest, stepLabel } from '../../support/step-label.ts';
import { beforeEach, mock, test, afterEach } from 'node:test';
import type { BuildEvent } from '../../../src/events.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import { dialectOf, type CiName } from '../../../src/report/dialect.ts';
import type { Verbosity } from '../../../src/report/level.ts';
import { createReport, type Report } from '../../../src/report/report.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 4_000_000 } as const;
const range = { start: { line: 7, column: 1 }, end: { line: 8, column: 9 } };
const make = stepLabel({ number: 2, total: 3, overall: { number: 5, total: 9 }, stage: 'build', range });
const env = stepLabel({ number: 1, total: 3, overall: { number: 4, total: 9 }, stage: 'build', instruction: 'env', text: 'ENV A=1' });
const copy = stepLabel({ number: 3, total: 3, stage: 'build', instruction: 'copy', text: 'COPY . .' });
const pushed: BuildEvent = { kind: 'blob.finished', direction: 'push', descriptor, repository: 'r', how: 'transferred' };

let text = '';
const sink = { isTerminal: false, columns: () => 80, rows: () => 24, write: (more: string) => void (text += more) };

function reportIn(ci: CiName = 'none', verbosity: Verbosity = 'info'): Report {
  const dialect = dialectOf(ci, {});
  const now = (): number => Date.now();
  return createReport({ format: 'text', verbosity, timestamps: false, sink, now, ...(dialect === undefined ? {} : { dialect }) });
}

beforeEach(() => {
  text = '';
  mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'], now: 1_000_000 });
});

afterEach(() => mock.timers.reset());

test('a step that takes no time is one line, and what takes longer has a title first', () => {
  const { emit } = reportIn();
  emit({ kind: 'step.started', step: env });
  emit({ kind: 'step.finished', step: env, durationMs: 1 });
  emit({ kind: 'step.started', step: copy });
  emit({ kind: 'step.finished', step: copy, durationMs: 20, layer: { entries: 2, sizeBytes: 120, digest: layerDigest } });
  assert.equal(text, '[build 1/3] ENV A=1\n[build 3/3] COPY . . ‥ done in 0.0s, layer of 2 entries, 120 B\n');
  text = '';
  emit({ kind: 'step.started', step: copy });
  mock.timers.tick(400);
  assert.equal(text, '[build 3/3] COPY . .\n');
  emit({ kind: 'step.finished', step: copy, durationMs: 2000 });
  assert.equal(text, '[build 3/3] COPY . .\n[build 3/3] done in 2.0s\n');
});

test('a step that a cache had says what was saved, and the last line all of it and the most memory, where it is worth a word', () => {
  const { emit } = reportIn();
  for (const savedMs of [33_400, 999]) {
    emit({ kind: 'step.started', step: copy });
    emit({ kind: 'step.finished', step: copy, durationMs: 1, recalled: { sizeBytes: 120, digest: layerDigest, savedMs } });
  }
  emit({ kind: 'build.finished', digest, durationMs: 2000, savedMs: 34_399, peakMemoryBytes: 412_000_000 });
  emit({ kind: 'build.finished', digest, durationMs: 2000, savedMs: 999 });
  assert.deepEqual(text.split('\n'), [
    '[build 3/3] COPY . . ‥ from the cache, layer of 120 B, 33.4s saved',
    '[build 3/3] COPY . . ‥ from the cache, layer of 120 B',
    `digest ${digest}, built in 2.0s (34.4s saved by the cache), 412 MB of memory at most`,
    `digest ${digest}, built in 2.0s`,
    '',
  ]);
});

test('what is pushed and pulled in the background does not come between the title of a RUN and its end', () => {
  const { emit } = reportIn();
  emit({ kind: 'step.started', step: make });
  emit({ kind: 'phase', phase: 'running' });
  emit(pushed);
  emit({ ...pushed, direction: 'pull' });
  emit({ kind: 'output', step: make, stream: 'stdout', line: 'cc -c a.c' });
  emit({ kind: 'step.finished', step: make, durationMs: 1000 });
  assert.deepEqual(text.split('\n'), [
    '[build 2/3] RUN make',
    '  | cc -c a.c',
    '[build 2/3] done in 1.0s',
    `pushed ${digest.slice(0, 19)} 4.0 MB (r)`,
    `pulled ${digest.slice(0, 19)} 4.0 MB (r)`,
    '',
  ]);
});

test('what a cache still sends when the image is named folds nothing of what comes after it', () => {
  const { emit } = reportIn('gitlab');
  emit({ kind: 'phase', phase: 'pushing' });
  emit({ kind: 'image.written', destination: `r.test/a@${digest}`, digest, sizeBytes: 1 });
  emit({ kind: 'phase', phase: 'pushing' });
  emit({ kind: 'build.finished', digest, durationMs: 1000 });
  assert.equal(text.match(/section_start/g)?.length, 1);
  assert.match(text, /section_end:1000:push[^]*Pushed r\.test\/a@sha256:[^]*digest sha256:/);
});

for (const ci of ['none', 'github'] as const)
  test(`where steps are not told, what a RUN prints has its title all the same, and a silent one has none (${ci})`, () => {
    const { emit } = reportIn(ci, 'warn');
    for (const step of [env, make, copy]) {
      emit({ kind: 'step.started', step });
      if (step === make) for (const line of ['cc -c a.c', 'ld a.o']) emit({ kind: 'output', step, stream: 'stdout', line });
      emit({ kind: 'step.finished', step, durationMs: 1000 });
    }
    const output = '  | cc -c a.c\n  | ld a.o\n';
    assert.equal(text, ci === 'none' ? `[build 2/3] RUN make\n${output}` : `::group::[build 2/3] RUN make\n${output}::endgroup::\n`);
  });

test('a stage begins with its base, by digest', () => {
  const { emit } = reportIn();
  emit({ kind: 'image.resolved', name: 'debian:12', digest, layers: 1, sizeBytes: 48_100_000 });
  emit({ kind: 'stage.started', stage: 'build', base: 'debian:12' });
  emit({ kind: 'stage.started', stage: '', base: 'scratch' });
  assert.equal(text, `FROM debian:12@${digest} AS build (1 layer, 48 MB)\nFROM scratch\n`);
});

test('a download shows signs of life from its first second on, other silence every 20 s', () => {
  const { emit, close } = reportIn();
  const progress = (doneBytes: number): void => emit({ kind: 'blob.progress', direction: 'pull', descriptor, repository: 'r', doneBytes });
  emit({ kind: 'phase', phase: 'pulling', detail: 'debian:12' });
  progress(1_000_000);
  mock.timers.tick(1000);
  progress(2_000_000);
  mock.timers.tick(5000);
  assert.equal(text, '  … pulled 1.0 MB of 4.0 MB, 1.0s\n  … pulled 2.0 MB of 4.0 MB, 6.0s\n');
  progress(4_000_000);
  emit({ kind: 'blob.finished', direction: 'pull', descriptor, repository: 'r', how: 'transferred' });
  text = '';
  emit({ kind: 'phase', phase: 'snapshotting' });
  for (let second = 0; second < 41; second++) mock.timers.tick(1000);
  assert.equal(text, '  … looking for what changed, 20.0s\n  … looking for what changed, 40.0s\n');
  close();
  mock.timers.tick(60_000);
  assert.equal(text.split('\n').length, 3);
});

const folded: Readonly<Record<Exclude<CiName, 'auto' | 'none'>, readonly string[]>> = {
  github: ['::group::[build 2/3] RUN make', '  | x', '::endgroup::', '[build 2/3] done in 1.0s'],
  azure: ['##[group][build 2/3] RUN make', '  | x', '##[endgroup]', '[build 2/3] done in 1.0s'],
  gitlab: [
    '\u001b[0Ksection_start:1000:step_5\r\u001b[0K[build 2/3] RUN make',
    '  | x',
    '\u001b[0Ksection_end:1000:step_5\r\u001b[0K',
    '[build 2/3] done in 1.0s',
  ],
  buildkite: ['+++ [build 2/3] RUN make', '  | x', '[build 2/3] done in 1.0s'],
  teamcity: [
    "##teamcity[blockOpened name='|[build 2/3|] RUN make']",
    '  | x',
    "##teamcity[blockClosed name='|[build 2/3|] RUN make']",
    '[build 2/3] done in 1.0s',
  ],
};
for (const [ci, lines] of Object.entries(folded) as readonly [CiName, readonly string[]][])
  test(`${ci} folds the output of a RUN`, () => {
    const { emit } = reportIn(ci);
    emit({ kind: 'step.started', step: make });
    emit({ kind: 'output', step: make, stream: 'stdout', line: 'x' });
    emit({ kind: 'step.finished', step: make, durationMs: 1000 });
    assert.deepEqual(text.trimEnd().split('\n'), lines);
  });

const failures: readonly { readonly ci: CiName; readonly end: string }[] = [
  { ci: 'github', end: '::endgroup::\n::error file=a%2Cb/Dockerfile,line=7,endLine=8,title=yadokari::50%25 done%0Athen no\n' },
  { ci: 'azure', end: '##[endgroup]\n##vso[task.logissue type=error;sourcepath=a,b/Dockerfile;linenumber=7;]50%AZP25 done%0Athen no\n' },
  { ci: 'buildkite', end: '^^^ +++\n' },
];
for (const { ci, end } of failures)
  test(`${ci} sees where a build failed, and nothing stays folded`, () => {
    const { emit, close } = reportIn(ci);
    emit({ kind: 'step.started', step: make });
    emit({ kind: 'phase', phase: 'running' });
    text = '';
    close({ message: '50% done\nthen no', place: { file: 'a,b/Dockerfile', range } });
    assert.equal(text, end);
  });

test('a warning about a line is an annotation where the CI system has them', () => {
  const { emit } = reportIn('github');
  emit({ kind: 'build.started', dockerfile: 'Dockerfile', text: '', platform: 'linux/amd64', destinations: [] });
  emit({ kind: 'warning', code: 'c', message: 'it is late', range });
  assert.equal(
    text,
    'Dockerfile for linux/amd64\nwarning: it is late (line 7)\n::warning file=Dockerfile,line=7,endLine=8,title=yadokari::it is late\n',
  );
});

for (const ci of ['github', 'azure', 'teamcity'] as const)
  test(`what a registry says in an error or a warning is one line and no command of its own to ${ci}`, () => {
    const { emit, line, close } = reportIn(ci);
    const message = 'no\r\n##vso[task.setvariable variable=a]b\n::add-path::/evil\n##teamcity[buildStatus]\u001b[2J';
    emit({ kind: 'warning', code: 'c', message, range });
    text = '';
    close({ message, place: { file: 'Dockerfile\n::add-path::/evil', range } });
    assert.equal(text.split('\n').length, 2, text);
    assert.doesNotMatch(text, /\u001b/);
    text = '';
    line('error', message);
    assert.doesNotMatch(text, /^\s*::|##/m);
  });

for (const said of [
  '##vso[task.setvariable variable=a]b',
  '##[add-path]/evil',
  "##teamcity[buildStatus text='x']",
  '::set-output name=a::b',
])
  test(`a RUN can't give the CI system the command ${said}`, () => {
    const { emit } = reportIn('azure');
    emit({ kind: 'output', step: make, stream: 'stdout', line: said });
    assert.ok(!/^\s*::/m.test(text) && !/##(?:vso|teamcity)?\[/.test(text), text);
  });
