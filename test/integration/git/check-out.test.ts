// Repositories over HTTP from git's own server: what is checked out is what git checks out.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, after, before, test } from 'node:test';
import { prepareGit, type GitAccess, type GitAccessOptions } from '../../../src/surroundings/git-access.ts';
import { bytesFromText, textFromBytes } from '../../../src/bytes.ts';
import { lookupWith, namesFromTable } from '../../../src/registry/names.ts';
import { git, type GitServer, startGitServer } from '../../support/git-server.ts';
import { testClient, type TestClient } from '../../support/registry-client.ts';
import { temporaryFolder } from '../../support/tree.ts';

let server: GitServer;
let old: GitServer;
let locked: GitServer;
let client: TestClient;
const commits = { first: '', second: '', side: '', lost: '' };

before(async () => {
  [server, old, locked] = await Promise.all([
    startGitServer(),
    startGitServer({ isOld: true }),
    startGitServer({ login: 'x-access-token:canary-token' }),
  ]);
  client = testClient();
  makeRepositories(server.folder);
  for (const other of [old, locked]) execFileSync('cp', ['-a', `${server.folder}/.`, other.folder]);
});

after(async () => {
  await client?.close();
  await Promise.all([server, old, locked].map((one) => one?.stop()));
});

/** main: first ── second; side: first ── side; lost: a commit that no ref leads to. */
function makeRepositories(folder: string): void {
  const work = mkdtempSync(join(folder, 'work-'));
  git(work, 'init', '-q');
  mkdirSync(join(work, 'app/deep'), { recursive: true });
  writeFileSync(join(work, 'Dockerfile'), 'FROM scratch\nCOPY . /\n');
  writeFileSync(join(work, 'app/run.sh'), '#!/bin/sh\n', { mode: 0o700 });
  // Alike enough for git to send one as a delta of the other.
  const lines = Array.from({ length: 4000 }, (_, index) => `line ${index} ${(index * 2654435761) % 1000003}\n`);
  writeFileSync(join(work, 'app/deep/one.txt'), lines.join(''));
  writeFileSync(join(work, 'app/deep/two.txt'), `${lines.join('')}and more\n`);
  writeFileSync(Buffer.from(join(work, 'app/caf\xe9'), 'latin1'), 'a name in latin1\n');
  writeFileSync(join(work, 'big.bin'), Buffer.alloc(6 << 20, 'yadokari '));
  symlinkSync('app/run.sh', join(work, 'inside'));
  symlinkSync('/etc/passwd', join(work, 'outside'));
  symlinkSync('/etc', join(work, 'outside-folder'));
  symlinkSync('app/deep', join(work, 'inside-folder'));
  const commit = (message: string): string => {
    git(work, 'add', '-A');
    git(work, 'commit', '-q', '-m', message);
    return git(work, 'rev-parse', 'HEAD');
  };
  commits.first = commit('first');
  git(work, 'tag', '-a', 'v1', '-m', 'one');
  git(work, 'tag', 'light');
  git(work, 'checkout', '-q', '-b', 'side');
  writeFileSync(join(work, 'side'), 'side\n');
  commits.side = commit('side');
  git(work, 'checkout', '-q', '--detach');
  writeFileSync(join(work, 'lost'), 'lost\n');
  commits.lost = commit('lost');
  git(work, 'checkout', '-q', 'main');
  appendFileSync(join(work, 'app/deep/one.txt'), 'second\n');
  commits.second = commit('second');
  git(folder, 'clone', '-q', '--bare', work, 'repo.git');
  git(folder, '-C', work, 'push', '-q', join(folder, 'repo.git'), `${commits.lost}:refs/heads/gone`);
  git(folder, '-C', 'repo.git', 'update-ref', '-d', 'refs/heads/gone');
}

function access(context: TestContext, options: Partial<GitAccessOptions> = {}): GitAccess {
  const made = prepareGit({
    env: {},
    buildArgs: new Map(),
    secrets: new Map(),
    ssh: new Map(),
    exchange: client.exchange,
    lookup: lookupWith(namesFromTable(new Map())),
    privateFolder: temporaryFolder(context),
    emit: (event) => client.events.push(event),
    ...options,
  });
  context.after(made.close);
  return made;
}

