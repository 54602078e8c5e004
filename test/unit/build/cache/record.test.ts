import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf } from '../../../../src/build/cache/key.ts';
import { type RecordedStep, digestParts, parseRecord, recordImage, whyMissed } from '../../../../src/build/cache/record.ts';
import { imageOf } from '../../../support/image.ts';

const partsOf = (parts: Readonly<Record<string, string>>) => Object.entries(parts).map(([name, value]) => ({ name, value }));
const step = (text: string, parts: Readonly<Record<string, string>>, stage = '0'): RecordedStep => ({
  stage,
  text,
  key: keyOf([{ name: text, value: '' }, ...partsOf(parts)]),
  parts: digestParts(partsOf(parts)),
});
const base = { 'steps before': 'b', command: 'c' };

const rows: readonly {
  readonly before?: readonly RecordedStep[];
  readonly now: RecordedStep;
  readonly position?: number;
  readonly says: string;
}[] = [
  { now: step('RUN a', base), says: 'the cache knows no earlier build of this' },
  { before: [], now: step('RUN a', base), says: 'it is a new step' },
  { before: [step('RUN a', base, 'other')], now: step('RUN a', base), says: 'it is a new step' },
  { before: [step('RUN a', base)], now: step('RUN a', base), says: "its result was not kept, is too old, or can't be used" },
  { before: [step('RUN a', base)], now: step('RUN a', { ...base, 'steps before': 'x' }), says: 'the base changed' },
  {
    before: [step('RUN a', base), step('RUN b', base)],
    now: step('RUN b', { ...base, 'steps before': 'x' }),
    position: 1,
    says: 'a step before it changed',
  },
  { before: [step('RUN a', base)], now: step('RUN b', { ...base, command: 'd' }), says: 'the instruction changed: it was RUN a' },
  {
    before: [step('COPY . /', { ...base, 'file a': '1' })],
    now: step('COPY . /', { ...base, 'file a': '2' }),
    says: 'file a changed',
  },
  {
    before: [step('COPY . /', { ...base, 'file a': '1', 'file b': '1' })],
    now: step('COPY . /', { ...base, 'file a': '1', 'steps before': 'x' }),
    says: 'file b is gone',
  },
  {
    before: [step('COPY . /', { ...base, 'file a': '1' })],
    now: step('COPY . /', { ...base, user: '1', 'file a': '2', 'file b': '1' }),
    says: 'file a changed, and 2 more',
  },
  {
    before: [step('RUN a', { ...base, 'argument V': '1' })],
    now: step('RUN a', { ...base, 'argument V': '2' }),
    says: 'argument V changed',
  },
];
for (const { before, now, position = 0, says } of rows) {
  test(`whyMissed() says: ${says}`, () => assert.equal(whyMissed(now, position, before), says));
}

test('a record is read as it was written, and values are not in it', () => {
  const record = [step('RUN a', { 'argument TOKEN': 'secret-value' }), step('COPY . /', { 'file ä': '1' }, 'two')];
  const image = recordImage(record, { os: 'linux', architecture: 'amd64' }, '2026-01-01T00:00:00Z');
  assert.deepEqual(parseRecord(image), record);
  assert.ok(![...image.config.config.labels.values()].join('').includes('secret-value'));
});

test('an image that holds no record is none', () => {
  assert.throws(() => parseRecord(imageOf()), { code: 'ERR_LAYER' });
});

test('a large record keeps its keys, and says of what is beyond only that something changed', () => {
  const many = Object.fromEntries(Array.from({ length: 20_001 }, (_, index) => [`file ${index}`, '1']));
  const record = parseRecord(recordImage([step('COPY . /', many)], { os: 'linux', architecture: 'amd64' }, '2026-01-01T00:00:00Z'));
  assert.equal(record[0]?.parts.size, 0);
  assert.equal(whyMissed(step('COPY . /', { ...many, 'file 1': '2' }), 0, record), 'something that it reads changed');
});
