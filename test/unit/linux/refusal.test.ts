import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { explainRefusal } from '../../../src/linux/refusal.ts';

function elf(machine: number, rest = ''): Buffer {
  const head = Buffer.alloc(64);
  head.write('\x7fELF\x02\x01\x01', 'latin1');
  head.writeUInt16LE(machine, 18);
  return Buffer.concat([head, Buffer.from(rest)]);
}

const { ENOENT, EACCES, ENOEXEC, ELOOP } = constants.errno;
const foreign = process.arch === 'x64' ? 183 : 62;
const foreignName = process.arch === 'x64' ? 'arm64' : 'amd64';

const rows: readonly (readonly [what: string, errno: number, head: Buffer | undefined, exitCode: number, refusal: RegExp])[] = [
  ['an absent program', ENOENT, undefined, 127, /^prog is not in this image$/],
  [
    'a script without its interpreter',
    ENOENT,
    Buffer.from('#! /usr/bin/env node\n'),
    127,
    /needs \/usr\/bin\/env, which is not in this image/,
  ],
  ['a script with the line ends of Windows', ENOENT, Buffer.from('#!/bin/sh\r\n'), 127, /"\/bin\/sh\\r" \(its lines end in CR LF\)/],
  ['a program without its loader', ENOENT, elf(62, '/lib/ld-musl-x86_64.so.1\0'), 127, /the loader \/lib\/ld-musl-x86_64\.so\.1/],
  ['a folder', EACCES, undefined, 126, /it is a directory or lacks the permission/],
  ['a file without x', EACCES, Buffer.from('#!/bin/sh\n'), 126, /it lacks the permission for this user/],
  ['a program of another machine', ENOEXEC, elf(foreign), 126, new RegExp(`it is for ${foreignName}, and this machine is`)],
  ['a program of a machine without a name', ENOEXEC, elf(999), 126, /it is for machine 999/],
  ['an empty file', ENOEXEC, Buffer.alloc(0), 126, /it is an empty file/],
  ['a script without #!', ENOEXEC, Buffer.from('echo hi\n'), 126, /nor a script that begins with #!/],
  ['a loop of links', ELOOP, undefined, 126, /ELOOP/],
];
for (const [what, errno, head, exitCode, refusal] of rows) {
  test(`explainRefusal() tells ${what}`, () => {
    const explained = explainRefusal({ errno, path: '/bin/prog', head }, ['prog', 'argument']);
    assert.equal(explained.exitCode, exitCode);
    assert.match(explained.refusal, refusal);
  });
}

test('explainRefusal() tells one argument that is too long from all of them together', () => {
  const refused = { errno: constants.errno.E2BIG, path: '/bin/sh', head: undefined };
  assert.match(explainRefusal(refused, ['sh', '-c', 'x'.repeat(131_072)]).refusal, /the command is 131072 bytes long/);
  assert.match(explainRefusal(refused, ['sh', '-c', 'x']).refusal, /arguments and the environment are together larger/);
});
