// .gitmodules, known_hosts, packets and credentials: text to values.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorizationFor } from '../../../src/surroundings/git-credentials.ts';
import { knownKeys } from '../../../src/git/known-hosts.ts';
import { PacketReader, linePacket } from '../../../src/git/packet.ts';
import { fetchCommit } from '../../../src/git/fetch-commit.ts';
import { type GitServer, converse, fetchPack, meet } from '../../../src/git/protocol.ts';
import { parseRemote } from '../../../src/git/remote.ts';
import { parseSubmodules } from '../../../src/git/submodules.ts';

test('parseSubmodules() reads quotes, escapes, comments, and sections in parts', () => {
  const text = `\ufeff# top
[core]\n\turl = x
[submodule "a \\"b\\""]
  path = "dir with ; hash#" # beside
  URL = https://h/a\\\n.git
[submodule "c"]\r\n\tpath=c/\r\n[submodule "c"]\n\turl = ../c\n\tupdate = none\n[submodule "no-url"]\npath = d\n`;
  assert.deepEqual(parseSubmodules(text, 'r'), [
    { name: 'a "b"', path: 'dir with ; hash#', url: 'https://h/a.git', isSkipped: false },
    { name: 'c', path: 'c', url: '../c', isSkipped: true },
  ]);
  assert.throws(() => parseSubmodules('[submodule "x"]\n= y\n', 'r'), { code: 'ERR_CONTEXT', message: /line 2 is malformed/ });
});

test('knownKeys() matches names, ports, patterns and hashed names', () => {
  const key = Buffer.from('key').toString('base64');
  // printf %s host.x | openssl dgst -sha1 -mac HMAC -macopt key:salt
  const hashed = '|1|c2FsdA==|hXvTqfDr+Ggght2GZIJPzTQcbYc=';
  const rows: readonly (readonly [line: string, host: string, port: number, count: number])[] = [
    [`host.x ssh-ed25519 ${key}`, 'HOST.X', 22, 1],
    [`host.x ssh-ed25519 ${key}`, 'host.x', 2222, 0],
    [`[host.x]:2222 ssh-ed25519 ${key}`, 'host.x', 2222, 1],
    [`a,*.x,!no.x ssh-ed25519 ${key} comment`, 'host.x', 22, 1],
    [`a,*.x,!no.x ssh-ed25519 ${key}`, 'no.x', 22, 0],
    [`h?st.x ssh-rsa ${key}`, 'host.x', 22, 1],
    [`hostax ssh-rsa ${key}`, 'host.x', 22, 0],
    [`host.x ssh-rsa ${key}`, 'hostax', 22, 0],
    [`${hashed} ssh-rsa ${key}`, 'host.x', 22, 1],
    [`${hashed} ssh-rsa ${key}`, 'other.x', 22, 0],
    [`@cert-authority host.x ssh-rsa ${key}`, 'host.x', 22, 0],
    [`# host.x ssh-rsa ${key}`, 'host.x', 22, 0],
  ];
  for (const [line, host, port, count] of rows) assert.equal(knownKeys(line, host, port).length, count, `${line} for ${host}:${port}`);
  assert.equal(knownKeys(`@revoked host.x ssh-rsa ${key}`, 'host.x', 22)[0]?.isRevoked, true);
});

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('PacketReader reads packets from pieces of any size', async () => {
  const bytes = Buffer.concat([linePacket('one\n'), Buffer.from('0000'), linePacket('zwölf'), Buffer.from('0001')]);
  for (const size of [1, 3, 1000]) {
    const reader = new PacketReader(pieces(bytes, size), 'h');
    const kinds = [];
    for (let packet = await reader.next(); packet !== undefined; packet = await reader.next()) {
      kinds.push(packet.kind === 'line' ? packet.bytes.toString() : packet.kind);
    }
    assert.deepEqual(kinds, ['one\n', 'flush', 'zwölf', 'delimiter']);
  }
});

test('PacketReader joins a packet that comes byte by byte once', async (context) => {
  const bytes = linePacket('n'.repeat(60_000));
  const joining = context.mock.method(Buffer, 'concat');
  const packet = await new PacketReader(pieces(bytes, 1), 'h').next();
  assert.equal(packet?.kind === 'line' ? packet.bytes.length : 0, 60_000);
  assert.ok(joining.mock.callCount() < 10, `${joining.mock.callCount()} times`);
});

test('meet() ends with a server that goes on telling what it has', async () => {
  const line = linePacket(`${'a'.repeat(40)} refs/heads/${'n'.repeat(65_000)}\n`);
  const endless = async function* (): AsyncGenerator<Buffer> {
    await Promise.resolve();
    for (;;) yield line;
  };
  const upload = converse('h', endless(), { write: () => undefined, close: () => undefined });
  await assert.rejects(meet(upload), { code: 'ERR_CONTEXT', message: /a list that is too long/ });
});

