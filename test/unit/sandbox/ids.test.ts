import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Caller, type IdSources, chooseMapping, findRange, idInside, mappingFlags, rangesHint } from '../../../src/sandbox/ids.ts';

const me: Caller = { uid: 1000, name: 'me', mayMount: false };
const sources: IdSources = {
  subuid: 'me:100000:65536\n',
  subgid: 'me:200000:65536\n',
  newuidmap: '/usr/bin/newuidmap',
  newgidmap: '/usr/bin/newgidmap',
};

const ranges: readonly { readonly name: string; readonly text: string; readonly range: { start: number; count: number } | undefined }[] = [
  { name: 'by name', text: 'you:1:2\nme:100000:65536\n', range: { start: 100_000, count: 65_536 } },
  { name: 'by number', text: '1000:5:6', range: { start: 5, count: 6 } },
  { name: 'the widest of several', text: 'me:1:10\nme:100:30\nme:50:20', range: { start: 100, count: 30 } },
  { name: 'no empty range', text: 'me:100000:0', range: undefined },
  { name: 'no line of another name that begins alike', text: 'me2:1:2\nm:3:4', range: undefined },
  { name: 'nothing in lines that are malformed', text: 'me:abc:10\nme:1\n#me:1:2\nme:1:2:3\n', range: undefined },
];
for (const { name, text, range } of ranges) {
  test(`findRange() finds ${name}`, () => assert.deepEqual(findRange(text, me), range));
}

test('rangesHint() names ids that nobody has', () => {
  assert.match(rangesHint(me, { subuid: '', subgid: '' }), /usermod --add-subuids 100000-165535 --add-subgids 100000-165535 me$/);
  assert.match(rangesHint(me, { subuid: 'you:100000:65536\n', subgid: 'you:200000:65536\n' }), / 265536-331071 .* 265536-331071 me$/);
});

test('chooseMapping() needs no user namespace where mounting is allowed', () => {
  assert.deepEqual(chooseMapping({ uid: 0, name: 'root', mayMount: true }, sources), { mapping: { kind: 'all' } });
});

test('chooseMapping() takes the ranges of the user and has nothing to say', () => {
  const expected = { kind: 'ranges', uids: { start: 100_000, count: 65_536 }, gids: { start: 200_000, count: 65_536 } };
  assert.deepEqual(chooseMapping(me, sources), { mapping: expected });
});

const lacking: readonly {
  readonly name: string;
  readonly caller?: Partial<Caller>;
  readonly sources?: Partial<IdSources>;
  readonly says: RegExp;
}[] = [
  {
    name: 'user ids',
    sources: { subuid: '' },
    says: /^there are no id ranges for me in \/etc\/subuid: files that do not belong to root will do so while building, and a RUN as another user will fail$/,
  },
  { name: 'group ids', sources: { subgid: '' }, says: /^there are no id ranges for me in \/etc\/subgid: / },
  { name: 'the programs', sources: { newgidmap: undefined }, says: /^newuidmap and newgidmap are not installed \(package uidmap\): / },
  { name: 'an account', caller: { name: undefined }, says: /^uid 1000 has no account, and so no id ranges: / },
];
for (const row of lacking) {
  test(`chooseMapping() maps only the own id without ${row.name}, and says so`, () => {
    const { mapping, note } = chooseMapping({ ...me, ...row.caller }, { ...sources, ...row.sources });
    assert.deepEqual(mapping, { kind: 'own' });
    assert.match(note ?? '', row.says);
  });
}

test('mappingFlags() put the own id at 0 and the ranges from 1 on', () => {
  assert.deepEqual(mappingFlags(chooseMapping(me, sources).mapping), [
    '--user',
    '--map-root-user',
    '--map-users=100000,1,65536',
    '--map-groups=200000,1,65536',
  ]);
  assert.deepEqual(mappingFlags({ kind: 'own' }), ['--user', '--map-root-user']);
  assert.deepEqual(mappingFlags({ kind: 'all' }), []);
});

test('idInside() counts back: the own id is root, the range begins at 1, all others are nobody', () => {
  const range = { start: 100_000, count: 10 };
  const rows: readonly (readonly [outside: number, inside: number | undefined])[] = [
    [1000, 0],
    [100_000, 1],
    [100_009, 10],
    [100_010, undefined],
    [99_999, undefined],
    [0, undefined],
  ];
  for (const [outside, inside] of rows) assert.equal(idInside(outside, 1000, range), inside, String(outside));
  assert.equal(idInside(100_000, 1000, undefined), undefined);
});
