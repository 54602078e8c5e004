// What is written when a build has ended: JUnit, a job's summary, variables.
import { layerDigest, stepLabel } from '../../support/step-label.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildEvent } from '../../../src/events.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import { BuildRecord } from '../../../src/report/build-record.ts';
import { dialectOf } from '../../../src/report/dialect.ts';
import { jobSummary, resultVariables } from '../../../src/report/job-summary.ts';
import { junitReport } from '../../../src/report/junit.ts';
import { createReport } from '../../../src/report/report.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const make = stepLabel({ number: 1, total: 2, stage: 'make', text: 'RUN make' });
const hostile = stepLabel({ number: 2, total: 2, stage: 'make', text: `RUN echo "<b>|\u0007]]>" && 'x' # ![a](b)` });

const begun: readonly BuildEvent[] = [
  {
    kind: 'build.started',
    dockerfile: 'Dockerfile',
    text: 'FROM a\n\n</pre><script>\n',
    platform: 'linux/amd64',
    destinations: ['r.example/a:1'],
  },
  { kind: 'stage.started', stage: 'make', base: 'debian' },
  { kind: 'step.started', step: make },
  { kind: 'step.finished', step: make, durationMs: 1500, recalled: { sizeBytes: 2000, digest: layerDigest } },
  { kind: 'step.started', step: hostile },
  { kind: 'output', step: hostile, stream: 'stdout', line: 'so <far>\u001b[31m & no further' },
];
const failed: readonly BuildEvent[] = [...begun, { kind: 'build.finished', durationMs: 2000, failure: 'RUN ended with exit code 1 <&>' }];
const succeeded: readonly BuildEvent[] = [
  ...begun,
  { kind: 'step.finished', step: hostile, durationMs: 500, layer: { entries: 2, sizeBytes: 3000, digest: layerDigest } },
  { kind: 'image.written', destination: `oci:/out`, digest, sizeBytes: 1 },
  { kind: 'image.written', destination: `r.example/a@${digest}`, digest, sizeBytes: 1 },
  { kind: 'build.finished', durationMs: 2000, digest },
];

function recordOf(events: readonly BuildEvent[]): BuildRecord {
  const record = new BuildRecord();
  for (const event of events) record.add(event);
  return record;
}

test('junitReport() has a suite for each stage and a case for each step, the one that failed with what it printed', () => {
  assert.equal(
    junitReport(recordOf(failed)),
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="yadokari" tests="2" failures="1" time="2.000">
  <testsuite name="make" tests="2" failures="1" errors="0" skipped="0" time="1.500">
    <testcase classname="make" name="1/2 RUN make" file="Dockerfile" line="1" time="1.500"><system-out>from the cache, layer of 2.0 kB</system-out></testcase>
    <testcase classname="make" name="2/2 RUN echo &#34;&#60;b&#62;|]]&#62;&#34; &#38;&#38; &#39;x&#39; # ![a](b)" file="Dockerfile" line="1" time="0.000"><failure message="RUN ended with exit code 1 &#60;&#38;&#62;">RUN ended with exit code 1 &#60;&#38;&#62;</failure><system-out>so &#60;far&#62; &#38; no further</system-out></testcase>
  </testsuite>
</testsuites>
`,
  );
});

test('junitReport() of a build that failed before any step has one case, which failed', () => {
  const xml = junitReport(recordOf([{ kind: 'build.finished', durationMs: 1, failure: 'no such file' }]));
  assert.match(xml, /^<testsuites name="yadokari" tests="1" failures="1"/m);
  assert.match(xml, /<testcase classname="build" name="build" time="0"><failure message="no such file">/);
});

test('junitReport() of a build that went on without its cache knows the stages that were built in the end', () => {
  const again = succeeded.slice(1);
  assert.equal(recordOf([...begun, ...again]).steps.length, 2);
});

test('jobSummary() names the image and what each step cost', () => {
  const text = jobSummary(recordOf(succeeded));
  assert.match(text, /^### Image built in 2\.0s, 1 of 2 steps from the cache$/m);
  assert.match(text, /^- <code>r\.example\/a&#64;sha256&#58;a{64}<\/code>$/m);
  assert.match(text, /^\| cached \| make 1\/2 <code>RUN make<\/code> \| 1\.5s \| 2\.0 kB \|$/m);
});

test('jobSummary() of a failure tells it, with the output of the step', () => {
  const text = jobSummary(recordOf(failed));
  assert.match(text, /^### Image not built in 2\.0s/);
  assert.match(text, /^<pre>so &#60;far&#62; &#38; no further<\/pre>$/m);
  assert.match(text, /^\| ✘ \| make 2\/2 /m);
});

test('jobSummary() shows what strangers wrote as text: no markup of theirs, and a row stays a row', () => {
  const text = jobSummary(recordOf(succeeded));
  assert.doesNotMatch(text, /<script>|<b>|!\[/);
  const row = text.split('\n').find((line) => line.includes('2/2'));
  assert.equal(row?.split('|').length, 6);
});

test('resultVariables() are the digest and the name by digest, and none of a build that failed', () => {
  assert.deepEqual(resultVariables(recordOf(succeeded)), { digest, image: `r.example/a@${digest}` });
  assert.equal(resultVariables(recordOf(failed)), undefined);
});

for (const [name, lines] of [
  [
    'azure',
    [
      `##vso[task.setvariable variable=IMAGE_DIGEST;isOutput=true]${digest}`,
      `##vso[task.setvariable variable=IMAGE;isOutput=true]r.example/a@${digest}`,
    ],
  ],
  [
    'teamcity',
    [
      `##teamcity[setParameter name='yadokari.digest' value='${digest}']`,
      `##teamcity[setParameter name='yadokari.image' value='r.example/a@${digest}']`,
    ],
  ],
  ['gitlab', []],
] as const) {
  test(`in the dialect ${name}, ${lines.length === 0 ? 'no variable is' : 'the digest and the image are'} set in the log`, () => {
    let text = '';
    const sink = { isTerminal: false, columns: () => 80, rows: () => 24, write: (more: string) => void (text += more) };
    const dialect = dialectOf(name, {});
    const report = createReport({
      format: 'text',
      verbosity: 'info',
      timestamps: false,
      sink,
      now: () => 0,
      ...(dialect === undefined ? {} : { dialect }),
    });
    for (const event of succeeded) report.emit(event);
    report.close();
    assert.deepEqual(
      text.split('\n').filter((line) => /setvariable|setParameter/.test(line)),
      lines,
    );
  });
}