const never = new AbortController().signal;

async function add(
  context: TestContext,
  repository: string,
  options: Partial<GitAccessOptions> & { keeps?: boolean; checksum?: string } = {},
) {
  const { keeps = false, checksum, ...rest } = options;
  const request = { repository, keepsGitFolder: keeps, ...(checksum === undefined ? {} : { checksum }) };
  return textFromBytes((await access(context, rest).add(request, never)).files.folder ?? bytesFromText('/nowhere'));
}

/** Every path with its type, permissions and content. */
function listing(folder: string): string[] {
  const files = execFileSync('find', ['.', '-printf', String.raw`%P %y %m %l\n`], { cwd: folder, encoding: 'latin1' });
  const sums = execFileSync('sh', ['-c', 'find . -type f -exec sha256sum {} +'], { cwd: folder, encoding: 'latin1' });
  return [...files.split('\n'), ...sums.split('\n')].sort();
}

/** What git itself checks out, without `.git`. */
function reference(context: TestContext, ref: string): string[] {
  const folder = temporaryFolder(context);
  execFileSync('sh', [
    '-c',
    'umask 022; git -c advice.detachedHead=false clone -q "$0" "$1" && cd "$1" && git checkout -q "$2" && rm -rf .git && chmod 755 .',
    join(server.folder, 'repo.git'),
    join(folder, 'r'),
    ref,
  ]);
  return listing(join(folder, 'r'));
}

for (const row of [
  { name: 'the default branch', fragment: '', ref: () => 'main' },
  { name: 'a branch', fragment: '#side', ref: () => 'side' },
  { name: 'a branch by its full name', fragment: '#refs/heads/side', ref: () => 'side' },
  { name: 'an annotated tag', fragment: '#v1', ref: () => 'v1' },
  { name: 'a light tag', fragment: '?tag=light', ref: () => 'light' },
  { name: 'a commit', fragment: () => `#${commits.first}`, ref: () => commits.first },
  { name: 'the beginning of a commit', fragment: () => `#${commits.first.slice(0, 9)}`, ref: () => commits.first },
  { name: 'a commit of a branch (kaniko)', fragment: () => `#refs/heads/main#${commits.first}`, ref: () => commits.first },
]) {
  for (const kind of ['new', 'old'] as const) {
    test(`add() checks out ${row.name} as git does, from a server with the ${kind} protocol`, async (context) => {
      const fragment = typeof row.fragment === 'string' ? row.fragment : row.fragment();
      const folder = await add(context, `${kind === 'new' ? server.origin : old.origin}/repo.git${fragment}`);
      assert.deepEqual(listing(folder), reference(context, row.ref()));
    });
  }
}

test('a commit that no branch leads to is fetched by its name, where the server gives it', async (context) => {
  const folder = await add(context, `${server.origin}/repo.git#${commits.lost}`);
  assert.ok(existsSync(join(folder, 'lost')));
  await assert.rejects(add(context, `${old.origin}/repo.git#${commits.lost}`), {
    code: 'ERR_CONTEXT',
    message: /no branch, tag or commit/,
  });
});

test('a folder of a repository is added, also through a link that stays inside', async (context) => {
  assert.deepEqual(readdirSync(await add(context, `${server.origin}/repo.git#main:app/deep`)).sort(), ['one.txt', 'two.txt']);
  assert.deepEqual(readdirSync(await add(context, `${server.origin}/repo.git?subdir=inside-folder`)).sort(), ['one.txt', 'two.txt']);
});

for (const row of [
  { name: 'a folder that is a link out of it', place: '#main:outside-folder', code: 'ERR_UNSAFE_PATH', says: /link that leads out/ },
  { name: 'a folder that does not exist', place: '#main:nothing', code: 'ERR_CONTEXT', says: /no folder 'nothing'/ },
  { name: 'a folder that is a file', place: '#main:Dockerfile', code: 'ERR_CONTEXT', says: /is not a folder/ },
  { name: 'a branch that does not exist', place: '#nothing', code: 'ERR_CONTEXT', says: /no branch, tag or commit 'nothing'/ },
  { name: 'a beginning of no commit', place: '#00000000', code: 'ERR_CONTEXT', says: /no branch, tag or commit/ },
  { name: 'a wrong checksum', place: '?checksum=00000000', code: 'ERR_DIGEST_MISMATCH', says: /is [0-9a-f]{40}, not 00000000/ },
]) {
  test(`${row.name} is refused`, async (context) => {
    await assert.rejects(add(context, `${server.origin}/repo.git${row.place}`), { code: row.code, message: row.says });
  });
}

