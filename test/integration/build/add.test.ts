// ADD between real folders, as root: archives by content, downloads from a real server, repositories from a folder.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test from 'node:test';
import { executeAdd, type GitRequest } from '../../../src/build/instructions/add.ts';
import { bytesFromText } from '../../../src/bytes.ts';
import type { Effect } from '../../../src/build/effect.ts';
import { BuilderError } from '../../../src/errors.ts';
import { diskView } from '../../../src/files/disk-view.ts';
import type { Download } from '../../../src/registry/download.ts';
import { CopyFixture, type CopyOptions, instructionOf, stateOf } from '../../support/copy-fixture.ts';
import { tarArchive } from '../../support/tar-writer.ts';
import { listen } from '../../support/listen.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root to give files away';

async function add(fixture: CopyFixture, text: string, options: CopyOptions = {}, git?: (request: GitRequest) => string): Promise<Effect> {
  return await fixture.execute(text, options, (scope) =>
    executeAdd(instructionOf('add', text, options.heredocs), stateOf(options), {
      ...scope,
      expandHeredoc: (body) => body,
      sources: async () => ({ files: diskView(bytesFromText(fixture.context)), label: 'the build context', keepsOwners: false }),
      download: fetchPlainly,
      ...(git === undefined
        ? {}
        : { git: async (request) => ({ files: diskView(bytesFromText(git(request))), label: request.repository, keepsOwners: false }) }),
    }),
  );
}

async function fetchPlainly(url: URL, signal: AbortSignal): Promise<Download> {
  const response = await fetch(url, { signal });
  if (response.status !== 200) throw new BuilderError('ERR_CONTEXT', `Cannot download ${url.href}: answered ${response.status}`);
  const body = Readable.from([Buffer.from(await response.arrayBuffer())]);
  const lastModified = response.headers.get('last-modified') ?? undefined;
  return { lastModified, sizeBytes: undefined, body };
}

const tarred = [
  'mkdir -p p/q; echo 1 > p/1; echo 2 > p/q/2; chmod 640 p/1; ln -s 1 p/l; ln p/1 p/h',
  "tar --owner=1000 --group=3000 --numeric-owner --mtime='2004-04-04 04:04:04 UTC' -cf t.tar p; rm -r p",
].join('; ');
const unpacked = (at: string): string[] => [
  `${at}/ 0755 0:0`,
  `${at}/p/ 0755 1000:3000`,
  `${at}/p/1 0640 1000:3000 '1'`,
  `${at}/p/h 0640 1000:3000 '1'`,
  `${at}/p/l -> 1 1000:3000`,
  `${at}/p/q/ 0755 1000:3000`,
  `${at}/p/q/2 0644 1000:3000 '2'`,
];

for (const [compressor, title] of [
  ['cat t.tar > a', 'plain'],
  ['gzip -c t.tar > a', 'gzip'],
  ['bzip2 -c t.tar > a', 'bzip2'],
  ['xz -c t.tar > a', 'xz'],
  ["node -e \"require('fs').writeFileSync('a', require('zlib').zstdCompressSync(require('fs').readFileSync('t.tar')))\"", 'zstd'],
]) {
  test(`ADD unpacks a local archive, ${title}, whatever its name`, { skip }, async () => {
    using fixture = new CopyFixture();
    fixture.sh('context', `PATH=${join(process.execPath, '..')}:$PATH; ${tarred}; ${compressor}`);
    await add(fixture, 'a /x');
    assert.deepEqual(fixture.lines(), unpacked('x'));
    assert.equal(lstatSync(join(fixture.root, 'x/p/1')).ino, lstatSync(join(fixture.root, 'x/p/h')).ino);
    for (const path of ['x/p', 'x/p/1', 'x/p/q', 'x/p/q/2', 'x/p/l'])
      assert.equal(lstatSync(join(fixture.root, path)).mtimeMs, 1_081_051_444_000, path);
    assert.deepEqual(fixture.touched, ['x', 'x/p', 'x/p/1', 'x/p/h', 'x/p/l', 'x/p/q', 'x/p/q/2']);
  });
}

