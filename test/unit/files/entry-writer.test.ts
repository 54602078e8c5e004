// Writing entries is synchronous work, and must not keep all else from its turn: the longest sign of life that is missed counts.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { bytesFromText } from '../../../src/bytes.ts';
import { EntryWriter } from '../../../src/files/entry-writer.ts';
import { plainRoot } from '../../../src/files/root.ts';
import type { Entry } from '../../../src/layer/entry.ts';
import { temporaryFolder } from '../../support/tree.ts';

test('writeAll() lets timers have their turn, however few entries take however long', async (context) => {
  const writer = new EntryWriter(plainRoot(bytesFromText(temporaryFolder(context))), {
    kind: 'new',
    keepsOwners: false,
    refuseXattr: () => undefined,
  });
  const metadata = { mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: new Map<string, Buffer>() };
  const entries = Array.from({ length: 40 }, (_, number): Entry => {
    return { ...metadata, type: 'file', path: bytesFromText(String(number)), size: 0 };
  });
  let signs = 0;
  const pulse = setInterval(() => signs++, 10);
  context.after(() => clearInterval(pulse));
  await writer.writeAll(entries, new AbortController().signal, async () => {
    for (const end = performance.now() + 10; performance.now() < end;);
    await Promise.resolve();
  });
  assert.ok(signs >= 3, `${signs} signs in 400 ms`);
});

test('a file whose content breaks off is taken away again', async (context) => {
  const folder = temporaryFolder(context);
  const writer = new EntryWriter(plainRoot(bytesFromText(folder)), { kind: 'layer', keepsOwners: false, refuseXattr: () => undefined });
  const metadata = { mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: new Map<string, Buffer>() };
  const content = (function* () {
    yield Buffer.from('half');
    throw new Error('no more');
  })();
  const entry: Entry = { ...metadata, type: 'file', path: bytesFromText('a'), size: 8, content };
  await assert.rejects(writer.writeAll([entry], new AbortController().signal), /no more/);
  assert.deepEqual(readdirSync(folder), []);
});
