// Contexts from folders, archives and URLs; archives that want out.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { bytesFromText } from '../../../src/bytes.ts';
import { applyIgnoreFile } from '../../../src/context/ignore-file.ts';
import { tellingRefusals } from '../../../src/context/refused-files.ts';
import { type ContextOptions, openContext } from '../../../src/context/source.ts';
import { isGitContext, isGitSource, isUrlSource } from '../../../src/context/source-word.ts';
import { RegistryError } from '../../../src/errors.ts';
import type { BuildEvent } from '../../../src/events.ts';
import { diskView } from '../../../src/files/disk-view.ts';
import { tarArchive } from '../../support/tar-writer.ts';

class Place {
  readonly folder = mkdtempSync(join(tmpdir(), 'yadokari-context-'));
  readonly events: BuildEvent[] = [];

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  write(path: string, content: string | Buffer = ''): string {
    const file = join(this.folder, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, content);
    return file;
  }

  options(changes: Partial<ContextOptions> = {}): ContextOptions {
    return {
      workingDirectory: this.folder,
      privateFolder: join(this.folder, 'private'),
      git: new Map(),
      download: async () => Promise.reject(new Error('nothing to download')),
      emit: (event) => this.events.push(event),
      signal: new AbortController().signal,
      ...changes,
    };
  }
}

const members = [
  { name: './', type: 'dir' },
  { name: './Dockerfile', content: 'FROM scratch\n', mode: 0o640, uid: 1234, mtime: 1_000_000 },
  { name: './d/', type: 'dir', mode: 0o555, mtime: 2_000_000 },
  { name: './d/l', type: 'symlink', linkname: '/etc/passwd' },
  { name: './d/h', type: 'hardlink', linkname: './Dockerfile', mode: 0o640 },
  { name: '/abs/f', content: 'x' },
] as const;

for (const [title, archive] of [
  ['plain', tarArchive(members)],
  ['gzip', gzipSync(tarArchive(members))],
  ['zstd', zstdCompressSync(tarArchive(members))],
] as const) {
  test(`openContext() unpacks tar://FILE, ${title}, and removes it when closed`, async () => {
    using place = new Place();
    place.write('c.tar', archive);
    const context = await openContext('tar://c.tar', place.options());
    const { folder } = context;
    assert.deepEqual(readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted(), [
      'Dockerfile',
      'abs',
      'abs/f',
      'd',
      'd/h',
      'd/l',
    ]);
    const file = lstatSync(join(folder, 'Dockerfile'));
    assert.deepEqual([file.mode & 0o7777, file.mtimeMs, file.nlink], [0o640, 1_000_000_000, 2]);
    const directory = lstatSync(join(folder, 'd'));
    assert.deepEqual([directory.mode & 0o7777, directory.mtimeMs], [0o555, 2_000_000_000]);
    assert.equal(context.tree.files.folder, folder);
    await context.close();
    assert.deepEqual(readdirSync(join(place.folder, 'private')), []);
  });
}

test('openContext() unpacks tar://stdin', () => {
  using place = new Place();
  const program = `
    import { openContext } from '${join(import.meta.dirname, '../../../src/context/source.ts')}';
    const options = { workingDirectory: '/', privateFolder: process.argv[1], git: new Map(), emit: () => {}, signal: new AbortController().signal };
    const { folder } = await openContext('tar://stdin', options);
    console.log((await import('node:fs')).readFileSync(folder + '/Dockerfile', 'utf8'));`;
  const run = (input: Buffer): ReturnType<typeof spawnSync> =>
    spawnSync(process.execPath, ['--input-type=module', '-e', program, place.folder], { input, encoding: 'utf8' });
  assert.equal(run(tarArchive(members)).stdout, 'FROM scratch\n\n');
  assert.match(String(run(gzipSync(tarArchive(members)).subarray(0, 100)).stderr), /Cannot unpack context tar:\/\/stdin/);
  assert.match(
    String(run(Buffer.from('PK\x03\x04\x14\0zip', 'latin1')).stderr),
    /Cannot unpack context tar:\/\/stdin: it is a zip archive/,
  );
  assert.match(String(run(Buffer.alloc(0)).stderr), /it is not a tar archive, or an empty one/);
});

