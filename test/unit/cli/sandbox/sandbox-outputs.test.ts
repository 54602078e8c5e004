import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { deliverOutputs, prepareOutputs } from '../../../../src/cli/sandbox/sandbox-outputs.ts';

describe('outputs of a build in the sandbox', () => {
  let folder = '';
  let earlyPush = '';
  let home = '';
  beforeEach(() => {
    folder = mkdtempSync('/tmp/yadokari-outputs-');
    [earlyPush, home] = [join(folder, 'earlyPush'), join(folder, 'home')];
    mkdirSync(earlyPush);
    mkdirSync(home);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const deliver = (...outputs: Parameters<typeof deliverOutputs>[0]) =>
    deliverOutputs(outputs, earlyPush, { tag: 'latest', signal: new AbortController().signal });
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(earlyPush, path)), { recursive: true });
    writeFileSync(join(earlyPush, path), text);
  };

  test('a file is not there before it is delivered, and then alone', async () => {
    const output = { path: join(home, 'new/digest'), kind: 'file' } as const;
    prepareOutputs([output], earlyPush);
    assert.deepEqual(readdirSync(home), []);
    writeFileSync(join(earlyPush, output.path), 'sha256:…');
    await deliver(output);
    assert.deepEqual([readFileSync(output.path, 'utf8'), readdirSync(join(home, 'new'))], ['sha256:…', ['digest']]);
  });

  test('a file replaces the one before, also where a link leads to it', async () => {
    writeFileSync(join(home, 'digest'), 'a much longer text of the build before');
    symlinkSync('digest', join(home, 'link'));
    write(join(home, 'link'), 'short');
    await deliver({ path: join(home, 'link'), kind: 'file' });
    assert.equal(readFileSync(join(home, 'digest'), 'utf8'), 'short');
  });

  test('what a build did not write is not made', async () => {
    await deliver({ path: join(home, 'digest'), kind: 'file' });
    assert.deepEqual(readdirSync(home), []);
  });

  test('links that a RUN planted on the way lead to nothing of the host', async () => {
    writeFileSync(join(home, 'private'), 'of the host');
    const output = { path: join(home, 'sub/private'), kind: 'file' } as const;
    mkdirSync(join(earlyPush, home), { recursive: true });
    symlinkSync(home, join(earlyPush, home, 'sub'));
    await assert.rejects(deliver(output), { code: 'ERR_TAMPERED' });
    write(join(home, 'x'), '');
    symlinkSync(join(home, 'private'), join(earlyPush, home, 'leaf'));
    await assert.rejects(deliver({ path: join(home, 'leaf'), kind: 'file' }), { code: 'ERR_TAMPERED' });
  });

  test('places that can take no output are named before anything starts', () => {
    writeFileSync(join(home, 'file'), '');
    const refused: readonly (readonly [path: string, kind: 'file' | 'layout', state: RegExp])[] = [
      [home, 'file', /is a directory/],
      [join(home, 'file'), 'layout', /is a file/],
      [join(home, 'file/below'), 'file', /file is not a directory/],
    ];
    for (const [path, kind, message] of refused)
      assert.throws(() => prepareOutputs([{ path, kind }], earlyPush), { code: 'ERR_USAGE', message });
  });

  test('a folder that can not be written is named', { skip: process.getuid?.() === 0 && 'root writes everywhere' }, () => {
    chmodSync(home, 0o555);
    assert.throws(() => prepareOutputs([{ path: join(home, 'x'), kind: 'file' }], earlyPush), {
      code: 'ERR_USAGE',
      message: /can not be written/,
    });
  });
});
