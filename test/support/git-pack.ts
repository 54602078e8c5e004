// Packs and trees byte by byte, also such as git itself would never make.
import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';

export interface RawObject {
  readonly type: 'commit' | 'tree' | 'blob' | 'tag';
  readonly bytes: Buffer;
  /** What its head says instead of its length. */
  readonly claimedSize?: number;
}

/** An object's name. */
export function nameOf({ type, bytes }: RawObject): string {
  return createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex');
}

/** A blob of text. */
export function blob(text: string): RawObject {
  return { type: 'blob', bytes: Buffer.from(text) };
}

/** A tree of `mode name` and the object that is there. */
export function rawTree(entries: readonly (readonly [mode: string, name: string, object: RawObject])[]): RawObject {
  const parts = entries.map(([mode, name, object]) =>
    Buffer.concat([Buffer.from(`${mode} ${name}\0`, 'latin1'), Buffer.from(nameOf(object), 'hex')]),
  );
  return { type: 'tree', bytes: Buffer.concat(parts) };
}

/** A pack of these objects and of entries as they are. */
export function rawPack(objects: readonly RawObject[], entries: readonly Buffer[] = []): Buffer {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  header.writeUInt32BE(objects.length + entries.length, 8);
  const types = { commit: 1, tree: 2, blob: 3, tag: 4 } as const;
  const own = objects.map(({ type, bytes, claimedSize }) =>
    Buffer.concat([entryHead(types[type], claimedSize ?? bytes.length), deflateSync(bytes)]),
  );
  const body = Buffer.concat([header, ...own, ...entries]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

/** A delta against the object named `base`. */
export function refDelta(base: string, delta: Buffer): Buffer {
  return Buffer.concat([entryHead(7, delta.length), Buffer.from(base, 'hex'), deflateSync(delta)]);
}

/** What drops the first bytes of a base of `baseLength` and has `added` (fewer than 128) behind the rest; both lengths are above 127. */
export function shift(baseLength: number, dropped: number, added: string): Buffer {
  const kept = baseLength - dropped;
  const copy = [0xff, ...[0, 8, 16, 24].map((bits) => (dropped >> bits) & 255), ...[0, 8, 16].map((bits) => (kept >> bits) & 255)];
  return Buffer.from([...size(baseLength), ...size(kept + added.length), ...copy, added.length, ...Buffer.from(added)]);
}

function size(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...size(Math.floor(value / 128))];
}

/** A pack's entry with content that is compressed already. */
export function rawEntry(type: number, sizeBytes: number, compressed: Buffer): Buffer {
  return Buffer.concat([entryHead(type, sizeBytes), compressed]);
}

function entryHead(type: number, size: number): Buffer {
  const bytes: number[] = [];
  let rest = Math.floor(size / 16);
  let byte = (type << 4) | (size % 16);
  for (; rest > 0; rest = Math.floor(rest / 128)) {
    bytes.push(byte | 128);
    byte = rest % 128;
  }
  return Buffer.from([...bytes, byte]);
}
