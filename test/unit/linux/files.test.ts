import assert from 'node:assert/strict';
import { lstatSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesFromBuffer } from '../../../src/bytes.ts';
import { DirectoryReader } from '../../../src/linux/directory.ts';
import { coarseTime, deviceNumber, makeNode, setTimes, splitDevice, statFieldCount, statInto } from '../../../src/linux/files.ts';
import { assertSystemCallsWork, cString, call } from '../../../src/linux/libc.ts';
import { parseMounts } from '../../../src/linux/mounts.ts';
import { getXattr, listXattrs, removeXattr, setXattr } from '../../../src/linux/xattr.ts';
import { bytes } from '../../support/tar.ts';
import { temporaryFolder, tree } from '../../support/tree.ts';

test('system calls work here, and fail like node:fs', () => {
  assertSystemCallsWork();
  const path = bytes('/no/such/thing');
  assert.throws(() => call('openat', [-100, cString(path), 0, 0], path), {
    code: 'ENOENT',
    errno: -2,
    syscall: 'openat',
    path: '/no/such/thing',
  });
  assert.throws(() => cString(bytes('a\0b')), { code: 'ERR_UNSAFE_PATH' });
});

test('setTimes() is exact to the nanosecond, before 1970 too, and does not follow links', (context) => {
  const folder = temporaryFolder(context);
  tree(folder, { f: 'x', l: { link: 'f' } });
  const path = (name: string) => bytes(join(folder, name));
  setTimes(path('f'), -6, 123_456_789);
  setTimes(path('l'), 2 ** 33, 1);
  assert.equal(lstatSync(path('f'), { bigint: true }).mtimeNs, -5_876_543_211n);
  assert.equal(lstatSync(path('l'), { bigint: true }).mtimeNs, 8_589_934_592_000_000_001n);
});

test('statInto() agrees with lstat', (context) => {
  const folder = temporaryFolder(context);
  tree(folder, { f: { file: 'abc', mode: 0o4750, mtime: 5 } });
  const stat = new Float64Array(statFieldCount);
  assert.ok(statInto(bytes(join(folder, 'f')), stat));
  const { mode, uid, gid, size, ino, nlink, dev } = lstatSync(join(folder, 'f'));
  assert.deepEqual([...stat.subarray(0, 6), ...stat.subarray(8)], [mode, uid, gid, size, 5, 0, ino, dev, 0, nlink]);
  assert.ok(!statInto(bytes(join(folder, 'gone')), stat));
  assert.ok(!statInto(bytes(join(folder, 'f/below')), stat));
});

test('DirectoryReader finds every name of a large directory, whatever its bytes', (context) => {
  const folder = temporaryFolder(context);
  const expected = Array.from({ length: 3000 }, (_each, index) => `file-${'x'.repeat(index % 200)}-${index}`);
  for (const name of expected) writeFileSync(join(folder, name), name);
  writeFileSync(Buffer.from(`${folder}/\xff\n`, 'latin1'), '');
  const found: string[] = [];
  new DirectoryReader().read(bytes(folder), (_, names, start, end) => found.push(bytesFromBuffer(names, start, end)));
  assert.deepEqual(found.sort(), [...expected, '\xff\n'].sort());
  assert.throws(() => new DirectoryReader().read(bytes(`${folder}/gone`), () => undefined), { code: 'ENOENT' });
});

test('extended attributes hold any bytes and can be listed and removed', (context) => {
  const folder = temporaryFolder(context);
  tree(folder, { f: 'x' });
  const path = bytes(join(folder, 'f'));
  setXattr(path, 'user.binary', Buffer.from([0, 255, 10]));
  setXattr(path, 'user.empty', Buffer.alloc(0));
  assert.deepEqual(listXattrs(path).sort(), ['user.binary', 'user.empty']);
  assert.deepEqual(getXattr(path, 'user.binary'), Buffer.from([0, 255, 10]));
  assert.equal(getXattr(path, 'user.empty')?.length, 0);
  removeXattr(path, 'user.binary');
  removeXattr(path, 'user.binary');
  assert.equal(getXattr(path, 'user.binary'), undefined);
});

test('makeNode() makes a FIFO', (context) => {
  const path = bytes(join(temporaryFolder(context), 'fifo'));
  makeNode(path, 0o010600);
  assert.ok(lstatSync(path).isFIFO());
  assert.throws(() => makeNode(path, 0o010600), { code: 'EEXIST' });
});

test('device numbers survive packing', () => {
  for (const [major, minor] of [
    [1, 3],
    [259, 1_048_575],
    [4095, 256],
  ] as const) {
    assert.deepEqual(splitDevice(deviceNumber(major, minor)), { major, minor });
  }
  assert.equal(deviceNumber(1, 3), 259);
});

test('coarseTime() is the time, give or take a tick', () => {
  const { seconds, nanoseconds } = coarseTime();
  assert.ok(Math.abs(seconds + nanoseconds / 1e9 - Date.now() / 1000) < 0.5);
});

test('parseMounts() decodes octal escapes and skips optional fields', () => {
  const table =
    '36 35 98:0 /mnt1 /mnt\\040two\\134x rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n1 0 0:1 / / ro - overlay overlay rw\n';
  assert.deepEqual(parseMounts(bytes(table)), [
    { id: 36, target: '/mnt two\\x', isReadOnly: false },
    { id: 1, target: '/', isReadOnly: true },
  ]);
});
