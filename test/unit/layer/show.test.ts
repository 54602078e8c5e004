import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesFromBuffer } from '../../../src/bytes.ts';
import { show } from '../../../src/layer/show.ts';

for (const [what, text, shown] of [
  ['a name', 'a/b', '"a/b"'],
  ['nothing', '', '""'],
  ['quotes, line ends and escapes on one line', 'a"\n\x1b[1m', '"a\\"\\n\\u001b[1m"'],
  ['UTF-8', 'caf\xc3\xa9', '"café"'],
  ['what is not UTF-8', 'a\xff', '"a\ufffd"'],
  ['300 bytes', 'x'.repeat(300), `"${'x'.repeat(300)}"`],
  ['301 bytes, cut off', 'x'.repeat(301), `"${'x'.repeat(300)}…"`],
  ['UTF-8 that is cut off', '\xc3\xa9'.repeat(151), `"${'é'.repeat(150)}…"`],
  ['UTF-8 that is cut off within a character', `x${'\xc3\xa9'.repeat(151)}`, `"x${'é'.repeat(149)}\ufffd…"`],
] as const) {
  test(`show() shows ${what}`, () => assert.equal(show(bytesFromBuffer(Buffer.from(text, 'latin1'))), shown));
}