test('ADD copies what is no archive, and an archive with nothing in it', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh(
    'context',
    String.raw`echo plain | gzip -n > plain.gz; tar -cf empty.tar -T /dev/null; : > empty; echo BZh9x > bad.bz2; printf 'PK\003\004' > a.zip`,
  );
  await add(fixture, 'plain.gz empty.tar empty bad.bz2 a.zip /x/');
  assert.deepEqual(
    fixture.lines('x').map((line) => line.split(' ')[0]),
    ['x/a.zip', 'x/bad.bz2', 'x/empty', 'x/empty.tar', 'x/plain.gz'],
  );
});

test('ADD says of what may be an archive and can not be read that it can not, and copies it only as it is told to', { skip }, async () => {
  using fixture = new CopyFixture();
  // A frame of zstd with a window of 256 MiB.
  writeFileSync(join(fixture.context, 'long.tar.zst'), Buffer.from('28b52ffd0090010000', 'hex'));
  await assert.rejects(add(fixture, 'long.tar.zst /x/'), {
    code: 'ERR_UNSUPPORTED',
    message: /^Cannot unpack 'long.tar.zst': .* more than 128 MiB/,
  });
  await add(fixture, '--unpack=false long.tar.zst /x/');
  assert.match(fixture.lines().join(), /x\/long\.tar\.zst/);
});

test('ADD --unpack=false copies the archive, --chown is for what is unpacked, --chmod is not', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('context', tarred);
  await add(fixture, '--unpack=false t.tar /kept/');
  assert.match(fixture.lines().join(), /kept\/t\.tar 0644 0:0/);
  fixture.sh('root', 'rm -r kept');
  await add(fixture, '--chown=7:8 --chmod=700 t.tar /x/');
  assert.deepEqual(fixture.lines().slice(0, 3), ['x/ 0755 7:8', 'x/p/ 0755 7:8', "x/p/1 0640 7:8 '1'"]);
});

test('ADD lets an archive win over what is there, and leaves the destination its own mode', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('context', 'mkdir -m 711 d; cd d; mkdir was-file; echo f > was-dir; mkdir -m 700 both; tar -cf ../t.tar .; cd ..; rm -r d');
  fixture.sh('root', 'mkdir -m 1777 x; cd x; echo o > was-file; mkdir -p was-dir/sub both; touch both/kept');
  await add(fixture, 't.tar /x');
  assert.deepEqual(fixture.lines(), [
    'x/ 1777 0:0',
    'x/both/ 0700 0:0',
    "x/both/kept 0644 0:0 ''",
    "x/was-dir 0644 0:0 'f'",
    'x/was-file/ 0755 0:0',
  ]);
});

test('ADD of an archive with a link to its parent keeps what lies below the link in the destination', { skip }, async () => {
  using fixture = new CopyFixture();
  const entries = [
    { name: 'up', type: 'symlink', linkname: '..' },
    { name: 'up/in/was/../f', content: 'x' },
    { name: 'h', type: 'hardlink', linkname: 'up/in/f' },
  ] as const;
  writeFileSync(join(fixture.context, 't.tar'), tarArchive(entries));
  await add(fixture, 't.tar /deep/er');
  assert.deepEqual(fixture.lines(), [
    'deep/ 0755 0:0',
    'deep/er/ 0755 0:0',
    "deep/er/h 0644 0:0 'x'",
    'deep/er/in/ 0755 0:0',
    "deep/er/in/f 0644 0:0 'x'",
    'deep/er/up -> .. 0:0',
  ]);
});

