import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChallenges } from '../../../src/registry/challenge.ts';

const rows: readonly { readonly name: string; readonly lines: readonly string[]; readonly expected: unknown }[] = [
  {
    name: 'reads a bearer challenge with a comma inside quotes',
    lines: ['Bearer realm="https://a/token",service="b",scope="repository:x:pull,push"'],
    expected: [['bearer', { realm: 'https://a/token', service: 'b', scope: 'repository:x:pull,push' }]],
  },
  {
    name: 'reads several challenges of one line',
    lines: ['Basic realm="x", Bearer realm=unquoted, error="invalid_token"'],
    expected: [
      ['basic', { realm: 'x' }],
      ['bearer', { realm: 'unquoted', error: 'invalid_token' }],
    ],
  },
  {
    name: 'reads several lines, bare schemes and blobs',
    lines: ['Negotiate', 'NTLM abc==, bEARER REALM = "x\\"y"'],
    expected: [
      ['negotiate', {}],
      ['ntlm', {}],
      ['bearer', { realm: 'x"y' }],
    ],
  },
  { name: 'takes the first of duplicate parameters', lines: ['Bearer realm="a",realm="b"'], expected: [['bearer', { realm: 'a' }]] },
  { name: 'gives nothing for rubbish', lines: ['', ',,,', '"'], expected: [] },
];

for (const row of rows) {
  test(`parseChallenges() ${row.name}`, () => {
    const found = parseChallenges(row.lines).map((item) => [item.scheme, Object.fromEntries(item.parameters)]);
    assert.deepEqual(found, row.expected);
  });
}

test('parseChallenges() does not take long over a hostile header', () => {
  const startedMs = performance.now();
  parseChallenges([`Bearer ${'a="'.repeat(5000)}`, `Bearer ${'a=\\"'.repeat(5000)}`, 'Bearer '.repeat(3000)]);
  assert.ok(performance.now() - startedMs < 1000);
});
