import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEntries } from '../../../src/layer/read.ts';
import { cleanPath } from '../../../src/paths.ts';
import { assertRefused, readArchive as read, readOnly as only } from '../../support/read-archive.ts';
import { bytes, chunks, paxBlock, tar, tarEntry } from '../../support/tar.ts';

const signal = new AbortController().signal;

for (const chunkSize of [1, 7, 511, 512, 513, 65536]) {
  test(`readEntries() gives the same entries from chunks of ${chunkSize} bytes`, async () => {
    const archive = tar([
      { path: './a', content: 'x'.repeat(700) },
      { path: 'd/', type: '5' },
      { path: 'd/l', type: '2', link: '../a' },
      { path: 'short', pax: { path: 'long/'.repeat(60) + 'name', mtime: '5.25' }, content: 'y' },
    ]);
    const found = await read(archive, chunkSize);
    assert.deepEqual(
      found.map(({ entry, content }) => [entry.type, entry.path, entry.linkTarget, content.length]),
      [
        ['file', 'a', undefined, 700],
        ['directory', 'd', undefined, 0],
        ['symlink', 'd/l', '../a', 0],
        ['file', 'long/'.repeat(60) + 'name', undefined, 1],
      ],
    );
    assert.deepEqual(found[3]?.entry.mtime, { seconds: 5, nanoseconds: 250_000_000 });
  });
}

test('readEntries() skips content that nobody asked for', async () => {
  const names: string[] = [];
  for await (const entry of readEntries(chunks(tar([{ path: 'a', content: 'x'.repeat(5000) }, { path: 'b' }]), 300), signal))
    names.push(entry.path);
  assert.deepEqual(names, ['a', 'b']);
});

test('readEntries() keeps binary attribute values and names that are not UTF-8', async () => {
  const value = Buffer.from([1, 0, 0, 2, 0xff, 0xfe, 0x0a, 0]);
  const { entry } = await only({ path: 'x', pax: { 'SCHILY.xattr.security.capability': value, path: Buffer.from([0xff, 0x2f, 0xe9]) } });
  assert.equal(entry.path, '\xff/\xe9');
  assert.deepEqual(entry.xattrs.get('security.capability'), value);
});

test('readEntries() takes the size of the extended header for the next real entry only', async () => {
  const archive = tar([
    { path: 'a', pax: { size: '3' }, size: 600, content: 'abc' },
    { path: 'b', content: 'd' },
  ]);
  assert.deepEqual(
    (await read(archive)).map(({ entry, content }) => [entry.path, content]),
    [
      ['a', 'abc'],
      ['b', 'd'],
    ],
  );
});

test('readEntries() does not apply an extended size to a long-name header in between', async () => {
  const archive = Buffer.concat([
    tarEntry({ path: 'pax', type: 'x', content: paxBlock({ size: '2' }) }),
    tarEntry({ path: '././@LongLink', type: 'L', content: 'n'.repeat(150) + '\0' }),
    tarEntry({ path: 'short', content: 'ab' }),
    Buffer.alloc(1024),
  ]);
  assert.deepEqual(
    (await read(archive)).map(({ entry, content }) => [entry.path, content]),
    [['n'.repeat(150), 'ab']],
  );
});

test('readEntries() reads owners up to 4294967294, in octal, base-256 and extended', async () => {
  const binary = Buffer.from([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe]);
  assert.equal((await only({ path: 'a', patch: [[108, binary]] })).entry.uid, 4_294_967_294);
  assert.equal((await only({ path: 'a', pax: { gid: '2147483648' } })).entry.gid, 2_147_483_648);
});

test('readEntries() reads the largest device number that Linux has', async () => {
  const { entry } = await only({ path: 'a', type: '4', major: 4095, minor: 1_048_575 });
  assert.deepEqual(entry.device, { major: 4095, minor: 1_048_575 });
});

test('readEntries() reads times before 1970 and after 2038 exactly', async () => {
  const minusOne = Buffer.alloc(12, 0xff);
  assert.deepEqual((await only({ path: 'a', patch: [[136, minusOne]] })).entry.mtime, { seconds: -1, nanoseconds: 0 });
  assert.deepEqual((await only({ path: 'a', pax: { mtime: '-5.5' } })).entry.mtime, { seconds: -6, nanoseconds: 500_000_000 });
  assert.deepEqual((await only({ path: 'a', pax: { mtime: '8589934592.000000001' } })).entry.mtime, { seconds: 2 ** 33, nanoseconds: 1 });
});

test('readEntries() takes an old type-0 entry with a trailing slash for a directory', async () => {
  const { entry } = await only({ path: 'old/', type: '\0' });
  assert.deepEqual([entry.type, entry.path], ['directory', 'old']);
});

test('readEntries() masks what stands above the permission bits', async () => {
  assert.equal((await only({ path: 'a', mode: 0o104755 })).entry.mode, 0o4755);
});

test('readEntries() reads an archive without its end, an empty one and one of only zeros', async () => {
  assert.equal((await read(tarEntry({ path: 'a' }))).length, 1);
  assert.equal((await read(Buffer.alloc(0))).length, 0);
  assert.equal((await read(Buffer.alloc(10240))).length, 0);
});

test('readEntries() tells of data behind the end and ignores it', async () => {
  const oddities: string[] = [];
  const archive = Buffer.concat([tar([{ path: 'a' }]), Buffer.from('junk')]);
  const names: string[] = [];
  for await (const entry of readEntries(chunks(archive), signal, (message) => oddities.push(message))) names.push(entry.path);
  assert.deepEqual(names, ['a']);
  assert.match(oddities.join(), /data after its end/);
});

