// What a stranger can make the reader hold in memory. Runs in a process with a heap of 64 MiB.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { asList, asNumber, asObject, asText } from '../../support/parsed.ts';

const probe = join(import.meta.dirname, '../../support/read-archive-probe.ts');
const mutations = 3000;
const seed = 20_261_126;

const { status, stdout, stderr } = spawnSync(process.execPath, ['--max-old-space-size=64', probe, String(seed), String(mutations)], {
  encoding: 'utf8',
  timeout: 240_000,
});
const report = status === 0 ? asObject(JSON.parse(stdout)) : {};

test('readEntries() lives in a heap of 64 MiB whatever it reads', () => {
  assert.equal(status, 0, stderr.slice(-2000));
  const maximumMiB = asNumber(report['maximumKiB']) / 1024;
  assert.ok(maximumMiB < 320, `the process had ${maximumMiB} MiB, of which Node takes some 60`);
});

for (const [name, outcome] of [
  ['a sparse map of one endless line', /^Cannot read archive: the map of a sparse file has a line that is no number$/],
  ['a sparse map of endless lines', /^Cannot read archive: the map of a sparse file is not in order$/],
  ['an old sparse map in endless empty blocks', /^Cannot read archive: the map of a sparse file is too long$/],
  ['600 global headers of 1 MiB', /^0 entries$/],
  ['20 global headers of small records', /^0 entries$/],
  ['an extended header of small records', /more than 65536 records$/],
  ['100 entries with 15 attributes of 64 KiB', /^100 entries$/],
  ['30 long names of 1 MiB', /^30 entries$/],
  ['endless long names', /two long names follow each other$/],
  ['a list of half a million numbers', /the map of a sparse file has too many regions$/],
  ['a header that promises 1 TiB of records', /^Cannot read archive: an extended header has 1100320092160 bytes, and 1048576 are allowed$/],
  ['a file of 4 PiB', /^Cannot read archive: it ends too early$/],
] as const) {
  test(`readEntries() ends well with ${name}`, () => assert.match(asText(asObject(report['outcomes'])[name]), outcome));
}

test(`readEntries() gives entries or one line of ours for each of ${mutations} damaged archives`, () => {
  assert.deepEqual(report['strange'], []);
  const kinds = asList(report['kinds']).map((kind) => asText(asList(kind)[0]));
  assert.ok(kinds.length >= 20, `the damage shows in different ways: ${kinds.join('\n')}`);
});
