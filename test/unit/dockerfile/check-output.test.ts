import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDockerfile, type Violation } from '../../../src/dockerfile/check.ts';
import { formatViolations } from '../../../src/dockerfile/check-output.ts';
import { parseDockerfile } from '../../../src/dockerfile/parse.ts';
import { asList, asObject, asText } from '../../support/parsed.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const text = 'FROM debian:12\n\nENV A \\\n  b\nRUN make\nCMD npm start\n';

function violationsOf(source: string): readonly Violation[] {
  return checkDockerfile(parseDockerfile(source, 'Dockerfile'), {
    buildArgs: new Map(),
    targetPlatform: platform,
    buildPlatform: platform,
  });
}

const file = { path: 'docker/app.Dockerfile', text };
const parse = (source: string): unknown => JSON.parse(source);

test('the text report reads like that of docker build --check', () => {
  assert.equal(
    formatViolations(violationsOf(text), file, 'text'),
    `Check complete, 2 warnings have been found!

WARNING: LegacyKeyValueFormat - https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/
"ENV key=value" should be used instead of legacy "ENV key value" format
docker/app.Dockerfile:3
--------------------
   1 |     FROM debian:12
   2 |
   3 | >>> ENV A \\
   4 | >>>   b
   5 |     RUN make
   6 |     CMD npm start
--------------------

WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
docker/app.Dockerfile:6
--------------------
   4 |       b
   5 |     RUN make
   6 | >>> CMD npm start
--------------------
`,
  );
});

test('the text report says so when there is nothing to report', () => {
  assert.equal(formatViolations([], file, 'text'), 'Check complete, no warnings found.\n');
  assert.match(formatViolations(violationsOf('FROM a\nCMD x\n'), file, 'text'), /^Check complete, 1 warning has been found!\n/);
});

test('the text report shows control characters as question marks', () => {
  const source = 'FROM a\nCMD echo \u001b[2J\n';
  assert.doesNotMatch(formatViolations(violationsOf(source), { path: 'D', text: source }, 'text'), /\u001b/);
});

test('the JSON report has the shape of a BuildKit lint result', () => {
  const report = asObject(parse(formatViolations(violationsOf(text), file, 'json')));
  assert.deepEqual(asList(report['warnings'])[0], {
    ruleName: 'LegacyKeyValueFormat',
    description: 'Legacy key/value format with whitespace separator should not be used',
    url: 'https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/',
    detail: '"ENV key=value" should be used instead of legacy "ENV key value" format',
    location: { sourceIndex: 0, ranges: [{ start: { line: 3, character: 0 }, end: { line: 4, character: 3 } }] },
  });
  const source = asObject(asList(report['sources'])[0]);
  assert.equal(source['filename'], 'docker/app.Dockerfile');
  assert.equal(Buffer.from(asText(source['data']), 'base64').toString(), text);
});

test('the SARIF report names rule, place and message of each result', () => {
  const report = asObject(parse(formatViolations(violationsOf(text), file, 'sarif')));
  assert.equal(report['version'], '2.1.0');
  const run = asObject(asList(report['runs'])[0]);
  const driver = asObject(asObject(run['tool'])['driver']);
  const [, result] = asList(run['results']).map((entry) => asObject(entry));
  assert.equal(result?.['ruleId'], 'JSONArgsRecommended');
  const rule = asObject(asList(driver['rules'])[Number(result?.['ruleIndex'])]);
  assert.equal(rule['id'], 'JSONArgsRecommended');
  const place = asObject(asObject(asList(result?.['locations'])[0])['physicalLocation']);
  assert.deepEqual(place['artifactLocation'], { uri: 'docker/app.Dockerfile' });
  assert.deepEqual(place['region'], { startLine: 6, startColumn: 1, endLine: 6, endColumn: 14 });
});

test('the GitLab report has a fingerprint that survives moved lines and tells twins apart', () => {
  const fingerprints = (source: string): readonly unknown[] =>
    asList(parse(formatViolations(violationsOf(source), { path: 'Dockerfile', text: source }, 'gitlab'))).map(
      (entry) => asObject(entry)['fingerprint'],
    );
  const before = fingerprints('FROM a\nENV A b\nENV A b\n');
  assert.equal(new Set(before).size, 2);
  assert.deepEqual(fingerprints('# moved\n\nFROM a\nENV A b\nENV A b\n'), before);
  assert.notDeepEqual(fingerprints('FROM a\nENV A c\nENV A c\n'), before);
});

test('the GitLab report gives a path, lines and a severity', () => {
  const [entry] = asList(parse(formatViolations(violationsOf('FROM a\nENV API_KEY=1\n'), { path: 'Dockerfile', text: '' }, 'gitlab')));
  const { check_name: name, severity, location } = asObject(entry);
  assert.deepEqual(
    { name, severity, location },
    {
      name: 'SecretsUsedInArgOrEnv',
      severity: 'major',
      location: { path: 'Dockerfile', lines: { begin: 2, end: 2 } },
    },
  );
});
