// What people write for a repository, and what it means.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseContextLocation, parseLocation } from '../../../src/git/location.ts';
import { describeRemote, isSameServer, parseRemote, resolveRemote } from '../../../src/git/remote.ts';

const sha = 'a'.repeat(40);

for (const [text, remote, rest] of [
  ['https://github.com/a/b.git', 'https://github.com/a/b.git', {}],
  ['https://HOST.x:8443/a/b.git#main', 'https://host.x:8443/a/b.git', { ref: 'main' }],
  ['https://h/r.git#v1:sub/dir', 'https://h/r.git', { ref: 'v1', folder: 'sub/dir' }],
  ['https://h/r.git#:sub/./dir/', 'https://h/r.git', { folder: 'sub/dir' }],
  ['https://h/r.git#refs/heads/x#' + sha, 'https://h/r.git', { ref: 'refs/heads/x', checksum: sha, fetchesByCommit: true }],
  ['https://h/r.git?ref=v1&subdir=x', 'https://h/r.git', { ref: 'v1', folder: 'x' }],
  ['https://h/r.git?branch=b', 'https://h/r.git', { ref: 'refs/heads/b' }],
  ['https://h/r.git?tag=t', 'https://h/r.git', { ref: 'refs/tags/t' }],
  ['https://h/r.git?tag=refs/tags/t', 'https://h/r.git', { ref: 'refs/tags/t' }],
  [`https://h/r.git?checksum=sha1:${sha}`, 'https://h/r.git', { checksum: sha }],
  ['https://h/r.git?commit=ABCDEF1&fetch-by-commit=1', 'https://h/r.git', { checksum: 'abcdef1', fetchesByCommit: true }],
  [
    'https://h/r.git?keep-git-dir&submodules=0&mtime=commit',
    'https://h/r.git',
    { keepsGitFolder: true, submodules: false, mtime: 'commit' },
  ],
  ['https://h/r.git?ref=v1#v1:x', 'https://h/r.git', { ref: 'v1', folder: 'x' }],
  ['https://user:pass@h/r.git', 'https://h/r.git', {}],
  ['https://oauth2:5f3a@h/r.git', 'https://h/r.git', {}],
  ['https://oauth2:22@[::1]:8443/r.git', 'https://[::1]:8443/r.git', {}],
  ['git@github.com:a/b.git#main', 'ssh://git@github.com/a/b.git', { ref: 'main' }],
  ['git@github.com:/abs/b.git', 'ssh://git@github.com/abs/b.git', {}],
  ['ssh://git@h:2222/a/b.git', 'ssh://git@h:2222/a/b.git', {}],
  ['ssh://h/~me/b', 'ssh://h/~me/b', {}],
  ['ssh://[::1]:22/b', 'ssh://[::1]:22/b', {}],
  ['git://h/a%20b.git', 'git://h/a b.git', {}],
  ['http://127.0.0.1:3000/r.git', 'http://127.0.0.1:3000/r.git', {}],
] as const) {
  test(`parseLocation() reads ${text}`, () => {
    const none = {
      ref: undefined,
      folder: undefined,
      checksum: undefined,
      fetchesByCommit: false,
      keepsGitFolder: undefined,
      submodules: undefined,
      mtime: 'checkout',
    };
    const { remote: found, ...others } = parseLocation(text);
    assert.equal(describeRemote(found), remote);
    assert.deepEqual(others, { ...none, ...rest });
  });
}

