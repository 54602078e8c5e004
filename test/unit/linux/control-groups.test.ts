// Version 2 of control groups, as files: the kernels that tests run on have memory and pids in version 1 alone. What a kernel refuses (a
// group with processes hands no controller down, and that of somebody else is not ours) is a directory in the place of the file.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BuilderError } from '../../../src/errors.ts';
import { type GroupTree, makeLimitedGroups } from '../../../src/linux/control-groups.ts';
import { temporaryFolder } from '../../support/tree.ts';

/** A tree with `/session/app` in it, where we are: by group what it hands down, `undefined` where it can't. */
function unified(context: TestContext, handsDown: { readonly [Group in '/' | '/session' | '/session/app']?: string }): GroupTree {
  const mountPoint = temporaryFolder(context);
  mkdirSync(join(mountPoint, 'session/app'), { recursive: true });
  writeFileSync(join(mountPoint, 'cgroup.controllers'), 'cpu memory pids\n');
  for (const group of ['/', '/session', '/session/app'] as const) {
    const control = join(mountPoint, group, 'cgroup.subtree_control');
    const text = handsDown[group];
    if (text === undefined) mkdirSync(control);
    else writeFileSync(control, text);
  }
  const own = join(mountPoint, 'self');
  writeFileSync(own, '1:name=systemd:/elsewhere\n0::/session/app\n');
  return { mountPoint, own };
}

const both = { memoryBytes: 64 * 1024 * 1024, pids: 20 };

test('limits are those of a new group below the nearest one that hands the controllers down, and go with it', async (context) => {
  const tree = unified(context, { '/': '', '/session': 'memory pids\n' });
  const group = join(tree.mountPoint, 'session/mine');
  const { doors, remove } = makeLimitedGroups('mine', both, tree);
  assert.equal(readFileSync(join(group, 'memory.max'), 'utf8'), '67108864');
  // Who starts the command goes through the group, too: the limit on processes comes when he has left.
  assert.equal(readFileSync(join(group, 'pids.max'), 'utf8'), 'max');
  assert.deepEqual(doors, [
    {
      enter: join(group, 'cgroup.procs'),
      leave: join(tree.mountPoint, 'session/app/cgroup.procs'),
      late: { file: join(group, 'pids.max'), value: 20 },
    },
  ]);
  assert.equal(readFileSync(join(tree.mountPoint, 'session/cgroup.subtree_control'), 'utf8'), 'memory pids\n', 'nothing was asked for');
  // The kernel's files go with their group.
  for (const file of readdirSync(group)) rmSync(join(group, file));
  await remove();
  assert.equal(existsSync(group), false);
});

test('a controller that a group does not hand down yet is asked for, that one alone', (context) => {
  const tree = unified(context, { '/session': 'cpu pids\n' });
  makeLimitedGroups('mine', both, tree);
  assert.equal(readFileSync(join(tree.mountPoint, 'session/cgroup.subtree_control'), 'utf8'), '+memory');
});

test('where no group up to the root hands a controller down, the flags are refused by name, and nothing is left', (context) => {
  const tree = unified(context, {});
  assert.throws(
    () => makeLimitedGroups('mine', both, tree),
    (error) =>
      error instanceof BuilderError &&
      error.code === 'ERR_UNSUPPORTED' &&
      error.message.startsWith('Cannot honour --memory and --pids-limit: no control group can be had here: '),
  );
  for (const group of ['', 'session', 'session/app']) assert.equal(existsSync(join(tree.mountPoint, group, 'mine')), false);
});