test('openContext() downloads and unpacks an archive by URL, and hides what is secret in it', async () => {
  using place = new Place();
  const asked: string[] = [];
  const download: ContextOptions['download'] = async (url) => {
    asked.push(url.href);
    return {
      body: (async function* () {
        yield gzipSync(tarArchive(members));
      })(),
    };
  };
  const context = await openContext('https://user:pw@example.org/c.tar.gz?sig=hush', place.options({ download, subPath: 'abs' }));
  assert.deepEqual(readdirSync(context.folder), ['f']);
  assert.deepEqual(asked, ['https://user:pw@example.org/c.tar.gz?sig=hush']);
});

test('openContext() takes a text by URL for a Dockerfile without a context, and a page for none', async () => {
  using place = new Place();
  const download = (text: string): Pick<ContextOptions, 'download'> => ({
    download: async () => await Promise.resolve({ body: Readable.from([Buffer.from(text)]) }),
  });
  const context = await openContext('http://h.test/Dockerfile', place.options(download('FROM scratch\n')));
  assert.equal(readFileSync(join(context.folder, 'Dockerfile'), 'utf8'), 'FROM scratch\n');
  await context.close();
  const page = openContext('https://user:pw@h.test/c?sig=hush', place.options(download('\n<!doctype html>')));
  await assert.rejects(page, { message: 'Cannot open context https://h.test/c: it is neither a tar archive nor a Dockerfile' });
});

for (const [title, entry, pattern] of [
  ['..', { name: '../outside.txt', content: 'x' }, /"\.\.\/outside\.txt" leads out/],
  ['.. inside', { name: 'a/../../outside.txt', content: 'x' }, /leads out/],
  ['. and ..', { name: './../outside.txt', content: 'x' }, /leads out/],
  ['a symlink as parent', { name: 'link/f', content: 'x' }, /"link\/f" lies below a symbolic link/],
  ['a file as parent', { name: 'file/f', content: 'x' }, /lies below what is not a directory/],
  ['a hard link out', { name: 'h', type: 'hardlink', linkname: '../outside.txt' }, /"h" is a hard link that leads out/],
  [
    'a hard link through a symlink',
    { name: 'h', type: 'hardlink', linkname: 'link/outside.txt' },
    /is a hard link to "link\/outside\.txt", which lies below a symbolic link/,
  ],
  ['a file over a directory', { name: 'dir', content: 'x' }, /would replace a directory/],
] as const) {
  test(`openContext() refuses an archive with ${title}, and nothing outside changes`, async () => {
    using place = new Place();
    const canary = place.write('outside.txt', 'intact');
    const first = [
      { name: 'link', type: 'symlink', linkname: place.folder },
      { name: 'file', content: '' },
      { name: 'dir/', type: 'dir' },
    ] as const;
    place.write('evil.tar', tarArchive([...first, entry]));
    await assert.rejects(openContext('tar://evil.tar', place.options()), { code: 'ERR_CONTEXT', message: pattern });
    assert.equal(readFileSync(canary, 'utf8'), 'intact');
    assert.equal(lstatSync(canary).nlink, 1);
    assert.deepEqual(readdirSync(place.folder).toSorted(), ['evil.tar', 'outside.txt', 'private']);
  });
}

test('openContext() writes a file in place of a link of the same name, not through it', async () => {
  using place = new Place();
  const canary = place.write('outside.txt', 'intact');
  place.write(
    'c.tar',
    tarArchive([
      { name: 'l', type: 'symlink', linkname: canary },
      { name: 'l', content: 'new' },
    ]),
  );
  const { folder } = await openContext('tar://c.tar', place.options());
  assert.equal(readFileSync(canary, 'utf8'), 'intact');
  assert.equal(lstatSync(join(folder, 'l')).isFile(), true);
});

test('openContext() makes a hard link whose target comes later in the archive, and refuses one to nothing', async () => {
  using place = new Place();
  const link = { name: 'd/h', type: 'hardlink', linkname: 'f' } as const;
  place.write('c.tar', tarArchive([link, { name: 'f', content: 'x' }]));
  const { folder } = await openContext('tar://c.tar', place.options());
  assert.deepEqual([readFileSync(join(folder, 'd/h'), 'utf8'), lstatSync(join(folder, 'f')).nlink], ['x', 2]);
  place.write('e.tar', tarArchive([link]));
  await assert.rejects(openContext('tar://e.tar', place.options()), /entry "d\/h" is a hard link to "f", which does not exist/);
});

test('openContext() leaves device nodes and FIFOs out with a warning', async () => {
  using place = new Place();
  place.write('c.tar', tarArchive([{ name: 'p', type: 'fifo' }, { name: 'f' }]));
  const { folder } = await openContext('tar://c.tar', place.options());
  assert.deepEqual(readdirSync(folder), ['f']);
  assert.ok(place.events.some((event) => event.kind === 'warning' && event.code === 'context-nodes'));
});

