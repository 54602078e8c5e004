// Repositories behind a real sshd and a real git daemon.
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { prepareGit, type GitAccessOptions } from '../../../src/surroundings/git-access.ts';
import { rootPath } from '../../../src/paths.ts';
import { lookupWith, namesFromTable } from '../../../src/registry/names.ts';
import { git } from '../../support/git-server.ts';
import { type SshServer, startSshServer, whyNoSsh } from '../../support/ssh-server.ts';
import { temporaryFolder } from '../../support/tree.ts';
import { freePort } from '../../support/listen.ts';

const skip = whyNoSsh() ?? false;
let folder = '';
let commit = '';
let server: SshServer;
let old: SshServer;
let agent: { readonly socket: string; readonly process: ChildProcess };
let daemon: { readonly port: number; readonly process: ChildProcess };

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'git-ssh-'));
  const work = mkdtempSync(join(folder, 'work-'));
  git(work, 'init', '-q');
  for (const name of ['one', 'two']) {
    writeFileSync(join(work, name), `${name}\n`);
    git(work, 'add', '-A');
    git(work, 'commit', '-q', '-m', name);
    commit ||= git(work, 'rev-parse', 'HEAD');
  }
  git(folder, 'clone', '-q', '--bare', work, "it's a repo.git");
  if (skip !== false) return;
  [server, old] = await Promise.all([startSshServer({ acceptsProtocol: true }), startSshServer({ acceptsProtocol: false })]);
  copyFileSync(join(server.keyPath), join(folder, 'key'));
  const socket = join(folder, 'agent');
  agent = { socket, process: spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' }) };
  for (let tries = 0; tries < 100 && !readdirSync(folder).includes('agent'); tries += 1) await setTimeout(50);
  execFileSync('ssh-add', ['-q', server.keyPath], { env: { PATH: process.env['PATH'], SSH_AUTH_SOCK: socket }, stdio: 'ignore' });
  daemon = await startDaemon();
});