for (const [text, code, says] of [
  ['https://h/r.git#--upload-pack=touch /x', 'ERR_CONTEXT', /is no name of a branch/],
  ['https://h/r.git#-b', 'ERR_CONTEXT', /is no name of a branch/],
  ['https://h/r.git#a..b', 'ERR_CONTEXT', /is no name of a branch/],
  ['https://h/r.git#a\n0000', 'ERR_CONTEXT', /is no name of a branch/],
  ['https://h/r.git?ref=a%0a0000', 'ERR_CONTEXT', /is no name of a branch/],
  ['https://h/r.git#a b', 'ERR_CONTEXT', /is no name of a branch/],
  ['https://h/r.git#x.lock', 'ERR_CONTEXT', /is no name of a branch/],
  ['https://h/r.git#main:../x', 'ERR_UNSAFE_PATH', /leads out of it/],
  ['https://h/r.git#main:a/../../x', 'ERR_UNSAFE_PATH', /leads out of it/],
  ['https://h/r.git#main:/etc', 'ERR_UNSAFE_PATH', /leads out of it/],
  ['https://h/r.git?subdir=%2fetc', 'ERR_UNSAFE_PATH', /leads out of it/],
  ['https://h/r.git#a#b#c', 'ERR_CONTEXT', /more than two #/],
  ['https://h/r.git#main#nocommit', 'ERR_CONTEXT', /is no commit/],
  ['https://h/r.git?checksum=xyz', 'ERR_CONTEXT', /is no commit/],
  ['https://h/r.git?reff=x', 'ERR_CONTEXT', /no use for "reff"/],
  ['https://h/r.git?tag=a&branch=b', 'ERR_CONTEXT', /both branch and tag/],
  ['https://h/r.git?tag=a&tag=b', 'ERR_CONTEXT', /says tag twice/],
  ['https://h/r.git?ref=a#b', 'ERR_CONTEXT', /says twice which ref/],
  ['https://h/r.git?submodules=perhaps', 'ERR_CONTEXT', /neither true nor false/],
  ['https://h/r.git?mtime=never', 'ERR_CONTEXT', /neither checkout nor commit/],
  ['https://h/', 'ERR_CONTEXT', /no path/],
  ['https:///r.git', 'ERR_CONTEXT', /no path|not a valid URL/],
  ['file:///r.git', 'ERR_UNSUPPORTED', /file is no protocol/],
  ['ext::sh', 'ERR_UNSUPPORTED', /ext is no protocol/],
  ['git@-oProxyCommand=x:r', 'ERR_CONTEXT', /neither a URL/],
  ['ssh://-oProxyCommand=x/r', 'ERR_CONTEXT', /no host|not a valid URL/],
  ['git@h:-x', 'ERR_CONTEXT', /taken for an option/],
  ['ssh://-x@h/r', 'ERR_CONTEXT', /taken for an option/],
  ['git://h/a%0ahost=evil', 'ERR_CONTEXT', /taken for an option/],
  ['/local/path', 'ERR_CONTEXT', /neither a URL/],
] as const) {
  test(`parseLocation() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseLocation(text), { code, message: says });
  });
}

test('a refusal repeats no password and no query', () => {
  const places = ['https://user:canary@h/r.git#-x', 'https://h/r.git?token=canary', 'ftp://canary@h/x'];
  // Passwords as they come out of a variable, with what a URL has other meanings for.
  for (const odd of ['#', '/', '?', '@/', '\\']) places.push(`git://user:canary${odd}canary@h.example/r.git`);
  for (const text of places) {
    assert.throws(
      () => parseLocation(text),
      (error: unknown) => error instanceof Error && !error.message.includes('canary'),
      text,
    );
  }
});

test('parseContextLocation() takes git:// for GIT_PULL_METHOD unless git’s port is written out', () => {
  assert.equal(describeRemote(parseContextLocation('git://github.com/a/b.git#x', 'https').remote), 'https://github.com/a/b.git');
  assert.equal(describeRemote(parseContextLocation('git://h:8080/b.git', 'http').remote), 'http://h:8080/b.git');
  assert.equal(describeRemote(parseContextLocation('git://h:9418/b.git', 'https').remote), 'git://h:9418/b.git');
  assert.equal(describeRemote(parseContextLocation('github.com/a/b#x', 'http').remote), 'https://github.com/a/b');
});

for (const [parent, url, expected] of [
  ['https://h/g/a.git', '../b.git', 'https://h/g/b.git'],
  ['https://h/g/a.git/', '../../b', 'https://h/b'],
  ['https://h/g/a.git', './b', 'https://h/g/a.git/b'],
  ['https://h/g/a.git', 'ssh://git@k/b', 'ssh://git@k/b'],
  ['git@h:g/a.git', '../b.git', 'ssh://git@h/g/b.git'],
  ['https://h/a.git', 'git@k:b', 'ssh://git@k/b'],
] as const) {
  test(`resolveRemote() finds ${url} of ${parent}`, () => assert.equal(describeRemote(resolveRemote(parseRemote(parent), url)), expected));
}

for (const url of ['../../../b', '../x/../../b', './a/../b', '../b\n', '/etc', '']) {
  test(`resolveRemote() refuses ${JSON.stringify(url)}`, () => assert.throws(() => resolveRemote(parseRemote('https://h/g/a.git'), url)));
}

test('isSameServer() looks at protocol, host and port', () => {
  const one = parseRemote('https://h/a');
  assert.ok(isSameServer(one, parseRemote('https://H/b')));
  for (const other of ['http://h/a', 'https://h:8443/a', 'https://h.evil/a']) assert.ok(!isSameServer(one, parseRemote(other)), other);
});