const refused: readonly (readonly [what: string, archive: Buffer, message: RegExp])[] = [
  ['a wrong checksum', Buffer.concat([tarEntry({ path: 'a' }).fill('b', 0, 1), Buffer.alloc(1024)]), /checksum/],
  ['a header that is cut off', tarEntry({ path: 'a' }).subarray(0, 300), /ends too early/],
  ['content that is cut off', tarEntry({ path: 'a', content: 'x'.repeat(600) }).subarray(0, 800), /ends too early/],
  ['an entry behind a single block of zeros', Buffer.concat([Buffer.alloc(512), tar([{ path: 'a' }])]), /zeros/],
  ['an unknown type', tar([{ path: 'a', type: 'Z' }]), /unknown type "Z"/],
  ['a link to nothing', tar([{ path: 'a', type: '2', link: '' }]), /empty link target/],
  ['a link to more than a path can have', tar([{ path: 'a', type: '2', pax: { linkpath: 'x/'.repeat(2048) } }]), /"a" has 4096 bytes/],
  ['a NUL in an extended name', tar([{ path: 'a', pax: { path: 'x\0y' } }]), /NUL/],
  ['owner 4294967295, which chown takes for "unchanged"', tar([{ path: 'a', pax: { uid: '4294967295' } }]), /uid/],
  ['owner 4294967296', tar([{ path: 'a', pax: { gid: '4294967296' } }]), /gid/],
  ['a negative owner', tar([{ path: 'a', patch: [[108, Buffer.alloc(8, 0xff)]] }]), /uid/],
  ['an owner that is no number', tar([{ path: 'a', pax: { uid: 'abc' } }]), /uid/],
  ['a negative device number', tar([{ path: 'a', type: '3', patch: [[329, Buffer.alloc(8, 0xff)]] }]), /device -1:0/],
  ['a device number of more than 12 bits', tar([{ path: 'a', type: '4', major: 4096 }]), /"a" is device 4096:0, and 0:0 to 4095:1048575/],
  ['a minor device number of more than 20 bits', tar([{ path: 'a', type: '3', major: 4095, minor: 1_048_576 }]), /device 4095:1048576/],
  ['a negative size', tar([{ path: 'a', patch: [[124, Buffer.alloc(12, 0xff)]] }]), /size/],
  ['a size of 2^63', tar([{ path: 'a', patch: [[124, Buffer.from('800000008000000000000000', 'hex')]] }]), /size/],
  ['a size that is not octal', tar([{ path: 'a', patch: [[124, Buffer.from('9999')]] }]), /octal/],
  ['a time that is not a number', tar([{ path: 'a', pax: { mtime: 'nan' } }]), /time/],
  ['a time beyond 2^53', tar([{ path: 'a', pax: { mtime: '1000000000000000000' } }]), /time/],
  ['an extended record of length 0', tar([{ path: 'p', type: 'x', content: '0 a=b\n' }, { path: 'a' }]), /record/],
  ['an extended record longer than its block', tar([{ path: 'p', type: 'x', content: '90 a=b\n' }, { path: 'a' }]), /record/],
  ['an extended record without its newline', tar([{ path: 'p', type: 'x', content: '6 a=bc' }, { path: 'a' }]), /record/],
  ['an extended record without a key', tar([{ path: 'p', type: 'x', content: '6 abc\n' }, { path: 'a' }]), /record/],
  [
    'two extended headers in a row',
    Buffer.concat([tarEntry({ path: 'p', type: 'x', content: paxBlock({ uid: '1' }) }), tar([{ path: 'a', pax: { gid: '2' } }])]),
    /two extended/,
  ],
  [
    'an extended header at the end',
    Buffer.concat([tarEntry({ path: 'p', type: 'x', content: paxBlock({ uid: '1' }) }), Buffer.alloc(1024)]),
    /extended header/,
  ],
  ['an extended header of 1 GiB', tar([{ path: 'p', type: 'x', size: 2 ** 30 }]), /extended header has 1073741824/],
  ['a long name of 1 GiB', tar([{ path: 'p', type: 'L', size: 2 ** 30 }]), /extended header has 1073741824/],
  ['an attribute of more than 64 KiB', tar([{ path: 'a', pax: { 'SCHILY.xattr.user.a': 'x'.repeat(65537) } }]), /64 KiB/],
];
for (const [what, archive, message] of refused) {
  test(`readEntries() refuses ${what}`, async () => await assertRefused(archive, message));
}

test('readEntries() stops at an abort', async () => {
  const controller = new AbortController();
  controller.abort(new Error('enough'));
  await assert.rejects(async () => {
    for await (const entry of readEntries(chunks(tar([{ path: 'a' }])), controller.signal)) assert.fail(entry.path);
  }, /enough/);
});

const cleaned: readonly (readonly [string, string])[] = [
  ['/', '.'],
  ['./', '.'],
  ['/.', '.'],
  ['./.', '.'],
  ['/etc/passwd', 'etc/passwd'],
  ['./a//b/./c/', 'a/b/c'],
  ['../x', '../x'],
  ['a\\b', 'a\\b'],
  ['-rf', '-rf'],
];
for (const [from, to] of cleaned) {
  test(`cleanPath() makes ${JSON.stringify(to)} of ${JSON.stringify(from)}`, () => assert.equal(cleanPath(bytes(from)), to));
}