test('PacketReader refuses what is no packet, and what is cut off', async () => {
  for (const [text, says] of [
    ['<html>', /does not speak git/],
    ['0003', /does not speak git/],
    ['0009one', /cut off/],
    ['00', /cut off/],
  ] as const) {
    await assert.rejects(new PacketReader(pieces(Buffer.from(text), 2), 'h').next(), { code: 'ERR_CONTEXT', message: says });
  }
});

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

for (const row of [
  {
    name: 'a token for the host before one for all',
    secrets: { GIT_AUTH_TOKEN: 'all', 'GIT_AUTH_TOKEN.h': 'own' },
    is: basic('x-access-token:own'),
  },
  {
    name: 'a token for host and port before one for the host',
    place: 'https://h:8443/r',
    secrets: { 'GIT_AUTH_TOKEN.h': 'x', 'GIT_AUTH_TOKEN.h:8443': 'own' },
    is: basic('x-access-token:own'),
  },
  { name: 'a header as it is', secrets: { GIT_AUTH_HEADER: 'Bearer x\n' }, is: 'Bearer x' },
  { name: 'the password of the URL before all', place: 'https://u:p@h/r', secrets: { GIT_AUTH_TOKEN: 'x' }, is: basic('u:p') },
  {
    name: 'GIT_TOKEN in the place of the user, as kaniko does',
    env: { GIT_TOKEN: 't', GIT_USERNAME: 'u', GIT_PASSWORD: 'p' },
    is: basic('t:'),
  },
  { name: 'GIT_USERNAME and GIT_PASSWORD', env: { GIT_USERNAME: 'u', GIT_PASSWORD: 'p' }, is: basic('u:p') },
  { name: 'nothing where nothing is given', is: undefined },
  {
    name: 'nothing for a server that only a repository names',
    isTop: false,
    secrets: { GIT_AUTH_TOKEN: 'x', GIT_AUTH_HEADER: 'y' },
    is: undefined,
  },
  {
    name: 'a host’s own token for a server that only a repository names',
    isTop: false,
    secrets: { 'GIT_AUTH_TOKEN.h': 'own' },
    is: basic('x-access-token:own'),
  },
] as const) {
  test(`authorizationFor() gives ${row.name}`, () => {
    const secrets: Readonly<Record<string, string>> = 'secrets' in row ? row.secrets : {};
    const found = authorizationFor(parseRemote('place' in row ? row.place : 'https://h/r'), {
      secrets: new Map(Object.entries(secrets).map(([id, value]) => [id, Buffer.from(value)])),
      env: 'env' in row ? row.env : {},
      isTop: !('isTop' in row),
      top: parseRemote('https://h/top'),
    });
    assert.equal(found, row.is);
  });
}

test('authorizationFor() refuses a secret of several lines, and goes on as nobody else', () => {
  const secrets = new Map([['GIT_AUTH_HEADER', Buffer.from('Bearer x\nHost: y')]]);
  const remote = parseRemote('https://h/r');
  assert.throws(() => authorizationFor(remote, { secrets, env: { GIT_TOKEN: 't' }, isTop: true, top: remote }), {
    code: 'ERR_USAGE',
    message: 'Cannot use secret GIT_AUTH_HEADER: it has several lines',
  });
});

/** A server whose answer is these packets, over and over. */
function talker(...packets: readonly Buffer[]): GitServer {
  const answer = async function* (): AsyncGenerator<Buffer> {
    yield* packets;
    for (const last = packets.at(-1) ?? Buffer.alloc(0); ;) yield last;
  };
  const upload = converse('https://h/r.git', answer(), { write: () => undefined, close: () => undefined });
  return { upload, version: 2, capabilities: new Map(), advertised: [] };
}

for (const [what, ...packets] of [
  ['words before a pack', linePacket('x'.repeat(60_000))],
  ['words beside a pack', linePacket('packfile\n'), linePacket(`\u0002${'x'.repeat(60_000)}`)],
] as const)
  test(`fetchPack() gives up who sends ${what} without end`, async () => {
    const says = { code: 'ERR_CONTEXT', message: /^Cannot read https:\/\/h\/r.git: the server sends a list that is too long$/ };
    await assert.rejects(
      fetchPack(talker(...packets), ['1'.repeat(40)], 1, async () => await Promise.resolve()),
      says,
    );
  });

test('fetchCommit() ends in one line where a pack has no end and its disk has one', async () => {
  const server = talker(linePacket('packfile\n'), linePacket(`\u0001${'x'.repeat(60_000)}`));
  const wish = { ref: '1'.repeat(40), checksum: undefined, fetchesByCommit: false };
  const fetched = fetchCommit(
    async () => await Promise.resolve(server),
    wish,
    { packPath: '/dev/full', depth: 1 },
    new AbortController().signal,
  );
  await assert.rejects(fetched, {
    code: 'ERR_CONTEXT',
    message: /^Cannot fetch from https:\/\/h\/r.git: there is no room for its pack in \/dev$/,
  });
});