test('ADD leaves an entry without a name out, with a warning', { skip }, async () => {
  using fixture = new CopyFixture();
  writeFileSync(
    join(fixture.context, 't.tar'),
    tarArchive([
      { name: '', content: 'x' },
      { name: 'f', content: 'f' },
    ]),
  );
  await add(fixture, 't.tar /x');
  assert.deepEqual(fixture.lines(), ['x/ 0755 0:0', "x/f 0644 0:0 'f'"]);
  const warnings = fixture.events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
  assert.deepEqual(warnings, ['t.tar: an entry without a name was left out']);
});

test('ADD unpacks several archives into one place', { skip }, async () => {
  using fixture = new CopyFixture();
  writeFileSync(join(fixture.context, 'a.tar'), tarArchive([{ name: 'a', content: 'a' }]));
  writeFileSync(join(fixture.context, 'b.tar'), tarArchive([{ name: 'b', content: 'b' }]));
  await add(fixture, '--chmod=600 a.tar b.tar /x');
  assert.deepEqual(fixture.lines(), ['x/ 0755 0:0', "x/a 0644 0:0 'a'", "x/b 0644 0:0 'b'"]);
});

for (const [title, entries, pattern] of [
  ['a name with ..', [{ name: '../evil', content: 'x' }], /'\.\.\/evil' leads out of the archive/],
  ['a name that none can have', [{ name: `d/${'n'.repeat(256)}`, content: 'x' }], /names end at 255 bytes/],
  [
    'a file larger than the disk',
    [{ name: 'f', content: '', pax: { 'GNU.sparse.major': '0', 'GNU.sparse.minor': '1', 'GNU.sparse.size': `${2 ** 50}` } }],
    /Cannot hold "f" of 1048576 GiB: its disk has \d+ GiB left/,
  ],
  ['a name with .. inside', [{ name: 'a/../../evil', content: 'x' }], /leads out of the archive/],
  ['a hard link that leads out', [{ name: 'h', type: 'hardlink', linkname: '../canary' }], /leads out of the archive/],
  [
    'a folder in half a million folders',
    [{ name: 'f', content: 'x', pax: { path: `${'a/'.repeat(500_000)}f` } }],
    /: Cannot make \/x\/a\/.{0,60}…: its path has 1000001 bytes, and Linux takes 4095$/,
  ],
  [
    'links that make a path longer than any',
    [
      { name: 'l', type: 'symlink', linkname: 'd/'.repeat(2000) },
      { name: `l/${'e/'.repeat(2000)}f`, content: 'x' },
    ],
    /Cannot make \/x\/d\/.{0,60}…: its path has \d+ bytes, and Linux takes 4095$/,
  ],
  [
    'a hard link in the place of a folder with its target',
    [
      { name: 'd/f', content: 'x' },
      { name: 'd', type: 'hardlink', linkname: 'd/f' },
    ],
    /entry 'd' is a hard link to 'd\/f', which it would replace/,
  ],
  ['a hard link to nothing', [{ name: 'h', type: 'hardlink', linkname: 'no' }], /hard link to 'no'/],
  ["a layer's deletion mark", [{ name: 'a/.wh.b', content: '' }], /by which layers delete/],
] as const) {
  test(`ADD refuses an archive with ${title}`, { skip }, async () => {
    using fixture = new CopyFixture();
    writeFileSync(join(fixture.folder, 'canary'), 'intact');
    writeFileSync(join(fixture.context, 't.tar'), tarArchive(entries));
    await assert.rejects(add(fixture, 't.tar /x/'), pattern);
    assert.equal(readFileSync(join(fixture.folder, 'canary'), 'utf8'), 'intact');
  });
}