test('openContext() opens folders as they are, with their .dockerignore, and does not remove them', async () => {
  using place = new Place();
  place.write('c/sub/.dockerignore', 'secret\n');
  for (const text of ['c/sub', 'dir://c/sub', `dir://${place.folder}/c/sub/`, `${place.folder}/c/sub`]) {
    const context = await openContext(text, place.options());
    assert.equal(context.folder, join(place.folder, 'c/sub'));
    assert.equal(context.tree.ignore?.rules[0]?.pattern, 'secret');
    await context.close();
  }
  const context = await openContext('c', place.options({ subPath: '/sub/' }));
  assert.equal(context.folder, join(place.folder, 'c/sub'));
});

test('openContext() applies no .dockerignore of an archive, as BuildKit does not, and says so; the one asked for it does', async () => {
  using place = new Place();
  place.write(
    'c.tar',
    tarArchive([{ name: 'f' }, { name: '.dockerignore', content: 'f\n' }, { name: 'Dockerfile.dockerignore', content: 'f\n' }]),
  );
  const { tree, folder } = await openContext('tar://c.tar', place.options());
  assert.equal(applyIgnoreFile(tree, { dockerfilePath: join(folder, 'Dockerfile') }).ignore, undefined);
  assert.ok(place.events.some((event) => event.kind === 'warning' && event.code === 'context-ignore'));
  const ignoreFile = place.write('asked', 'asked');
  assert.equal(applyIgnoreFile(tree, { ignoreFile }).ignore?.rules[0]?.pattern, 'asked');
});

test('openContext() applies the .dockerignore of an archive where kaniko would, and says so', async () => {
  using place = new Place();
  place.write('c.tar', tarArchive([{ name: 'f' }, { name: '.dockerignore', content: 'f\n' }]));
  const { tree } = await openContext('tar://c.tar', place.options({ appliesUnpackedRules: true }));
  assert.equal(tree.ignore?.rules[0]?.pattern, 'f');
  const told = place.events.flatMap((event) => (event.kind === 'note' ? [event.message] : []));
  assert.match(told.join('\n'), /\.dockerignore is applied, as kaniko does/);
});

test('openContext() takes dir://x for /x where there is no x here, and says so', async () => {
  using place = new Place();
  const name = place.folder.slice(1);
  const context = await openContext(`dir://${name}`, place.options());
  assert.equal(context.folder, place.folder);
  assert.ok(place.events.some((event) => event.kind === 'warning' && event.message.includes(`dir:///${name}`)));
});

