import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BuilderCode, bindsOf, sandboxPath, showCode } from '../../../src/sandbox/plan.ts';

const paths: readonly (readonly [host: string, inside: string])[] = [
  ['/home/me/app', '/kaniko/host/home/me/app'],
  ['/home/me/app/', '/kaniko/host/home/me/app'],
  ['/home//me/./app/../lib', '/kaniko/host/home/me/lib'],
  ['/', '/kaniko/host'],
  ['/..', '/kaniko/host'],
];
for (const [host, inside] of paths) {
  test(`sandboxPath() puts ${host} below the builder's folder`, () => assert.equal(sandboxPath(host), inside));
}

test('sandboxPath() refuses a relative path, whose meaning depends on the place', () => {
  assert.throws(() => sandboxPath('app'), RangeError);
});

test('bindsOf() mounts outer paths first, so that an output in the context is writable and the context is not', () => {
  const binds = bindsOf([
    { path: '/work/app/out', mode: 'rw', kind: 'folder' },
    { path: '/work/app', mode: 'ro', kind: 'folder' },
    { path: '/work/app/Dockerfile', mode: 'ro', kind: 'file' },
  ]);
  assert.deepEqual(
    binds.map((bind) => [bind.source, bind.mode]),
    [
      ['/work/app', 'ro'],
      ['/work/app/Dockerfile', 'ro'],
      ['/work/app/out', 'rw'],
    ],
  );
});

test('bindsOf() mounts a path once, writable where any use of it writes', () => {
  const binds = bindsOf([
    { path: '/work/layout', mode: 'rw', kind: 'folder' },
    { path: '/work/layout/', mode: 'ro', kind: 'folder' },
  ]);
  assert.deepEqual(
    binds.map((bind) => [bind.target, bind.mode]),
    [['/kaniko/host/work/layout', 'rw']],
  );
});

const checkout: BuilderCode = {
  nodePath: '/src/node_modules/node/bin/node',
  mainPath: '/src/src/main.ts',
  packageFolder: '/src',
  modulesFolder: '/src/node_modules',
  libraries: ['/lib/libm.so.6', '/lib64/ld-linux-x86-64.so.2'],
};

test('bindsOf() makes no copy of what is mounted anyway', () => {
  const binds = bindsOf([
    { path: '/work/config.json', mode: 'ro', kind: 'file' },
    { path: '/work/config.json', mode: 'copy', kind: 'file' },
    { path: '/work/token', mode: 'copy', kind: 'file' },
  ]);
  assert.deepEqual(
    binds.map((bind) => bind.mode),
    ['ro', 'copy'],
  );
});

test('showCode() shows the sources and packages of a checkout, nothing else of it, and nothing writable', () => {
  const { binds } = showCode(checkout);
  assert.deepEqual(
    binds.map((bind) => [bind.source, bind.target]),
    [
      ['/src/src', '/kaniko/app/src'],
      ['/src/package.json', '/kaniko/app/package.json'],
      ['/src/node_modules', '/kaniko/app/node_modules'],
      ['/src/node_modules/node/bin/node', '/kaniko/node'],
      ['/lib/libm.so.6', '/kaniko/lib/libm.so.6'],
      ['/lib64/ld-linux-x86-64.so.2', '/kaniko/lib/ld-linux-x86-64.so.2'],
    ],
  );
  assert.ok(binds.every((bind) => bind.mode === 'ro'));
});

test('showCode() starts Node through its own loader, since the new root has none', () => {
  assert.deepEqual(showCode(checkout).command, [
    '/kaniko/lib/ld-linux-x86-64.so.2',
    '--library-path',
    '/kaniko/lib',
    '/kaniko/node',
    '--disable-sigusr1',
    '/kaniko/app/src/main.ts',
  ]);
});

test('showCode() starts a Node without loader by itself, and shows a package whose main lies at its top', () => {
  const { binds, command } = showCode({ ...checkout, mainPath: '/src/main.js', libraries: [] });
  assert.deepEqual(command, ['/kaniko/node', '--disable-sigusr1', '/kaniko/app/main.js']);
  assert.deepEqual(
    binds.map((bind) => bind.target),
    ['/kaniko/app', '/kaniko/node'],
  );
});