test(
  'ADD follows links of an archive inside its destination only, in the image where something else is mounted here',
  { skip },
  async () => {
    using fixture = new CopyFixture();
    fixture.sh('root', 'mkdir kaniko outside');
    mkdirSync(join(fixture.folder, 'outside'));
    const entries = [
      { name: 'up', type: 'symlink', linkname: '../../../../outside' },
      { name: 'up/f', content: 'x' },
      { name: 'abs', type: 'symlink', linkname: '/outside' },
      { name: 'abs/g', content: 'x' },
    ] as const;
    writeFileSync(join(fixture.context, 't.tar'), tarArchive(entries));
    await add(fixture, 't.tar /x/');
    assert.deepEqual(
      fixture.lines('x').map((line) => line.split(' ')[0]),
      ['x/abs', 'x/outside/', 'x/outside/f', 'x/outside/g', 'x/up'],
    );
    assert.deepEqual(fixture.lines('outside'), []);
    symlinkSync('/kaniko', join(fixture.root, 'k'));
    writeFileSync(join(fixture.context, 'k.tar'), tarArchive([{ name: 'k/tini', content: 'evil' }]));
    await add(fixture, 'k.tar /', { protect: ['kaniko'] });
    assert.deepEqual(fixture.layer, ['kaniko', 'kaniko/tini']);
    await add(fixture, 'k.tar /kaniko', { protect: ['kaniko'] });
    assert.deepEqual(fixture.layer, ['kaniko', 'kaniko/k', 'kaniko/k/tini']);
    assert.deepEqual(fixture.lines('kaniko'), []);
    fixture.sh('root', 'echo own > kaniko/config.json');
    writeFileSync(join(fixture.context, 'h.tar'), tarArchive([{ name: 'stolen', type: 'hardlink', linkname: 'kaniko/config.json' }]));
    await assert.rejects(add(fixture, 'h.tar /', { protect: ['kaniko'] }), /hard link to 'kaniko\/config\.json', which does not exist/);
    assert.equal(lstatSync(join(fixture.root, 'kaniko/config.json')).nlink, 1);
  },
);

test('ADD of an archive with a hard link to a file of the image takes that file into the layer, with all its names', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('root', 'mkdir x; echo old > x/f; ln x/f twin; echo new > x/h');
  writeFileSync(join(fixture.context, 't.tar'), tarArchive([{ name: 'h', type: 'hardlink', linkname: 'f' }]));
  await add(fixture, 't.tar /x');
  assert.deepEqual(fixture.layer, ['twin', 'x', 'x/f', 'x/h']);
  assert.deepEqual(fixture.lines(), ["twin 0644 0:0 'old'", 'x/ 0755 0:0', "x/f 0644 0:0 'old'", "x/h 0644 0:0 'old'"]);
  assert.equal(lstatSync(join(fixture.root, 'x/h')).nlink, 3);
});

test('ADD names an archive that breaks off', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh(
    'context',
    'head -c 100000 /dev/urandom > f; tar -cf t.tar f; head -c 5000 t.tar > cut.tar; gzip -c t.tar | head -c 90000 > cut.gz; xz -c t.tar | head -c 90000 > cut.xz',
  );
  for (const name of ['cut.tar', 'cut.gz', 'cut.xz'])
    await assert.rejects(add(fixture, `${name} /x/`), { message: new RegExp(`Cannot unpack '${name}'`), code: 'ERR_LAYER' });
});

test('ADD downloads a URL with mode 0600 and the time of Last-Modified', { skip }, async () => {
  using fixture = new CopyFixture();
  await using server = await serve();
  await add(fixture, `${server.url}/dir/file.bin?x=1 /1/`);
  await add(fixture, `${server.url}/dir/other /2`);
  await add(fixture, `--chmod=755 --chown=5:6 ${server.url}/dir/file.bin /3/name`);
  await add(fixture, `${server.url} /4/`);
  await add(fixture, `${server.url}/%2e%2e%2fevil%20name /5/`);
  assert.deepEqual(fixture.lines(), [
    '1/ 0755 0:0',
    "1/file.bin 0600 0:0 '/dir/file.bin?x=1'",
    "2 0600 0:0 '/dir/other'",
    '3/ 0755 5:6',
    "3/name 0755 5:6 '/dir/file.bin'",
    '4/ 0755 0:0',
    "4/__unnamed__ 0600 0:0 '/'",
    '5/ 0755 0:0',
    "5/evil name 0600 0:0 '/%2e%2e%2fevil%20name'",
  ]);
  assert.equal(lstatSync(join(fixture.root, '1/file.bin')).mtimeMs, Date.parse('Tue, 03 Feb 2015 04:05:06 GMT'));
  assert.equal(lstatSync(join(fixture.root, '2')).mtimeMs, 0);
});

