import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { readDockerfile } from '../../../src/build/dockerfile-file.ts';

const noInput = (): Promise<Buffer> => Promise.reject(new Error('standard input was read'));

describe('readDockerfile()', () => {
  let folder = '';
  let context = '';
  beforeEach(() => {
    folder = realpathSync(mkdtempSync('/tmp/yadokari-dockerfile-'));
    context = join(folder, 'context');
    mkdirSync(join(context, 'docker'), { recursive: true });
    writeFileSync(join(folder, 'private'), 'root:secret-line\n');
    writeFileSync(join(context, 'docker/file'), 'FROM scratch\n');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const read = async (name: string, workingDirectory = '/'): Promise<string> =>
    (await readDockerfile(name, { workingDirectory, contextFolder: context }, { standardInput: noInput })).text.toString();

  const escapes: readonly (readonly [name: string, target: string])[] = [
    ['a relative link', '../private'],
    ['an absolute link', '/etc/passwd'],
    ['a link to a link', 'second'],
  ];
  for (const [name, target] of escapes) {
    test(`refuses ${name} that leads out of the context, from wherever it is called`, async () => {
      symlinkSync(target, join(context, 'Dockerfile'));
      symlinkSync(join(folder, 'private'), join(context, 'second'));
      const refusal = { code: 'ERR_CONTEXT', message: /symbolic link to what is not in the context/ };
      await assert.rejects(read('Dockerfile'), refusal);
      await assert.rejects(read('Dockerfile', context), refusal);
      await assert.rejects(read(join(context, 'Dockerfile')), refusal);
      symlinkSync(context, join(folder, 'alias'));
      const places = { workingDirectory: context, contextFolder: join(folder, 'alias') };
      await assert.rejects(readDockerfile('Dockerfile', places, { standardInput: noInput }), refusal);
    });
  }

  test('follows links that stay in the context, which is their root', async () => {
    symlinkSync('docker/file', join(context, 'Dockerfile'));
    symlinkSync('/docker/file', join(context, 'second'));
    assert.equal(await read('Dockerfile', context), 'FROM scratch\n');
    assert.equal(await read('second'), 'FROM scratch\n');
  });

  test('reads a file outside of the context that was asked for by its own path', async () => {
    symlinkSync('private', join(folder, 'link'));
    assert.equal(await read(join(folder, 'link')), 'root:secret-line\n');
  });

  test('says where the one of the working directory hides another in the context', async () => {
    const look = async (): Promise<true | undefined> =>
      (await readDockerfile('Dockerfile', { workingDirectory: folder, contextFolder: context }, { standardInput: noInput })).isOther;
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\n');
    assert.equal(await look(), undefined);
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\n');
    assert.equal(await look(), undefined, 'the same text is the same');
    writeFileSync(join(context, 'Dockerfile'), 'FROM other\n');
    assert.equal(await look(), true);
  });

  test('names all places when there is none', async () => {
    await assert.rejects(read('Dockerfile', folder), { message: new RegExp(`looked for ${folder}/Dockerfile and ${context}/Dockerfile`) });
  });
});

describe('readDockerfile() of a URL', () => {
  const places = { workingDirectory: '/', contextFolder: '/' };
  const read = async (name: string, chunks: readonly Buffer[]) =>
    await readDockerfile(name, places, { standardInput: async () => Buffer.alloc(0), download: async () => Readable.from(chunks) });

  test('fetches it, and names it without its query, which may hold a secret', async () => {
    const file = await read('https://files.example/a/Dockerfile?sig=secret', [Buffer.from('FROM '), Buffer.from('scratch\n')]);
    assert.deepEqual([file.name, file.text.toString(), file.path], ['https://files.example/a/Dockerfile', 'FROM scratch\n', undefined]);
  });

  test('stops where it has no end', async () => {
    const chunks = Array.from({ length: 20 }, () => Buffer.alloc(1024 * 1024));
    await assert.rejects(read('http://files.example/Dockerfile', chunks), {
      code: 'ERR_CONTEXT',
      message: /it has more than 16777216 bytes$/,
    });
  });

  test('says so where nothing is fetched', async () => {
    const reading = readDockerfile('https://files.example/Dockerfile', places, { standardInput: async () => Buffer.alloc(0) });
    await assert.rejects(reading, { code: 'ERR_UNSUPPORTED', hint: 'download it first' });
  });
});
