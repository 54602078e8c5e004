import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DockerfileError } from '../../../src/errors.ts';
import { formatDockerfileError, formatPlace } from '../../../src/dockerfile/message.ts';
import { parseDockerfile } from '../../../src/dockerfile/parse.ts';

function show(text: string, from: readonly [number, number], to: readonly [number, number], hint?: string): string {
  const range = { start: { line: from[0], column: from[1] }, end: { line: to[0], column: to[1] } };
  return formatDockerfileError(
    new DockerfileError('Cannot do it: no', range, hint === undefined ? {} : { hint }),
    text,
    'docker/Dockerfile',
  );
}

test('a range over several lines is marked on each', () => {
  assert.equal(
    show('FROM a\nRUN x \\\n    y \\\n  z && w\n', [2, 5], [4, 4]),
    `Cannot do it: no
  ┌─ docker/Dockerfile:2:5
1 │ FROM a
2 │ RUN x \\
  │     ^^^
3 │     y \\
  │     ^^^
4 │   z && w
  │   ^`,
  );
});

test('a long range is cut after eight lines, and says where it ends', () => {
  const text = `RUN <<E\n${'x\n'.repeat(20)}E\n`;
  const lines = show(text, [1, 1], [22, 2]).split('\n');
  assert.equal(lines.at(-1), '  │ … up to line 22');
  assert.equal(lines.length, 2 + 8 * 2 + 1);
});

test('line numbers of different width stay aligned', () => {
  const block = show('RUN x\n'.repeat(10), [10, 5], [10, 6], 'try');
  assert.equal(block, 'Cannot do it: no\n   ┌─ docker/Dockerfile:10:5\n 9 │ RUN x\n10 │ RUN x\n   │     ^\n   = help: try');
});

test('a blank line above is not shown', () => {
  assert.equal(show('FROM a\n\nRUN x\n', [3, 1], [3, 4]).split('\n').length, 4);
});

test('carets stand under their word behind tabs and wide characters', () => {
  const [, , , line, carets] = show('FROM a\n\t名前 x\n', [2, 5], [2, 6]).split('\n');
  assert.equal(line, '2 │     名前 x');
  assert.equal(carets, '  │          ^');
});

test('a place past the end of the file is still named', () => {
  assert.equal(show('FROM a\n', [9, 3], [9, 4]), 'Cannot do it: no\n  ┌─ docker/Dockerfile:9:3');
});

test('random text gives a Dockerfile or a message, and never anything else', () => {
  const words = [
    'FROM',
    'RUN',
    'COPY',
    'ONBUILD',
    'ENV',
    'x',
    'a=b',
    '"',
    "'",
    '\\',
    '`',
    '\n',
    '\n',
    '\r\n',
    ' ',
    '\t',
    '<<E',
    '<<-"E"',
    'E',
    '\nE\n',
    '[',
    '"a"',
    ']',
    ',',
    '$',
    '{',
    '}',
    '#',
    '--from=',
    '--',
    '\v',
    '\u00a0',
    '# escape=`\n',
    '∂',
    '𝄞',
  ];
  let seed = 7;
  const random = (limit: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * limit);
  };
  let parsed = 0;
  for (let round = 0; round < 3000; round++) {
    const text = `${round % 2 === 0 ? 'FROM a\n' : ''}${Array.from({ length: random(30) }, () => words[random(words.length)] ?? '').join(random(2) === 0 ? ' ' : '')}`;
    try {
      parseDockerfile(text, 'Dockerfile');
      parsed++;
    } catch (error) {
      assert.ok(error instanceof DockerfileError, `${JSON.stringify(text)}: ${String(error)}`);
      const { start, end } = error.range;
      assert.ok(
        start.line >= 1 && start.column >= 1 && (end.line > start.line || end.column > start.column),
        JSON.stringify({ text, range: error.range }),
      );
      assert.match(formatDockerfileError(error, text, 'D'), /┌─ D:\d+:\d+/);
    }
  }
  assert.ok(parsed > 100 && parsed < 2900, `${parsed} of 3000 parsed`);
});

test('formatPlace() hides the password of a URL and keeps the columns', () => {
  const range = { start: { line: 1, column: 1 }, end: { line: 1, column: 31 } };
  const [, line = '', carets = ''] = formatPlace(range, 'ADD https://u:can@ry@h/r.git /x', 'Dockerfile');
  assert.equal(line, '1 │ ADD https://xxxxxxxx@h/r.git /x');
  assert.equal(carets.trimEnd().length, line.length - 1);
});

test('formatPlace() hides the password of what is no name of a base', () => {
  for (const [text, shown] of [
    ['FROM u:pw@host/x', 'FROM xxxx@host/x'],
    ['  from --platform=linux/amd64 u:pw@host:5000/x AS y', '  from --platform=linux/amd64 xxxx@host:5000/x AS y'],
    ['FROM host/x@sha256:ab', 'FROM host/x@sha256:ab'],
  ] as const) {
    const place = formatPlace({ start: { line: 1, column: 1 }, end: { line: 1, column: 2 } }, text, 'Dockerfile');
    assert.ok(
      place.some((line) => line.endsWith(`│ ${shown}`)),
      place.join('\n'),
    );
  }
});
