// What Go's archive/tar ignores, and so containerd and containers/storage, is ignored; what it and other readers take in
// different ways is refused: a scanner and a RUN see the same image.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertRefused, readArchive, readOnly } from '../../support/read-archive.ts';
import { type TarOptions, paxBlock, tar, tarEntry } from '../../support/tar.ts';

const end = Buffer.alloc(1024);

function withGlobal(records: Readonly<Record<string, string>>, ...entries: readonly TarOptions[]): Buffer {
  return Buffer.concat([tarEntry({ path: 'pax_global_header', type: 'g', content: paxBlock(records) }), tar(entries)]);
}

const harmless: TarOptions = { path: 'harmless', content: 'abc', uid: 1, gid: 2, mtime: 3, mode: 0o640 };

for (const [key, value] of [
  ['path', 'etc/evil'],
  ['size', '1'],
  ['size', '99999'],
  ['uid', '0'],
  ['gid', '0'],
  ['mtime', '99.5'],
  ['linkpath', '/etc/passwd'],
  ['SCHILY.xattr.security.capability', 'x'],
  ['LIBARCHIVE.xattr.user.a', 'AA=='],
  ['GNU.sparse.name', 'etc/evil'],
  ['GNU.sparse.map', '0,1'],
  ['GNU.sparse.size', '1'],
] as const) {
  test(`readEntries() ignores ${key}=${value} in a global header, and says so`, async () => {
    const warnings: string[] = [];
    const link = { path: 'l', type: '2', link: 'target' };
    const found = await readArchive(withGlobal({ [key]: value }, harmless, link), undefined, warnings);
    assert.deepEqual(found, await readArchive(tar([harmless, link])));
    assert.deepEqual(warnings, [`an archive sets "${key}" for all its entries, which engines ignore, and so does this build`]);
  });
}

test('readEntries() ignores the comment of git archive without a word', async () => {
  const warnings: string[] = [];
  const found = await readArchive(withGlobal({ comment: 'a'.repeat(40), charset: 'x', hdrcharset: 'y' }, harmless), undefined, warnings);
  assert.deepEqual([found.length, warnings], [1, []]);
});

test('readEntries() tells of global headers once', async () => {
  const warnings: string[] = [];
  const one = tarEntry({ path: 'g', type: 'g', content: paxBlock({ uid: '1', path: 'x' }) });
  await readArchive(Buffer.concat([one, one, one, end]), undefined, warnings);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /sets "uid", "path" for all/);
});

test('readEntries() lets the header of one entry say nothing of the next', async () => {
  const found = await readArchive(tar([{ ...harmless, pax: { uid: '77', path: 'x' } }, harmless]));
  assert.deepEqual(
    found.map(({ entry }) => [entry.path, entry.uid]),
    [
      ['x', 77],
      ['harmless', 1],
    ],
  );
});

const sparseKeys: readonly (readonly [what: string, pax: Readonly<Record<string, string>>])[] = [
  ['a name alone', { 'GNU.sparse.name': 'etc/evil' }],
  ['a size alone', { 'GNU.sparse.size': '9999' }],
  ['a real size alone', { 'GNU.sparse.realsize': '9999' }],
  ['a major version alone', { 'GNU.sparse.major': '1', 'GNU.sparse.name': 'etc/evil' }],
  ['a minor version alone', { 'GNU.sparse.minor': '0', 'GNU.sparse.map': '0,1', 'GNU.sparse.name': 'etc/evil' }],
  ['version 2.0', { 'GNU.sparse.major': '2', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'etc/evil' }],
  ['version 1.1', { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '1', 'GNU.sparse.name': 'etc/evil' }],
  ['a map without a value', { 'GNU.sparse.map': '', 'GNU.sparse.name': 'etc/evil' }],
  ['another key', { 'GNU.sparse.other': '1', 'GNU.sparse.name': 'etc/evil' }],
];
for (const [what, pax] of sparseKeys) {
  test(`readEntries() takes no file for sparse by ${what}`, async () => {
    assert.deepEqual(await readOnly({ ...harmless, pax }), await readOnly(harmless));
  });
}

test("readEntries() ignores libarchive's own name for attributes", async () => {
  const { entry } = await readOnly({
    ...harmless,
    pax: { 'LIBARCHIVE.xattr.security.capability': 'AQAAAg==', 'SCHILY.xattr.user.a': 'b' },
  });
  assert.deepEqual(entry.xattrs, new Map([['user.a', Buffer.from('b')]]));
});

