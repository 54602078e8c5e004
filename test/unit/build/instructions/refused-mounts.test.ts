import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusalHint, refusedMounts } from '../../../../src/build/instructions/refused-mounts.ts';
import { bytesFromText } from '../../../../src/bytes.ts';

const places = ['etc/hosts', 'etc/resolv.conf', 'etc/ssl/certs/ca-certificates.crt', 'kaniko', 'run/secrets/token', 'workspace'].map(
  bytesFromText,
);
const certificates = '/etc/ssl/certs/ca-certificates.crt';

const rows: readonly (readonly [line: string, found: readonly string[]])[] = [
  ["mv: cannot move '/etc/ssl/certs/ca-certificates.crt.new' to 'ca-certificates.crt': Device or resource busy", [certificates]],
  [`rm: cannot remove ‘${certificates}’: Read-only file system`, [certificates]],
  [`rm: can't remove '${certificates}': Resource busy`, []],
  ['sed: cannot rename /etc/sedd2EFYg: Device or resource busy', ['/etc/hosts', '/etc/resolv.conf']],
  ['chown: changing ownership of /run/secrets/token/ca.crt: Read-only file system', ['/run/secrets/token']],
  ["mv: can't rename '/workspace': Device or resource busy", ['/workspace']],
  ["mv: can't rename '/other': Device or resource busy", []],
  [`cat: ${certificates}: Permission denied`, []],
];
for (const [line, found] of rows)
  test(`refusedMounts() finds ${found.length === 0 ? 'nothing' : found.join(' and ')} in "${line}"`, () => {
    assert.deepEqual(refusedMounts(line, places), found);
  });

test('refusalHint() tells what a pod mounts from what every container has', () => {
  assert.equal(refusalHint([]), undefined);
  assert.match(refusalHint([certificates]) ?? '', /ca-certificates\.crt: that is mounted into this container; mount it elsewhere/);
  assert.match(refusalHint(['/etc/hosts']) ?? '', /\/etc\/hosts: that is mounted .* can only be written to$/);
  assert.match(refusalHint(['/run/secrets/token']) ?? '', /; automountServiceAccountToken: false /);
});
