// Mounts that a RUN takes along with a folder, in a mount namespace of the test's own.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../support/tree.ts';

const source = join(import.meta.dirname, '../../../src');
const ownMounts = ['unshare', '--mount', '--propagation', 'private'] as const;
const skip = spawnSync(ownMounts[0], [...ownMounts.slice(1), 'true']).status === 0 ? false : 'mount namespaces need root';

const script = `
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync } from 'node:fs';
const { ProtectedPlaces } = await import('${source}/rootfs/protected-places.ts');
const run = (...argv) => execFileSync(argv[0], argv.slice(1));
const folder = process.argv[1];
for (const path of ['root/a/vol', 'gone', 'come']) mkdirSync(folder + '/' + path, { recursive: true });
const mount = (path) => run('mount', '-t', 'tmpfs', 'none', folder + '/' + path);
mount('root/a/vol');
mount('gone');
const places = new ProtectedPlaces(folder + '/root', []);
// The lowest id that is free, unless another program on this machine was faster.
run('umount', folder + '/gone');
mount('come');
const elsewhere = places.follow();
renameSync(folder + '/root/a', folder + '/root/b');
const moved = places.follow().map(({ from, to }) => [from, to].map((path) => path.slice(folder.length)));
console.log(JSON.stringify({ elsewhere, moved, paths: places.paths }));
`;

test('a mount of the root is found where a RUN took it, and one elsewhere that got the id of another is none', { skip }, (context) => {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
  const { stdout, stderr } = spawnSync(ownMounts[0], [...ownMounts.slice(1), ...node, temporaryFolder(context)], { encoding: 'utf8' });
  assert.notEqual(stdout, '', stderr);
  assert.deepEqual(JSON.parse(stdout), { elsewhere: [], moved: [['/root/a/vol', '/root/b/vol']], paths: ['b/vol'] });
});
