// `yadokari unshare` by an ordinary user with id ranges: what is whose inside, and what that is outside.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { addAccount, removeAccount } from '../../support/account.ts';

const program = join(import.meta.dirname, '../../../bin/yadokari');
const uid = 61_005;
const account = 'yadokari-unshared';
const first = 700_000_000;
const skip =
  process.getuid?.() !== 0 ? 'needs root to become another user' : !existsSync('/usr/bin/newuidmap') && 'uidmap is not installed';

let folder = '';
before(() => {
  if (skip !== false) return;
  addAccount(account, uid, first);
  folder = mkdtempSync('/var/tmp/unshare-');
  chownSync(folder, uid, uid);
});
after(() => {
  if (skip !== false) return;
  removeAccount(account);
  rmSync(folder, { recursive: true, force: true });
});

const unshare = (...args: readonly string[]) => {
  const as = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', program, 'unshare', ...args];
  const env = { PATH: '/usr/bin:/bin', HOME: folder, SHELL: '/bin/sh' };
  return spawnSync('setpriv', as, { cwd: folder, encoding: 'utf8', env, input: '' });
};

test("everything of mine is root's, flags behind the command are its own, and its exit status is ours", { skip }, () => {
  writeFileSync(join(folder, 'mine'), '');
  chownSync(join(folder, 'mine'), uid, uid);
  const { status, stdout, stderr } = unshare(
    '--map-ids=false',
    'sh',
    '-c',
    'id -u; stat -c %u:%g mine /etc/passwd; echo "$1"; exit 9',
    'sh',
    '',
  );
  assert.equal(stderr, '');
  assert.equal(stdout, '0\n0:0\n65534:65534\n\n');
  assert.equal(status, 9);
  assert.notEqual(unshare('--map-ids=false', 'chown', '5:5', 'mine').status, 0);
});

test("with ranges a file can be anybody's, and is one of the range outside", { skip }, () => {
  writeFileSync(join(folder, 'given'), '');
  chownSync(join(folder, 'given'), uid, uid);
  const { status, stderr } = unshare('--map-ids', 'chown', '1000:33', 'given');
  assert.equal(status, 0, stderr);
  const { uid: owner, gid } = statSync(join(folder, 'given'));
  assert.deepEqual([owner, gid], [first + 999, first + 32]);
  assert.equal(unshare('stat', '-c', '%u:%g', 'given').stdout, '1000:33\n', 'as buildah, without a flag');
  assert.equal(unshare('--map-ids=false', 'stat', '-c', '%u:%g', 'given').stdout, '65534:65534\n');
});

test('--explain says which ids are which, and alone runs nothing', { skip }, () => {
  const { stdout } = unshare('--map-ids', '--explain');
  assert.match(stdout, new RegExp(`^uid {2}0 +${uid} +you, ${account}$`, 'm'));
  assert.match(stdout, new RegExp(`^uid {2}1 to 65536 +${first} to ${first + 65_535} +yours by /etc/subuid$`, 'm'));
  assert.match(stdout, new RegExp(`^gid {2}1 to 65536 +${first} to ${first + 65_535} +yours by /etc/subgid$`, 'm'));
});