test('a checksum holds for the commit, for its beginning, and for an annotated tag itself', async (context) => {
  const tag = git(server.folder, '-C', 'repo.git', 'rev-parse', 'v1');
  for (const checksum of [commits.first, commits.first.slice(0, 7), `sha1:${commits.first}`, tag]) {
    assert.ok(existsSync(join(await add(context, `${server.origin}/repo.git#v1`, { checksum }), 'Dockerfile')), checksum);
  }
  await assert.rejects(add(context, `${server.origin}/repo.git#v1`, { checksum: commits.second }), { code: 'ERR_DIGEST_MISMATCH' });
});

test('only the commit is fetched, not its history', async (context) => {
  const folder = await add(context, `${server.origin}/repo.git`, { keeps: true });
  assert.equal(git(folder, 'rev-list', '--count', 'HEAD'), '1');
});

test('a kept .git is one that git finds clean and whole', async (context) => {
  const folder = await add(context, `${server.origin}/repo.git?keep-git-dir=true#v1`);
  assert.equal(git(folder, 'status', '--porcelain'), '');
  assert.equal(git(folder, 'rev-parse', 'HEAD'), commits.first);
  assert.equal(git(folder, 'describe', '--tags', '--exact-match'), 'v1');
  assert.match(git(folder, 'remote', '-v'), /origin\s+http:\/\/127/);
  git(folder, 'fsck', '--strict', '--no-dangling');
});

test('a wholly fetched history is whole for git, too', async (context) => {
  const opened = temporaryFolder(context);
  const settings = new Map([['depth', '0']]);
  const made = access(context, { buildArgs: new Map([['BUILDKIT_CONTEXT_KEEP_GIT_DIR', '1']]) });
  const { folder } = await made.openContext(`${server.origin}/repo.git`, settings, opened, never);
  assert.equal(git(folder, 'rev-list', '--count', 'HEAD'), '2');
  git(folder, 'fsck', '--strict', '--no-dangling');
});

test('a context has no .git, follows --git branch, and git:// means GIT_PULL_METHOD', async (context) => {
  const made = access(context, { env: { GIT_PULL_METHOD: 'http' } });
  const { folder, timeSeconds } = await made.openContext(
    `git://${server.host}/repo.git`,
    new Map([['branch', 'side']]),
    temporaryFolder(context),
    never,
  );
  assert.ok(existsSync(join(folder, 'side')) && !existsSync(join(folder, '.git')));
  assert.equal(timeSeconds, 1_700_000_000);
});

test('mtime=commit gives files and links the time of the commit', async (context) => {
  const folder = await add(context, `${server.origin}/repo.git?mtime=commit`);
  for (const name of ['Dockerfile', 'inside', 'app', 'app/deep'])
    assert.equal(lstatSync(join(folder, name)).mtimeMs, 1_700_000_000_000, name);
});

for (const row of [
  { name: 'GIT_AUTH_TOKEN', secrets: { GIT_AUTH_TOKEN: 'canary-token\n' } },
  { name: 'GIT_AUTH_TOKEN.host', secrets: { 'GIT_AUTH_TOKEN.127.0.0.1': 'canary-token', GIT_AUTH_TOKEN: 'wrong' } },
  { name: 'GIT_AUTH_HEADER', secrets: { GIT_AUTH_HEADER: `Basic ${Buffer.from('x-access-token:canary-token').toString('base64')}` } },
]) {
  test(`secret ${row.name} opens a private repository`, async (context) => {
    const secrets = new Map(Object.entries(row.secrets).map(([id, value]) => [id, Buffer.from(value)]));
    assert.ok(existsSync(join(await add(context, `${locked.origin}/repo.git`, { secrets }), 'Dockerfile')));
  });
}