test('ADD --checksum takes the right file and no other', { skip }, async () => {
  using fixture = new CopyFixture();
  await using server = await serve();
  const right = createHash('sha256').update('/f').digest('hex');
  const wrong = '2f6e1b2e'.repeat(8);
  await add(fixture, `--checksum=sha256:${right} ${server.url}/f /ok`);
  await assert.rejects(add(fixture, `--checksum=sha256:${wrong} ${server.url}/f /bad`), {
    code: 'ERR_DIGEST_MISMATCH',
    message: /checksum.*2f6e1b2e/,
  });
});

test('ADD --unpack unpacks a download that is an archive, and only then', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('context', `${tarred}; gzip t.tar`);
  await using server = await serve(readFileSync(join(fixture.context, 't.tar.gz')));
  await add(fixture, `--unpack ${server.url}/archive /x`);
  await add(fixture, `--unpack ${server.url}/plain /y`);
  await add(fixture, `${server.url}/archive /z/`);
  assert.deepEqual(fixture.lines().slice(0, 7), unpacked('x'));
  assert.match(fixture.lines().slice(7).join(), /^y 0600 0:0 '\/plain',z\/ 0755 0:0,z\/archive 0600/);
});

test('ADD checks out a repository through its port', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('stage', 'mkdir src; echo x > src/x');
  const requests: GitRequest[] = [];
  const git = (request: GitRequest): string => {
    requests.push(request);
    return fixture.stage;
  };
  await add(fixture, '--keep-git-dir --checksum=abcdef0 https://example.org/r.git#v1:src /r', {}, git);
  assert.deepEqual(fixture.lines(), ['r/ 0755 0:0', 'r/src/ 0755 0:0', "r/src/x 0644 0:0 'x'"]);
  assert.deepEqual(requests, [{ repository: 'https://example.org/r.git#v1:src', keepsGitFolder: true, checksum: 'abcdef0' }]);
  await assert.rejects(add(fixture, 'git@example.org:r /r'), { code: 'ERR_UNSUPPORTED' });
});

for (const [text, pattern] of [
  [`--checksum=sha256:${'0'.repeat(64)} a b /x/`, /exactly one source/],
  [`--checksum=sha256:${'0'.repeat(64)} a /x/`, /'a' is neither a URL nor/],
  ['--checksum=sha256:12 http://127.0.0.1/x /x/', /sha256:<64 hex digits>/],
  ['http://127.0.0.1:1x/y /x/', /not a valid URL/],
] as const) {
  test(`ADD ${text.slice(0, 40)} fails`, async () => {
    using fixture = new CopyFixture();
    writeFileSync(join(fixture.context, 'a'), '');
    writeFileSync(join(fixture.context, 'b'), '');
    await assert.rejects(add(fixture, text), pattern);
  });
}

test('ADD is COPY for files and directories, with its own history', { skip }, async () => {
  using fixture = new CopyFixture();
  fixture.sh('context', 'echo a > a; mkdir d; echo b > d/b');
  const effect = await add(fixture, '--chmod=600 a d /x/');
  assert.deepEqual(fixture.lines(), ['x/ 0600 0:0', "x/a 0600 0:0 'a'", "x/b 0600 0:0 'b'"]);
  assert.equal(effect.history?.createdBy, 'ADD --chmod=600 a d /x/ # buildkit');
});

/** A server whose answer to a path is the path itself, or the archive. */
async function serve(archive?: Buffer): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/dir/file') === true) response.setHeader('Last-Modified', 'Tue, 03 Feb 2015 04:05:06 GMT');
    response.end(request.url === '/archive' ? archive : request.url);
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
