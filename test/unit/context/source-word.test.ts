// Which words are repositories, which are URLs, and what of them may be shown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isGitContext, isGitSource, isUrlSource } from '../../../src/context/source-word.ts';
import { DockerfileError, hideCredentials } from '../../../src/errors.ts';

for (const [word, isSource, isPlace, isUrl] of [
  ['https://h/r.git', true, true, false],
  ['https://h/r.git#main:x', true, true, false],
  ['https://h/r.git?tag=v1', true, true, false],
  ['http://h/r.git', true, true, false],
  ['https://h/r.git/file', false, false, true],
  ['https://h/archive.tar.gz', false, false, true],
  ['https://h/x?y=r.git', false, false, true],
  ['git@h:r', true, true, false],
  ['ssh://h/r', true, true, false],
  ['git://h/r', true, true, false],
  ['github.com/a/b', false, true, false],
  ['./git@h:r', false, false, false],
  ['../r.git', false, false, false],
  ['r.git', false, false, false],
] as const) {
  test(`${word} is ${isSource ? 'a repository' : isUrl ? 'a URL' : 'a path'} to ADD`, () => {
    assert.deepEqual([isGitSource(word), isGitContext(word), isUrlSource(word)], [isSource, isPlace, isUrl]);
  });
}

test('hideCredentials() hides users and passwords of URLs and leaves the rest', () => {
  assert.equal(hideCredentials('ADD https://u:p@h/a https://t@h/b /x'), 'ADD https://xxxxx:xxxxx@h/a https://xxxxx@h/b /x');
  assert.equal(hideCredentials('ADD https://u:p@w@h/a /x'), 'ADD https://xxxxx:xxxxx@h/a /x');
  assert.equal(hideCredentials('ADD ssh://git:p@h/r /x'), 'ADD ssh://xxxxx:xxxxx@h/r /x');
  assert.equal(hideCredentials('ADD https://u:p/w#?@h:99/a@b https://u:1p/@h /x'), 'ADD https://xxxxx:xxxxx@b https://xxxxx:xxxxx@h /x');
  for (const text of [
    'https://h/a@b',
    'git@h:r',
    'ssh://git@h/r',
    'https://h?x=a@b',
    'http://h:80/a@b',
    'http://h:$P/a@b',
    'http://[::1]:80/a@b',
  ])
    assert.equal(hideCredentials(text), text);
});

test('no failure tells the password of a URL, whatever it says of it', () => {
  const range = { start: { line: 1, column: 1 }, end: { line: 1, column: 2 } };
  const { message, hint } = new DockerfileError("Cannot add 'https://u:se/kret@h': it is no URL", range, {
    hint: 'leave out https://sekret@',
  });
  assert.deepEqual([message, hint], ["Cannot add 'https://xxxxx:xxxxx@h': it is no URL", 'leave out https://xxxxx@']);
});