test('GIT_USERNAME and GIT_PASSWORD open a private context, and no ADD', async (context) => {
  const env = { GIT_USERNAME: 'x-access-token', GIT_PASSWORD: 'canary-token' };
  const { folder } = await access(context, { env }).openContext(`${locked.origin}/repo.git`, new Map(), temporaryFolder(context), never);
  assert.ok(existsSync(join(folder, 'Dockerfile')));
  await assert.rejects(add(context, `${locked.origin}/repo.git`, { env }), { code: 'ERR_AUTH' });
});

test('a password in the URL is used and shows up nowhere', async (context) => {
  const place = locked.origin.replace('//', '//x-access-token:canary-token@');
  const folder = await add(context, `${place}/repo.git`, { keeps: true });
  assert.ok(!readFileSync(join(folder, '.git/config'), 'utf8').includes('canary'));
  await assert.rejects(add(context, `${place}/repo.git#nothing`), (caught: unknown) => !String(caught).includes('canary'));
  assert.ok(!JSON.stringify(client.events).includes('canary'));
});

test('a repository without credentials is refused with a hint that names them', async (context) => {
  await assert.rejects(add(context, `${locked.origin}/repo.git`), (error: unknown) => {
    assert.ok(error instanceof Error && 'hint' in error && 'code' in error);
    assert.equal(error.code, 'ERR_AUTH');
    assert.match(String(error.hint), /GIT_AUTH_TOKEN\.127\.0\.0\.1/);
    return true;
  });
});

test('a repository that has moved is followed, and its credentials stay behind', async (context) => {
  const moved = await startGitServer({
    intercept: (request, response) => {
      response.writeHead(301, {
        location: `${(request.url ?? '').startsWith('/here/') ? '' : server.origin}/repo.git${(request.url ?? '').replace(/^.*?\.git/, '')}`,
      });
      response.end();
      return true;
    },
  });
  context.after(moved.stop);
  const before = server.requests.length;
  const secrets = new Map([['GIT_AUTH_TOKEN', Buffer.from('canary-token')]]);
  assert.ok(existsSync(join(await add(context, `${moved.origin}/old.git`, { secrets }), 'Dockerfile')));
  const asked = server.requests.slice(before);
  assert.ok(asked.length >= 2 && asked.every((request) => request.endsWith(' -')), asked.join('\n'));
  assert.ok(moved.requests.every((request) => request.startsWith('GET ') && request.includes(' Basic ')));
});

for (const row of [
  { name: 'a web page', head: 200, body: '<!doctype html><title>Sign in</title>', says: /does not speak git/ },
  { name: 'an empty answer', head: 200, body: '', says: /said nothing/ },
  { name: 'an error of git', head: 200, body: '0014ERR so sorry\u001b[2J', says: /the server says "so sorry \[2J"/ },
  { name: 'a status', head: 418, body: 'teapot', says: /answered 418/ },
]) {
  test(`${row.name} in the place of a repository is named in one line`, async (context) => {
    const strange = await startGitServer({
      intercept: (_, response) => {
        response.writeHead(row.head).end(row.body);
        return true;
      },
    });
    context.after(strange.stop);
    await assert.rejects(add(context, `${strange.origin}/repo.git`), (error: unknown) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, row.says);
      assert.ok(!/\n|\p{Cc}/u.test(error.message));
      return true;
    });
  });
}

test('a checkout that is stopped leaves nothing behind', async (context) => {
  const folder = temporaryFolder(context);
  const controller = new AbortController();
  const slow = await startGitServer({
    intercept: (request) => {
      if (request.method === 'POST') setTimeout(() => controller.abort(new Error('stopped')), 50);
      return request.method === 'POST';
    },
  });
  context.after(slow.stop);
  execFileSync('cp', ['-a', join(server.folder, 'repo.git'), slow.folder]);
  const made = access(context, { privateFolder: folder });
  await assert.rejects(made.add({ repository: `${slow.origin}/repo.git`, keepsGitFolder: false }, controller.signal), /stopped|abort/i);
  await made.close();
  assert.deepEqual(readdirSync(folder), []);
});
