import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { watchMounts } from '../../../src/surroundings/mount-watch.ts';
import { temporaryFolder } from '../../support/tree.ts';

/** What is told of a command that does `act` in a root with these folders mounted, of which `known` is the builder's to use. */
function told(context: TestContext, text: string, act: (root: string) => void, known: readonly string[] = []): readonly string[] {
  const root = temporaryFolder(context);
  const folders = ['artifacts', 'shared', 'tmp', 'dev/shm', 'workspace/source'];
  for (const folder of [...folders, 'job']) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'artifacts/old'), 'old');
  const mounts = folders.map((folder) => ({ id: 0, target: bytesFromText(join(root, folder)), isReadOnly: folder === 'shared' }));
  const messages: string[] = [];
  const watch = watchMounts(mounts, [bytesFromText('job')], {
    rootPath: root,
    known: known.map((path) => join(root, path)),
    emit: (event) => void (event.kind === 'warning' && messages.push(event.message)),
  });
  for (const _round of [1, 2]) {
    watch.before();
    act(root);
    watch.after(text, undefined);
  }
  return messages.map((message) => message.slice(0, message.indexOf(':')));
}

const isMounted = ['/artifacts is mounted into this container'];

test('a RUN that makes, changes or removes something in a mount is told once that it is not in the image', (context) => {
  assert.deepEqual(
    told(context, 'make install', (root) => writeFileSync(join(root, 'artifacts/new'), 'x')),
    isMounted,
  );
  assert.deepEqual(
    told(context, 'echo more >> /artifacts/old', (root) => writeFileSync(join(root, 'artifacts/old'), 'x')),
    isMounted,
  );
});

test('a mount that commands have for their cache is told no more', (context) => {
  const root = temporaryFolder(context);
  mkdirSync(join(root, 'cache'));
  const mounts = [{ id: 0, target: bytesFromText(join(root, 'cache')), isReadOnly: false }];
  const watch = watchMounts(mounts, [], { rootPath: root, known: [], emit: () => assert.fail() });
  watch.leave(join(root, 'cache'));
  watch.before();
  writeFileSync(join(root, 'cache/new'), 'x');
  watch.after('make', undefined);
});

test('mkdir -p of a mount changes nothing, and is told all the same', (context) => {
  const nothing = (): void => undefined;
  for (const text of [
    'mkdir -p /artifacts',
    '/bin/sh -c set -e; mkdir -p /opt /artifacts/ && cd /artifacts',
    'install -d -m 755 /artifacts/bin',
  ])
    assert.deepEqual(told(context, text, nothing), isMounted, text);
  for (const text of ['cp /artifacts/old /opt/', 'mkdir -p /artifacts-of-mine /opt/artifacts', 'mkdir /x; ls /artifacts'])
    assert.deepEqual(told(context, text, nothing), [], text);
});

test('what changes in a read-only mount is not the doing of a RUN, and nothing can be made there', (context) => {
  const act = (root: string): void => writeFileSync(join(root, 'shared/x'), `${Math.random()}`);
  assert.deepEqual(told(context, 'make', act), []);
  assert.deepEqual(told(context, 'mkdir -p /shared', act), ['/shared is mounted into this container']);
});

test("what is temporary, an engine's own, or the builder's to use is told of nobody", (context) => {
  const act = (root: string): void => {
    for (const path of ['tmp/x', 'dev/shm/x', 'workspace/source/x']) writeFileSync(join(root, path), `${Math.random()}`);
  };
  assert.deepEqual(told(context, 'make', act, ['workspace/source']), []);
  assert.deepEqual(told(context, 'make', act, ['workspace']), []);
});

test('a RUN that writes to a folder that the job made before the build is told the same', (context) => {
  assert.deepEqual(
    told(context, 'make', (root) => writeFileSync(join(root, 'job/new'), 'x')),
    ["/job is this container's own, and was there before"],
  );
});
