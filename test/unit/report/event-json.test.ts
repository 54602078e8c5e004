import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { eventsSchemaPath, eventsSchemaText } from '../../../scripts/events-schema.ts';
import type { BuildEvent } from '../../../src/events.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import { parseEvent } from '../../../src/report/event-json.ts';
import { jsonReport } from '../../../src/report/json.ts';
import { everyEvent } from '../../support/every-event.ts';
import { asObject } from '../../support/parsed.ts';

function written(event: BuildEvent): { readonly [key: string]: unknown } {
  let line = '';
  jsonReport({ verbosity: 'trace', now: () => 0, write: (text) => void (line += text) }).emit(event);
  return asObject(JSON.parse(line));
}

const events = everyEvent;

/** What is no event: a field too few, one of another type, a kind that there is not. */
const wrong = events.flatMap((event) => {
  const line = written(event);
  const fields = Object.keys(event).filter((name) => name !== 'kind' && name !== 'level');
  const required = fields.filter(
    (name) =>
      !['detail', 'layer', 'recalled', 'range', 'failure', 'savedMs', 'peakMemoryBytes'].includes(name) &&
      !(event.kind === 'build.finished' && name === 'digest'),
  );
  return [
    ...required.map((name) => Object.fromEntries(Object.entries(line).filter(([key]) => key !== name))),
    ...fields.map((name) => ({ ...line, [name]: [1] })),
    { ...line, kind: `${event.kind}.not` },
  ];
});

test('parseEvent() gives back every event that was written as JSON', () => {
  for (const event of events) assert.deepEqual(parseEvent(written(event)), event);
});

test('parseEvent() takes nothing else', () => {
  for (const line of [...wrong, undefined, 7, 'text', [], {}, { kind: 'toString' }, { kind: '__proto__' }])
    assert.equal(parseEvent(line), undefined, JSON.stringify(line));
});

test('a descriptor is written without what only a manifest needs', () => {
  const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
  const descriptor = { mediaType: 'm', digest, size: 1, annotations: new Map([['a', 'b']]) };
  const { descriptor: shown } = written({ kind: 'blob.progress', direction: 'pull', descriptor, repository: 'r', doneBytes: 0 });
  assert.deepEqual(shown, { mediaType: 'm', digest, size: 1 });
});

test('docs/events.schema.json is what the table of events says: npm run events-schema makes it anew', () => {
  assert.equal(readFileSync(eventsSchemaPath, 'utf8'), eventsSchemaText());
});

const judge = `
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
judge = jsonschema.Draft202012Validator(schema)
print(json.dumps([judge.is_valid(line) for line in json.load(sys.stdin)]))
`;
const hasJudge = spawnSync('python3', ['-c', 'import jsonschema; jsonschema.Draft202012Validator']).status === 0;

test(
  'by the published schema every event is valid, and so is a line without a kind; nothing else is',
  { skip: hasJudge ? false : 'needs python3-jsonschema 4' },
  () => {
    const valid = [...events.map(written), { level: 'error', time: '2026-01-01T00:00:00.000Z', msg: 'error: x' }];
    const invalid = [...wrong, ...valid.map((line) => ({ ...line, extra: 1 })), {}, 7, { kind: 'note' }];
    const { stdout, stderr } = spawnSync('python3', ['-c', judge, eventsSchemaPath], {
      input: JSON.stringify([...valid, ...invalid]),
      encoding: 'utf8',
    });
    assert.notEqual(stdout, '', stderr);
    assert.deepEqual(JSON.parse(stdout), [...valid.map(() => true), ...invalid.map(() => false)]);
  },
);
