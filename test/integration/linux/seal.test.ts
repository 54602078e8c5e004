import assert from 'node:assert/strict';
import { chmod, lstat, mkdir, mkdtemp, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { hideFiles } from '../../../src/linux/hidden-files.ts';
import { sealFolder, sealWith } from '../../../src/linux/seal.ts';

async function folder(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'yadokari-seal-'));
  context.after(() => rm(path, { recursive: true, force: true }));
  await mkdir(join(path, 'app/lib'), { recursive: true });
  await writeFile(join(path, 'app/main.js'), 'main');
  await writeFile(join(path, 'app/lib/a.so'), 'lib');
  await symlink('main.js', join(path, 'app/link'));
  await writeFile(join(path, 'config.json'), '{"auths":{}}', { mode: 0o600 });
  return path;
}

const attacks: readonly (readonly [what: string, path: string, attack: (path: string) => Promise<void>])[] = [
  [
    'a file is overwritten in place with its old times',
    'app/main.js',
    async (path) => {
      const { atime, mtime } = await lstat(join(path, 'app/main.js'));
      await writeFile(join(path, 'app/main.js'), 'evil');
      await utimes(join(path, 'app/main.js'), atime, mtime);
    },
  ],
  [
    'a file is replaced by another',
    'app/lib/a.so',
    async (path) => {
      await writeFile(join(path, 'new'), 'lib');
      await rename(join(path, 'new'), join(path, 'app/lib/a.so'));
    },
  ],
  ['a mode is changed', 'app/main.js', (path) => chmod(join(path, 'app/main.js'), 0o777)],
  ['a file is removed', 'app/link', (path) => rm(join(path, 'app/link'))],
  ['a file is added', 'app/lib', (path) => writeFile(join(path, 'app/lib/libnss_evil.so.2'), '')],
  [
    'a link leads elsewhere',
    'app/link',
    async (path) => {
      await rm(join(path, 'app/link'));
      await symlink('/tmp/evil', join(path, 'app/link'));
    },
  ],
];

for (const [what, , attack] of attacks) {
  test(`sealFolder() notices that ${what}`, async (context) => {
    const path = await folder(context);
    const verify = sealFolder(bytesFromText(join(path, 'app')));
    verify();
    await attack(path);
    assert.throws(
      verify,
      (error) => error instanceof Error && 'code' in error && error.code === 'ERR_TAMPERED' && error.message.includes(join(path, 'app')),
    );
  });
}

const untrue = (): boolean => false;

for (const [what, , attack] of attacks.filter(([title]) => title !== 'a file is replaced by another')) {
  test(`sealWith() notices, where times change by themselves, that ${what}`, async (context) => {
    const place = await folder(context);
    const verify = sealWith(untrue, [bytesFromText(join(place, 'app')), bytesFromText(join(place, 'config.json'))]);
    verify();
    await attack(place);
    assert.throws(verify, (error: Error & { code?: string }) => error.code === 'ERR_TAMPERED' && error.message.includes(place));
  });
}

test('sealWith() takes no time that changes by itself for a change', async (context) => {
  const place = await folder(context);
  const verify = sealWith(untrue, [bytesFromText(join(place, 'app'))]);
  await utimes(join(place, 'app/main.js'), 1, 1);
  await utimes(join(place, 'app/lib'), 1, 1);
  await chmod(join(place, 'app/lib/a.so'), (await lstat(join(place, 'app/lib/a.so'))).mode & 0o7777);
  verify();
  await writeFile(join(place, 'app/main.js'), 'evil');
  assert.throws(verify, /main\.js/);
});

test('sealFolder() says nothing about what is beside the sealed folder', async (context) => {
  const path = await folder(context);
  const verify = sealFolder(bytesFromText(join(path, 'app')));
  await writeFile(join(path, 'other'), '');
  verify();
});

test('hideFiles() takes files away and puts them back with content, mode and owner', async (context) => {
  const path = await folder(context);
  const file = join(path, 'config.json');
  const before = await lstat(file);
  const hidden = hideFiles([file, join(path, 'absent.json')]);
  await assert.rejects(readFile(file), /ENOENT/);
  assert.deepEqual(hidden.left, []);
  hidden.restore();
  hidden.restore();
  assert.equal(await readFile(file, 'utf8'), '{"auths":{}}');
  const now = await lstat(file);
  assert.deepEqual([now.mode, now.uid, now.gid], [before.mode, before.uid, before.gid]);
});

test('hideFiles() hides the file that a link leads to', async (context) => {
  const path = await folder(context);
  await symlink(join(path, 'config.json'), join(path, 'link.json'));
  const hidden = hideFiles([join(path, 'link.json')]);
  await assert.rejects(readFile(join(path, 'config.json')), /ENOENT/);
  hidden.restore();
  assert.equal(await readFile(join(path, 'link.json'), 'utf8'), '{"auths":{}}');
});

test('hideFiles() writes through nothing that a command put in the place of a file or its folder', async (context) => {
  const path = await folder(context);
  const canary = join(path, 'canary');
  await mkdir(canary);
  const first = hideFiles([join(path, 'app/link'), join(path, 'config.json')]);
  await symlink(join(canary, 'stolen'), join(path, 'config.json'));
  assert.throws(() => first.restore(), /put something else in its place/);
  assert.equal(await readFile(join(path, 'app/main.js'), 'utf8'), 'main');
  const second = hideFiles([join(path, 'app/main.js')]);
  await rename(join(path, 'app'), join(path, 'app2'));
  await symlink(canary, join(path, 'app'));
  assert.throws(() => second.restore(), /put something else in its place/);
  await assert.rejects(readFile(join(canary, 'stolen')), /ENOENT/);
  await assert.rejects(readFile(join(canary, 'main.js')), /ENOENT/);
});