after(() => {
  server?.stop();
  old?.stop();
  agent?.process.kill();
  if (daemon?.process.pid !== undefined) process.kill(-daemon.process.pid, 'SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

async function startDaemon() {
  const port = await freePort();
  const args = [
    'daemon',
    '--listen=127.0.0.1',
    `--port=${port}`,
    `--base-path=${folder}`,
    '--export-all',
    '--reuseaddr',
    '--log-destination=none',
  ];
  const env = { PATH: process.env['PATH'], GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' };
  const child = spawn('git', args, { env, stdio: 'ignore', detached: true });
  await setTimeout(500);
  return { port, process: child };
}

async function add(context: TestContext, repository: string, options: Partial<GitAccessOptions>): Promise<readonly string[]> {
  const access = prepareGit({
    env: {},
    buildArgs: new Map(),
    secrets: new Map(),
    ssh: new Map(),
    exchange: async () => await Promise.reject(new Error('no HTTP here')),
    lookup: lookupWith(namesFromTable(new Map())),
    privateFolder: temporaryFolder(context),
    emit: () => undefined,
    ...options,
  });
  context.after(access.close);
  const tree = await access.add({ repository, keepsGitFolder: false }, AbortSignal.timeout(30_000));
  return [...tree.files.names(rootPath)].sort();
}

const known = (from: SshServer): ReadonlyMap<string, Buffer> => new Map([['GIT_KNOWN_HOSTS', Buffer.from(from.knownHosts)]]);
const place = (from: SshServer): string => `${from.origin}${folder}/it's%20a%20repo.git`;

for (const kind of ['new', 'old'] as const) {
  test(`a key opens a repository over ssh, whose path is one quoted word; ${kind} protocol`, { skip }, async (context) => {
    const from = kind === 'new' ? server : old;
    const ssh = new Map([['default', from.keyPath]]);
    assert.deepEqual(await add(context, place(from), { ssh, secrets: known(from) }), ['one', 'two']);
    assert.deepEqual(await add(context, `${place(from)}#${commit}`, { ssh, secrets: known(from) }), ['one']);
  });
}

test("an agent's keys open a repository over ssh", { skip }, async (context) => {
  assert.deepEqual(await add(context, place(server), { ssh: new Map([['default', agent.socket]]), secrets: known(server) }), [
    'one',
    'two',
  ]);
});

test('a key as secret GIT_SSH_KEY opens a repository over ssh', { skip }, async (context) => {
  const secrets = new Map([...known(server), ['GIT_SSH_KEY', readFileSync(server.keyPath)] as const]);
  assert.deepEqual(await add(context, place(server), { secrets }), ['one', 'two']);
});

test('a server whose key is not known is refused, and the hint has the line that would know it', { skip }, async (context) => {
  await assert.rejects(add(context, place(server), { ssh: new Map([['default', server.keyPath]]) }), (error: unknown) => {
    assert.ok(error instanceof Error && 'hint' in error && 'code' in error);
    assert.equal(error.code, 'ERR_AUTH');
    assert.match(error.message, /key is not known \(ssh-ed25519 SHA256:/);
    assert.ok(String(error.hint).includes(server.knownHosts.trim()));
    return true;
  });
});

test("a server with another server's key is refused", { skip }, async (context) => {
  const wrong = `[127.0.0.1]:${server.port} ${old.knownHosts.split(' ').slice(1).join(' ')}`;
  const options = { ssh: new Map([['default', server.keyPath]]), secrets: new Map([['GIT_KNOWN_HOSTS', Buffer.from(wrong)]]) };
  await assert.rejects(add(context, place(server), options), { code: 'ERR_AUTH', message: /not the one that is known/ });
});

const otherKey = (): string => old.knownHosts.split(' ').slice(1).join(' ').trim();
const ownKey = (): string => server.knownHosts.split(' ').slice(1).join(' ').trim();
const strange = Buffer.from('\0\0\0\u0007strange').toString('base64');
for (const row of [
  {
    name: 'is among keys of kinds that nobody here speaks',
    lines: () => [`* ssh-strange ${strange}`, `* sk-ssh-ed25519@openssh.com ${strange}`, `* ssh-dss ${strange}`, `* ${ownKey()}`],
  },
  { name: 'is known beside an old one', lines: () => [`* ${otherKey()}`, `* ${ownKey()}`] },
  { name: 'is known, and another one is revoked', lines: () => [`@revoked * ${otherKey()}`, `* ${ownKey()}`] },
  { name: 'is revoked', lines: () => [`@revoked * ${ownKey()}`], says: /is revoked$/ },
  { name: 'is known, and revoked', lines: () => [`* ${ownKey()}`, `@revoked * ${ownKey()}`], says: /is revoked$/ },
  { name: 'is not known, and another one is revoked', lines: () => [`@revoked * ${otherKey()}`], says: /key is not known \(ssh-ed25519/ },
  {
    name: 'is of another kind than the known one',
    lines: () => [`* ssh-rsa ${strange}`],
    says: /has no key of a kind that is known of it \(rsa-sha2-512, rsa-sha2-256\)$/,
  },
  {
    name: 'can be none of the known, which nobody here speaks',
    lines: () => [`* ssh-strange ${strange}`],
    says: /key is not the one that is known \(ssh-ed25519/,
  },
]) {
  test(`a server whose key ${row.name} is ${row.says === undefined ? 'read' : 'refused in one line'}`, { skip }, async (context) => {
    const secrets = new Map([['GIT_KNOWN_HOSTS', Buffer.from(row.lines().join('\n'))]]);
    const added = add(context, place(server), { ssh: new Map([['default', server.keyPath]]), secrets });
    if (row.says === undefined) assert.deepEqual(await added, ['one', 'two']);
    else await assert.rejects(added, { code: 'ERR_AUTH', message: row.says });
  });
}

test('a key that the server does not accept, and no key at all, are told apart', { skip }, async (context) => {
  const options = { ssh: new Map([['default', old.keyPath]]), secrets: known(server) };
  await assert.rejects(add(context, place(server), options), { code: 'ERR_AUTH', message: /accepts none of the keys/ });
  await assert.rejects(add(context, place(server), { secrets: known(server) }), { code: 'ERR_AUTH', message: /no key to log in with/ });
});

test('a repository that is not there is told in the server’s words', { skip }, async (context) => {
  const options = { ssh: new Map([['default', server.keyPath]]), secrets: known(server) };
  await assert.rejects(add(context, `${server.origin}/nothing.git`, options), {
    code: 'ERR_CONTEXT',
    message: /does not appear to be a git repository/,
  });
});

test("git's own protocol is spoken with a daemon", { skip }, async (context) => {
  const origin = `git://127.0.0.1:${daemon.port}`;
  assert.deepEqual(await add(context, `${origin}/it's%20a%20repo.git`, {}), ['one', 'two']);
  assert.deepEqual(await add(context, `${origin}/it's%20a%20repo.git#${commit}`, {}), ['one']);
  await assert.rejects(add(context, `${origin}/nothing.git`, {}), { code: 'ERR_CONTEXT' });
});