for (const [text, changes, pattern] of [
  ['nowhere', {}, /Cannot open context nowhere: .*\/nowhere does not exist/],
  ['file', {}, /is not a folder/],
  ['tar://nowhere', {}, /does not exist/],
  ['tar://folder', {}, /is a folder, not an archive/],
  ['folder', { subPath: 'no' }, /its folder 'no' does not exist/],
  ['.', { subPath: 'file' }, /its folder 'file' is not a folder/],
  ['.', { subPath: 'out' }, /its folder 'out' does not exist/],
  ['ftp://host/key', {}, /contexts of ftp:\/\/ are not supported/],
  ['git://example.org/x.git', {}, /git repositories can't be read/],
  ['git://u:p@w@example.org/x.git', {}, /context git:\/\/example.org\/x.git: git repositories can't be read/],
  ['', {}, /its name is empty/],
] as const) {
  test(`openContext() of '${text}' ${JSON.stringify(changes)} fails with a clear line`, async () => {
    using place = new Place();
    place.write('file');
    mkdirSync(join(place.folder, 'folder'));
    symlinkSync('/usr', join(place.folder, 'out'));
    await assert.rejects(openContext(text, place.options(changes)), pattern);
  });
}

test('openContext() hands a repository over and takes the folder it gets', async () => {
  using place = new Place();
  place.write('repo/f');
  const openGit: ContextOptions['openGit'] = async (repository, settings, folder) => {
    assert.deepEqual(
      [repository, settings.get('depth'), folder.startsWith(join(place.folder, 'private'))],
      ['github.com/a/b#main', '1', true],
    );
    return { folder: join(place.folder, 'repo'), timeSeconds: 5 };
  };
  const context = await openContext('github.com/a/b#main', place.options({ openGit, git: new Map([['depth', '1']]) }));
  assert.deepEqual([readdirSync(context.folder), context.tree.timeSeconds], [['f'], 5]);
});

test('openContext() hides the builder from a context that holds it, and not one that lies in it', async () => {
  using place = new Place();
  place.write('builder/config.json');
  place.write('builder/context/f');
  const privateFolder = join(place.folder, 'builder');
  const around = await openContext('.', place.options({ privateFolder }));
  assert.deepEqual(
    ['builder', 'builder/config.json', 'other', 'builders'].map((path) => around.tree.hides?.(bytesFromText(path))),
    [true, true, false, false],
  );
  const within = await openContext('builder/context', place.options({ privateFolder }));
  assert.equal(within.tree.hides, undefined);
});

test('applyIgnoreFile() takes the file asked for, then the one of the Dockerfile, then .dockerignore', () => {
  using place = new Place();
  place.write('c/.dockerignore', 'default');
  place.write('c/app.Dockerfile.dockerignore', 'app');
  place.write('asked', 'asked');
  place.write('other/Dockerfile.dockerignore', 'outside');
  const tree = { files: diskView(bytesFromText(join(place.folder, 'c'))), label: 'c', keepsOwners: false };
  const at = (path: string): string => join(place.folder, path);
  const pattern = (choice: Parameters<typeof applyIgnoreFile>[1]): string | undefined =>
    applyIgnoreFile(tree, choice).ignore?.rules[0]?.pattern;
  assert.equal(pattern({}), 'default');
  assert.equal(pattern({ dockerfilePath: at('c/Dockerfile') }), 'default');
  assert.equal(pattern({ dockerfilePath: at('c/app.Dockerfile') }), 'app');
  assert.equal(pattern({ dockerfilePath: at('other/Dockerfile') }), 'outside');
  assert.equal(pattern({ dockerfilePath: at('c/app.Dockerfile'), ignoreFile: at('asked') }), 'asked');
  assert.throws(() => pattern({ ignoreFile: at('missing') }), /missing: it does not exist/);
});

test('applyIgnoreFile() never shows a file outside of the context through a link', () => {
  using place = new Place();
  const secret = place.write('secret', '[canary');
  place.write('c/f');
  symlinkSync(secret, join(place.folder, 'c/.dockerignore'));
  const tree = { files: diskView(bytesFromText(join(place.folder, 'c'))), label: 'c', keepsOwners: false };
  assert.throws(
    () => applyIgnoreFile(tree, {}),
    (error: Error) => /link to what is not in the context/.test(error.message) && !error.message.includes('canary'),
  );
});

test('words that name repositories and URLs are told apart from files', () => {
  const git = [
    'git@example.org:a/b',
    'https://example.org/a.git',
    'https://example.org/a.git#main:sub',
    'http://example.org/a.git?tag=v1',
    'ssh://git@h/x',
    'git://h/x',
  ];
  for (const word of git) assert.deepEqual([isGitSource(word), isUrlSource(word)], [true, false], word);
  for (const word of ['https://example.org/a', 'http://example.org/a.git/x', 'https://example.org/?x=a.git'])
    assert.deepEqual([isGitSource(word), isUrlSource(word)], [false, true], word);
  for (const word of ['./x', 'a.git', 'github.com/a/b', 'a:b', 'file'])
    assert.deepEqual([isGitSource(word), isUrlSource(word)], [false, false], word);
  assert.equal(isGitContext('github.com/a/b'), true);
});

test('tellingRefusals() names a file that is closed to us, and passes on what else goes wrong', () => {
  const failing = (code: string) => (): never => {
    throw Object.assign(new Error(`${code}: open`), { code });
  };
  const files = diskView(bytesFromText(tmpdir()));
  const open = (code: string) => (): unknown =>
    tellingRefusals({ ...files, open: failing(code) }, 'the build context').open(bytesFromText('a/keys'));
  assert.throws(open('EACCES'), { code: 'ERR_CONTEXT', message: "Cannot read 'a/keys' in the build context: permission denied" });
  assert.throws(open('ENOENT'), { code: 'ENOENT' });
});

test('openContext() says which context a host could not be reached for', async () => {
  using place = new Place();
  const failure = new RegistryError('Cannot reach h.test: connection refused', { method: 'GET', url: 'https://h.test/' }, { hint: 'try' });
  const download: ContextOptions['download'] = async () => await Promise.reject(failure);
  await assert.rejects(openContext('https://user:pw@h.test/c.tar.gz?sig=hush', place.options({ download })), {
    code: 'ERR_CONTEXT',
    message: 'Cannot open context https://h.test/c.tar.gz: can not reach h.test: connection refused',
    hint: 'try',
  });
});
