import assert from 'node:assert/strict';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { appFiles, debugFiles, runtimeFiles } from '../../scripts/image-files.ts';
import { hasIsal } from '../../src/linux/isal.ts';

const root = join(import.meta.dirname, '../..');
const files = await appFiles(root);
const byPath = new Map(files.map((file) => [file.path, file]));

function bytesOf(path: string): Buffer {
  const content = byPath.get(path)?.content;
  return content?.kind === 'file' ? content.bytes : Buffer.alloc(0);
}

test('the image has the builder as bundles without types, which load nothing from anywhere else', () => {
  const names = files.flatMap(({ path }) => /^kaniko\/app\/(.*\.js)$/.exec(path)?.[1] ?? []);
  assert.ok(names.includes('main.js') && names.includes('run-thread.bundle.js'), names.join(' '));
  const loaded = names.flatMap((name) => [
    ...bytesOf(`kaniko/app/${name}`)
      .toString()
      .matchAll(/\brequire[2-9]?\("([^"]+)"\)/g),
  ]);
  const foreign = new Set(
    loaded.map((match) => match[1] ?? '').filter((name) => !isBuiltin(name) && !byPath.has(join('kaniko/app', name))),
  );
  assert.deepEqual([...foreign], []);
  assert.match(bytesOf('kaniko/app/main.bundle.js').toString(), /BuilderError=class/);
});

test('a bundle is all ASCII, as its loader reads it', () => {
  assert.ok(bytesOf('kaniko/app/main.bundle.js').every((byte) => byte < 128));
  assert.match(bytesOf('kaniko/app/main.bundle.js').toString(), /\|\\u00b5s\|/, 'also what it looks for: µs');
});

test('every folder of the image comes before what is in it', () => {
  const seen = new Set(['.']);
  for (const { path, content } of files) {
    assert.ok(seen.has(join(path, '..')), path);
    if (content.kind === 'directory') seen.add(path);
  }
});

test('the image says the terms of every package that is in it, and has one native library for them', () => {
  const terms = bytesOf('kaniko/app/licences.txt').toString();
  for (const name of ['undici', 'tar-stream', 'minimatch', 'pino', 'koffi', 'dockerfile-ast', 'ssh2', 'yaml'])
    assert.match(terms, new RegExp(`^${name} \\d.*: `, 'm'), name);
  assert.doesNotMatch(terms, /^(?:typescript|esbuild) \d/m);
  assert.equal(files.filter((file) => file.path.endsWith('.node')).length, 1);
});

test('Node and what it needs are in the image once each, other libraries with their licences', () => {
  const paths = runtimeFiles().map(({ path }) => path);
  assert.deepEqual(
    paths.filter((path, index) => paths.indexOf(path) !== index),
    [],
  );
  const others = ['libisal.so.2', 'liblzma.so.5', 'libbz2.so.1.0'].filter((name) => paths.includes(`kaniko/lib/${name}`));
  assert.deepEqual(
    paths.filter((path) => path.endsWith('.copyright')),
    others.map((name) => `kaniko/lib/${name}.copyright`),
  );
  if (hasIsal()) assert.equal(others.length, 3);
});

test('debugFiles() refuses a shell that needs libraries of the root', () => {
  assert.throws(() => debugFiles(process.execPath), /not a static program/);
});
