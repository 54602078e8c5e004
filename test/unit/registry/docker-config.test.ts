import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findEntry, normalizeKey, parseDockerConfig } from '../../../src/registry/docker-config.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const only = (entry: unknown): unknown => parseDockerConfig(JSON.stringify({ auths: { r: entry } }), 'x').auths.get('r');

test('parseDockerConfig() reads user and password, colons in the password and trailing NULs', () => {
  assert.deepEqual(only({ auth: base64('me:a:b\0\0') }), { kind: 'password', user: 'me', password: 'a:b' });
  assert.deepEqual(only({ auth: base64('me:ÿ?>').replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '') }), {
    kind: 'password',
    user: 'me',
    password: 'ÿ?>',
  });
  assert.deepEqual(only({ username: 'me', password: 'p' }), { kind: 'password', user: 'me', password: 'p' });
});

test('parseDockerConfig() reads identity and registry tokens', () => {
  assert.deepEqual(only({ auth: base64('me:'), identitytoken: 't' }), { kind: 'identity', user: 'me', token: 't' });
  assert.deepEqual(only({ registrytoken: 't' }), { kind: 'bearer', token: 't' });
});

test('parseDockerConfig() takes an empty entry for no credential', () => {
  assert.equal(only({}), undefined);
});

test('parseDockerConfig() warns of what it ignores without showing it', () => {
  const config = parseDockerConfig(JSON.stringify({ auths: { r: { auth: base64('hunter2') } } }), '/c.json');
  assert.deepEqual(config.warnings, ['/c.json: auths.r is ignored: auth is not base64 of user:password']);
});

test('parseDockerConfig() warns of the line end that echo adds to a password, and keeps it', () => {
  const { warnings, auths } = parseDockerConfig(JSON.stringify({ auths: { r: { auth: base64('me:hunter2\n') } } }), '/c.json');
  assert.match(warnings[0] ?? '', /^\/c.json: the password of auths.r ends with a line end/);
  assert.deepEqual(auths.get('r'), { kind: 'password', user: 'me', password: 'hunter2\n' });
});

test('parseDockerConfig() reads a .dockercfg, which has no auths around its entries', () => {
  const { auths } = parseDockerConfig(JSON.stringify({ r: { auth: base64('me:hunter2') }, s: {} }), '.dockercfg');
  assert.deepEqual(Object.fromEntries(auths), { r: { kind: 'password', user: 'me', password: 'hunter2' }, s: undefined });
});

const broken: readonly (readonly [name: string, text: string, message: RegExp])[] = [
  ['a trailing comma', '{"auths":{},\n"x":"secret",}', /not JSON at line 2, column 14$/],
  ['a key that comes twice', '{"auths":{\n"r":{},"r":{"auth":"secret"}}}', /c\.json: it has a key twice at line 2, column 8$/],
  ['a list', '[]', /not a JSON object/],
  ['base64 of a file', base64('{"auths":{"r":{"auth":"secret"}}}'), /it is base64, .* has to be decoded$/],
  ['auths that are a list', '{"auths":[]}', /auths is not an object/],
  ['a helper with a path', '{"credHelpers":{"r":"../../bin/sh"}}', /credHelpers\.r is not the name of a helper/],
];
for (const [name, text, message] of broken) {
  test(`parseDockerConfig() refuses ${name}`, () => {
    assert.throws(
      () => parseDockerConfig(text, '/c.json'),
      (error) => error instanceof Error && message.test(error.message) && !error.message.includes('secret'),
    );
  });
}

test('parseDockerConfig() takes an empty file for one without entries, and says so', () => {
  const { auths, warnings } = parseDockerConfig(' \n', '/c.json');
  assert.deepEqual([auths.size, warnings], [0, ['/c.json is empty']]);
});

test('findEntry() takes the port of https for none, on either side', () => {
  assert.equal(findEntry(new Map([['gitlab.example', 'a']]), 'gitlab.example:443', 'group/x'), 'a');
  assert.equal(findEntry(new Map([['https://gitlab.example:443/v2/', 'a']]), 'gitlab.example', 'group/x'), 'a');
  assert.equal(findEntry(new Map([['gitlab.example', 'a']]), 'gitlab.example:5050', 'group/x'), undefined);
});

test('parseDockerConfig() bears a byte order mark, and null for nothing', () => {
  assert.equal(parseDockerConfig('\uFEFF{"auths":null,"credsStore":null}', 'x').auths.size, 0);
});

test('normalizeKey() knows the ways a host is written', () => {
  for (const key of ['https://index.docker.io/v1/', 'docker.io', 'registry-1.docker.io', 'index.docker.io']) {
    assert.equal(normalizeKey(key), 'index.docker.io');
  }
  assert.equal(normalizeKey('https://Reg.Example:5000/v2/'), 'reg.example:5000');
});

test('findEntry() takes the longest key of whole segments', () => {
  const entries = new Map([
    ['reg', 1],
    ['https://reg/org', 2],
    ['reg/org/proj/img', 3],
  ]);
  assert.equal(findEntry(entries, 'reg', 'org/proj/img'), 3);
  assert.equal(findEntry(entries, 'reg', 'org/proj'), 2);
  assert.equal(findEntry(entries, 'reg', 'org-admin/x'), 1);
  assert.equal(findEntry(entries, 'reg:5000', 'org'), undefined);
});