for (const key of ['SCHILY.devmajor', 'SCHILY.devminor', 'SCHILY.fflags', 'ctime', 'atime', 'uname', 'gname', 'comment', 'RHT.x']) {
  test(`readEntries() ignores ${key}`, async () => {
    const device = { path: 'd', type: '3', major: 1, minor: 3 };
    assert.deepEqual(await readOnly({ ...device, pax: { [key]: '7' } }), await readOnly(device));
  });
}

test('readEntries() takes a key without a value for one that is not there, and the last one of several', async () => {
  const pax = Buffer.concat([paxBlock({ path: 'first', uid: '5' }), paxBlock({ path: 'second', uid: '' })]);
  const [found] = await readArchive(Buffer.concat([tarEntry({ path: 'p', type: 'x', content: pax }), tar([harmless])]));
  assert.deepEqual([found?.entry.path, found?.entry.uid], ['second', 1]);
  assert.deepEqual(await readOnly({ ...harmless, pax: { path: '', size: '', mtime: '', linkpath: '' } }), await readOnly(harmless));
});

test('readEntries() takes a slash at the end for a directory in headers older than ustar only', async () => {
  const typeOf = async (path: string, type: string): Promise<readonly string[]> => {
    const { entry } = await readOnly({ path, type });
    return [entry.type, entry.path];
  };
  assert.deepEqual(await typeOf('a/', '\0'), ['directory', 'a']);
  assert.deepEqual(await typeOf('a', '\0'), ['file', 'a']);
  assert.deepEqual(await typeOf('a/', '0'), ['file', 'a']);
  assert.deepEqual(await typeOf('a/', '7'), ['file', 'a']);
  await assertRefused(tar([{ path: 'a/', type: '\0', content: 'x' }]), /named as a directory and has content/);
});

for (const type of ['1', '2', '3', '4', '5', '6']) {
  test(`readEntries() finds no content behind an entry of type ${type}, whatever its size says`, async () => {
    const archive = tar([{ path: 'a', type, link: 'x', size: 512 }, harmless]);
    assert.deepEqual(
      (await readArchive(archive)).map(({ entry, content }) => [entry.path, entry.size, content]),
      [
        ['a', 0, ''],
        ['harmless', 3, 'abc'],
      ],
    );
  });
}

const long = (type: string, name: string): Buffer => tarEntry({ path: '././@LongLink', type, content: `${name}\0` });
const extended = (records: Readonly<Record<string, string>>): Buffer => tarEntry({ path: 'p', type: 'x', content: paxBlock(records) });

test('readEntries() takes GNU long names and extended ones together where they agree', async () => {
  const archive = Buffer.concat([
    long('L', 'same'),
    long('K', 'to'),
    extended({ path: 'same', linkpath: 'to' }),
    tar([{ path: 's', type: '2', link: 't' }]),
  ]);
  const [found] = await readArchive(archive);
  assert.deepEqual([found?.entry.path, found?.entry.linkTarget], ['same', 'to']);
  const [one] = await readArchive(Buffer.concat([long('L', 'long'), extended({ uid: '7' }), tar([harmless])]));
  assert.deepEqual([one?.entry.path, one?.entry.uid], ['long', 7]);
});

for (const [what, archive, message] of [
  [
    'a long name that an extended header contradicts',
    [long('L', 'one'), extended({ path: 'two' }), tar([harmless])],
    /named "one" and "two"/,
  ],
  [
    'a long link that an extended header contradicts',
    [long('K', 'one'), extended({ linkpath: 'two' }), tar([{ path: 'l', type: '2' }])],
    /"one" and "two"/,
  ],
  ['two long names', [long('L', 'one'), long('L', 'two'), tar([harmless])], /two long names/],
  ['two long links', [long('K', 'one'), long('K', 'two'), tar([harmless])], /two long names/],
  [
    'a global header behind an extended one',
    [extended({ path: 'x' }), withGlobal({ comment: 'x' }, harmless)],
    /global header stands between/,
  ],
  ['a global header behind a long name', [long('L', 'x'), withGlobal({ comment: 'x' }, harmless)], /global header stands between/],
  ['a malformed global header', [tarEntry({ path: 'g', type: 'g', content: 'nonsense' }), tar([harmless])], /a record has no length/],
  ['a NUL in a key', [extended({ 'pa\0th': 'x' }), tar([harmless])], /a record has no key/],
  [
    'a sparse map of a directory',
    [extended({ 'GNU.sparse.map': '0,1' }), tar([{ path: 'd', type: '5' }])],
    /"d" is no file and has the map of one/,
  ],
] as const) {
  test(`readEntries() refuses ${what}`, async () => await assertRefused(Buffer.concat(archive), message));
}
