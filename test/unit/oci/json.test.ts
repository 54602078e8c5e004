import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatJson, parseJson } from '../../../src/oci/json.ts';

const kept: readonly string[] = [
  '{"b":1,"a":[true,false,null,"x"],"c":{}}',
  '{"__proto__":{"constructor":1},"toString":2}',
  '[9007199254740991,9007199254740992,123456789012345678901234567890,-98765432109876543210]',
  '{"10":1,"9":2}',
  '["\\u0000","é","\\"\\\\"]',
];
for (const text of kept) {
  test(`parseJson() and formatJson() lose nothing of ${text}`, () => {
    assert.deepEqual(parseJson(formatJson(parseJson(text))), parseJson(text));
    assert.equal(formatJson(parseJson(text)).length, text.length);
  });
}

test('parseJson() makes Maps of objects, and whole numbers that a double can not hold bigints', () => {
  assert.deepEqual(parseJson('{"a":18446744073709551616}'), new Map([['a', 18446744073709551616n]]));
  assert.deepEqual(parseJson('1.5'), 1.5);
  assert.deepEqual(parseJson('[1]'), [1]);
});

for (const [text, position] of [
  ['{"a":1,"a":2}', 7],
  ['[{"b":[{"secret":"}"},1],"\\u0062":0}]', 25],
  ['{"__proto__":{}, "__proto__":1}', 17],
] as const) {
  test(`parseJson() refuses ${text}, whose key comes twice, and does not repeat it`, () => {
    assert.throws(() => parseJson(text), { code: 'ERR_LAYER', message: `Cannot read JSON: a key comes twice at position ${position}` });
  });
}

test('parseJson() refuses what is nested without end', () => {
  for (const text of ['['.repeat(100_000), `${'[{"a":'.repeat(100_000)}1${'}]'.repeat(100_000)}`])
    assert.throws(() => parseJson(text), { code: 'ERR_LAYER', message: 'Cannot read JSON: it is nested too deep' });
  assert.doesNotThrow(() => parseJson(`${'['.repeat(1000)}${']'.repeat(1000)}`));
});

for (const [what, text] of [
  ['objects', `[${'{},'.repeat(2_700_000)}1]`],
  ['lists', `[${'[],'.repeat(2_700_000)}1]`],
  ['members', `{${Array.from({ length: 700_000 }, (_, index) => `"${index}":1`).join(',')}}`],
] as const) {
  test(`parseJson() refuses ${what} by the million, without holding them`, () => {
    const { user } = process.cpuUsage();
    const before = process.memoryUsage().heapUsed;
    assert.throws(() => parseJson(text), { code: 'ERR_LAYER', message: 'Cannot read JSON: it has more than 300000 members' });
    assert.ok(process.memoryUsage().heapUsed - before < 150e6, String(process.memoryUsage().heapUsed - before));
    assert.ok(process.cpuUsage().user - user < 5e6, String(process.cpuUsage().user - user));
  });
}

test('parseJson() reads an index of 10,000 images, and a list of half a million tags', () => {
  const entry = {
    mediaType: 'a',
    digest: 'b',
    size: 1,
    platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
    annotations: { a: 'b' },
  };
  const index = parseJson(JSON.stringify({ manifests: Array.from({ length: 10_000 }, () => entry) }));
  assert.ok(index instanceof Map);
  const tags = parseJson(JSON.stringify(Array.from({ length: 500_000 }, () => 'latest')));
  assert.equal(Array.isArray(tags) && tags.length, 500_000);
});

for (const text of [
  '[01]',
  '[1.]',
  '[+1]',
  '[.5]',
  '[Infinity]',
  '["\t"]',
  '["\\x"]',
  '["',
  '[1 2]',
  '{"a" 1}',
  '{1:2}',
  '[\u00a01]',
  '[1]]',
])
  test(`parseJson() refuses ${JSON.stringify(text)} as JSON.parse() does, and for the same reason`, () => {
    let why = '';
    assert.throws(() => {
      try {
        JSON.parse(text);
      } catch (error) {
        why = error instanceof Error ? error.message.replace(/, ".*$/s, '') : '';
        throw error;
      }
    });
    assert.throws(() => parseJson(text), { message: `Cannot read JSON: ${why}` });
  });

for (const text of ['', '{', '{"a":1,}', "{'a':1}", '\uFEFF{}', 'NaN', '<html>secret</html>']) {
  test(`parseJson() refuses ${JSON.stringify(text)}, and does not repeat it`, () => {
    assert.throws(
      () => parseJson(text),
      (error) => error instanceof Error && error.message.startsWith('Cannot read JSON: ') && !error.message.includes('secret'),
    );
  });
}
