import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { type AccountFiles, accountFiles, homeOf, lookupOwner, resolveUser } from '../../../src/linux/accounts.ts';

const passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
app:x:2000:3000::/home/app:/bin/sh
1000:x:77:78:a name that is a number:/seven:/bin/sh
app:x:5:5:a second one of that name::
broken:x:zero:0::/:
nogid:x:12
# comment:x:9:9::/:

crlf:x:21:22::/home/crlf:/bin/sh\r
huge:x:4294967296:0::/:
last:x:31:32::relative:/bin/sh`;
const group = `root:x:0:
wheel:x:10:root,app
app:x:3000:
docker:x:4000:other,app,more
1234:x:88:
short:x
bad:x:ten:nobody
`;
const files: AccountFiles = { passwd: () => passwd, group: () => group };
const unread: AccountFiles = {
  passwd: () => assert.fail('/etc/passwd was read'),
  group: () => assert.fail('/etc/group was read'),
};

const users: readonly (readonly [spec: string | undefined, uid: number, gid: number, groups: readonly number[]])[] = [
  [undefined, 0, 0, [0, 10]],
  ['', 0, 0, [0, 10]],
  ['0', 0, 0, [0, 10]],
  ['root', 0, 0, [0, 10]],
  ['app', 2000, 3000, [3000, 10, 4000]],
  ['2000', 2000, 3000, [3000, 10, 4000]],
  ['02000', 2000, 3000, [3000, 10, 4000]],
  ['app:', 2000, 3000, [3000, 10, 4000]],
  ['1000', 1000, 0, [0]],
  ['4294967294', 4_294_967_294, 0, [0]],
  ['2147483648', 2_147_483_648, 0, [0]],
  ['app:docker', 2000, 4000, [4000]],
  ['app:7', 2000, 7, [7]],
  ['999:docker', 999, 4000, [4000]],
  ['daemon:1234', 1, 1234, [1234]],
  ['crlf', 21, 22, [22]],
  ['last', 31, 32, [32]],
  [':docker', 0, 4000, [4000]],
];
const none: AccountFiles = { passwd: () => '', group: () => '' };
for (const spec of ['root', 'root:root', '0:root', 'root:0']) {
  test(`resolveUser() and lookupOwner() take ${spec} for 0:0 in an image without accounts`, () => {
    assert.deepEqual(resolveUser(spec, none), { uid: 0, gid: 0, groups: [0] });
    assert.deepEqual(lookupOwner(spec, none), { uid: 0, gid: 0 });
  });
}

for (const [spec, uid, gid, groups] of users) {
  test(`resolveUser() takes ${JSON.stringify(spec)} for ${uid}:${gid}`, () => {
    assert.deepEqual(resolveUser(spec, files), { uid, gid, groups });
  });
}

test('resolveUser() reads no file for two numbers', () => {
  assert.deepEqual(resolveUser('1234:5678', unread), { uid: 1234, gid: 5678, groups: [5678] });
});

const refusals: readonly (readonly [spec: string, message: RegExp])[] = [
  ['nobody', /Cannot find user "nobody": it is not in \/etc\/passwd of this image/],
  ['0x0', /Cannot find user "0x0"/],
  ['+0', /Cannot find user "\+0"/],
  [' 0', /Cannot find user " 0"/],
  ['-1', /it is negative/],
  ['4294967295', /ids end at 4294967294/],
  ['4294967296', /ids end at/],
  ['1000:99999999999', /ids end at/],
  ['app:nogroup', /Cannot find group "nogroup"/],
  ['app:bad', /gives it the id "ten"/],
  ['app:short', /gives it the id ""/],
  ['broken', /gives it the id "zero"/],
  ['nogid', /gives it the id ""/],
  ['huge', /gives it the id "4294967296"/],
  ['a:b:c', /it is not user\[:group\]/],
];
for (const [spec, message] of refusals) {
  test(`resolveUser() refuses ${JSON.stringify(spec)}, and never takes it for root`, () => {
    assert.throws(() => resolveUser(spec, files), message);
  });
}

const owners: readonly (readonly [spec: string, uid: number, gid: number])[] = [
  ['1000', 1000, 1000],
  ['1000:7', 1000, 7],
  ['app', 2000, 3000],
  ['app:docker', 2000, 4000],
  ['7:docker', 7, 4000],
  [':docker', 0, 4000],
];
for (const [spec, uid, gid] of owners) {
  test(`lookupOwner() takes ${spec} for ${uid}:${gid}`, () => {
    assert.deepEqual(lookupOwner(spec, files), { uid, gid });
  });
}

test('lookupOwner() reads no file for numbers, and refuses unknown names', () => {
  assert.deepEqual(lookupOwner('5', unread), { uid: 5, gid: 5 });
  assert.throws(() => lookupOwner('nobody', files), /Cannot find user "nobody"/);
  assert.throws(() => lookupOwner('app:nogroup', files), /Cannot find group "nogroup"/);
});

for (const [uid, home] of [
  [0, '/root'],
  [2000, '/home/app'],
  [5, '/'],
  [31, '/'],
  [424242, '/'],
] as const) {
  test(`homeOf() gives ${home} for uid ${uid}`, () => {
    assert.equal(homeOf(uid, files), home);
  });
}

async function rootWith(context: TestContext, make: (etc: string) => Promise<void>): Promise<AccountFiles> {
  const root = await mkdtemp(join(tmpdir(), 'yadokari-accounts-'));
  context.after(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, 'etc'));
  await make(join(root, 'etc'));
  return accountFiles(bytesFromText(root));
}

test('accountFiles() follows links inside the root and nowhere else', async (context) => {
  const here = await rootWith(context, async (etc) => {
    await writeFile(join(etc, 'real'), 'inside:x:1:2::/:\n');
    await symlink('/etc/real', join(etc, 'passwd'));
    await symlink('../../../../../../etc/group', join(etc, 'group'));
  });
  assert.equal(here.passwd(), 'inside:x:1:2::/:\n');
  assert.throws(() => here.group(), /Cannot read \/etc\/group of the image/);
});

test('accountFiles() takes an absent file for an empty one', async (context) => {
  const here = await rootWith(context, () => Promise.resolve());
  assert.equal(here.passwd(), '');
  assert.throws(() => resolveUser('app', here), /Cannot find user/);
  assert.deepEqual(resolveUser('', here), { uid: 0, gid: 0, groups: [0] });
});

const hostile: readonly (readonly [what: string, make: (etc: string) => Promise<void>])[] = [
  ['a pipe', (etc) => Promise.resolve(void execFileSync('mkfifo', [join(etc, 'passwd')]))],
  ['a folder', (etc) => mkdir(join(etc, 'passwd'))],
  [
    'a file of 2 GiB',
    async (etc) => {
      await writeFile(join(etc, 'passwd'), '');
      await truncate(join(etc, 'passwd'), 2 ** 31);
    },
  ],
  ['a link to itself', (etc) => symlink('passwd', join(etc, 'passwd'))],
];
for (const [what, make] of hostile) {
  test(`accountFiles() refuses ${what} at once`, async (context) => {
    const here = await rootWith(context, make);
    const started = performance.now();
    assert.throws(() => here.passwd(), /Cannot read \/etc\/passwd of the image/);
    assert.ok(performance.now() - started < 2000);
  });
}
