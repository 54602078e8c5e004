// An archive of a test, read whole.
import assert from 'node:assert/strict';
import type { Entry } from '../../src/layer/entry.ts';
import { readEntries } from '../../src/layer/read.ts';
import { type TarOptions, chunks, tar } from './tar.ts';

export interface ReadEntry {
  /** Without its content and where that begins: what two archives with the same entries have in common. */
  readonly entry: Omit<Entry, 'content'>;
  /** One character a byte. */
  readonly content: string;
}

/** Every entry with its content; warnings are added to `warnings`. */
export async function readArchive(archive: Buffer, chunkSize?: number, warnings: string[] = []): Promise<ReadEntry[]> {
  const found: ReadEntry[] = [];
  const warn = (message: string): void => void warnings.push(message);
  for await (const entry of readEntries(chunks(archive, chunkSize), new AbortController().signal, warn)) {
    const parts: Buffer[] = [];
    for await (const part of entry.content ?? []) parts.push(Buffer.from(part));
    const { content: _content, ...rest } = entry;
    found.push({ entry: rest, content: Buffer.concat(parts).toString('latin1') });
  }
  return found;
}

/** The one entry of an archive. */
export async function readOnly(options: TarOptions): Promise<ReadEntry> {
  const [first, ...more] = await readArchive(tar([options]));
  assert.equal(more.length, 0);
  assert.ok(first !== undefined);
  return first;
}

/** Asserts that an archive is refused, in one line. */
export async function assertRefused(archive: Buffer, message: RegExp): Promise<void> {
  await assert.rejects(readArchive(archive), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ERR_LAYER');
    assert.match(error.message, message);
    assert.ok(error.message.length < 1000 && !error.message.includes('\n'), 'the message is one short line');
    return true;
  });
}
