import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { type OpenFile, openFile } from '../../../src/files/read-file.ts';
import { temporaryFolder } from '../../support/tree.ts';

function textOf({ chunks }: OpenFile<unknown>): string {
  return Array.from(chunks, (chunk) => chunk.toString('latin1')).join('');
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('openFile() gives files of all sizes as they are, and each its own bytes while others are open', (context) => {
  const folder = temporaryFolder(context);
  const texts = [0, 1, 5, 256 * 1024, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 3 * 1024 * 1024 + 7].map((size, index) =>
    String(index).repeat(size),
  );
  const paths = texts.map((text, index) => {
    writeFileSync(join(folder, String(index)), text);
    return bytesFromText(join(folder, String(index)));
  });
  const before = openDescriptors();
  const files = paths.map((path) => openFile(path));
  for (const [index, file] of files.entries()) {
    assert.equal(file.size, texts[index]?.length);
    assert.ok(textOf(file) === texts[index], `${texts[index]?.length} bytes`);
  }
  for (const { close } of [...files, ...files]) close(); // a second time does nothing
  assert.equal(openDescriptors(), before);
  const [a, b] = [openFile(bytesFromText(join(folder, '1'))), openFile(bytesFromText(join(folder, '2')))];
  assert.deepEqual([textOf(a), textOf(b)], ['1', '22222']);
  for (const { close } of [a, b]) close();
});

test('openFile() refuses a large file that is shorter or longer than it was when its size was told', (context) => {
  const folder = temporaryFolder(context);
  for (const [name, change] of [
    ['grows', (path: string) => appendFileSync(path, 'more')],
    ['shrinks', (path: string) => truncateSync(path, 2 * 1024 * 1024)],
  ] as const) {
    const path = join(folder, name);
    writeFileSync(path, Buffer.alloc(3 * 1024 * 1024));
    const file = openFile(bytesFromText(path));
    change(path);
    assert.throws(() => textOf(file), { code: 'ERR_ROOTFS', message: /its size keeps changing/ });
    file.close();
  }
});
