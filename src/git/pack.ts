// A pack as objects by name. Opening it reads it once, checks every object by its hash, and remembers only where each is.
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { applyDelta } from './delta.ts';
import { type EntryHead, type ObjectType, PackBytes } from './pack-bytes.ts';

export interface PackObject {
  readonly type: ObjectType;
  readonly bytes: Buffer;
}

export interface PackBlob {
  readonly sizeBytes: number;
  readonly content: AsyncIterable<Buffer>;
}

/** Undeltified blobs above this pass through in pieces. */
const streamAboveBytes = 1 << 22;

/** An open pack; close it when done. */
export class Pack {
  readonly #fd: number;
  readonly #bytes: PackBytes;
  /** Offset by id. */
  readonly #offsets = new Map<string, number>();

  private constructor(fd: number, bytes: PackBytes) {
    this.#fd = fd;
    this.#bytes = bytes;
  }

  /** Opens and checks the pack at `path`. `name` is for messages. @throws ERR_CONTEXT where it is damaged */
  static async open(path: string, name: string, signal: AbortSignal): Promise<Pack> {
    const fd = openSync(path, 'r');
    const pack = new Pack(fd, new PackBytes(fd, fstatSync(fd).size, name));
    try {
      await pack.#index(signal);
      return pack;
    } catch (error) {
      pack.close();
      throw error;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  has(id: string): boolean {
    return this.#offsets.has(id);
  }

  /** Ids and where they are, sorted by id. */
  list(): readonly (readonly [id: string, offset: number])[] {
    return [...this.#offsets].sort(([one], [other]) => (one < other ? -1 : 1));
  }

  /** Raw bytes of the file; fewer at its end. */
  raw(offset: number, length: number): Buffer {
    return this.#bytes.at(offset, length);
  }

  /** How many objects it has. */
  get size(): number {
    return this.#offsets.size;
  }

  /** Where the pack's own checksum begins. */
  get end(): number {
    return this.#bytes.end;
  }

  /** An object in memory. @throws ERR_CONTEXT where there is none */
  read(id: string): PackObject {
    return this.#readAt(this.#offsetOf(id));
  }

  /** A blob's content, in pieces where it is large and no delta. @throws ERR_CONTEXT where there is none */
  blob(id: string): PackBlob {
    const offset = this.#offsetOf(id);
    const head = this.#bytes.head(offset);
    if (head.type === 'blob' && head.sizeBytes > streamAboveBytes) return { sizeBytes: head.sizeBytes, content: this.#bytes.stream(head) };
    const { type, bytes } = this.#readAt(offset);
    if (type !== 'blob') throw this.#bytes.damaged(`${id} is a ${type} where a file has to be`);
    return { sizeBytes: bytes.length, content: once(bytes) };
  }

  #offsetOf(id: string): number {
    const offset = this.#offsets.get(id);
    if (offset === undefined) throw this.#bytes.damaged(`it has no object ${id}`);
    return offset;
  }

  #readAt(offset: number): PackObject {
    const deltas: EntryHead[] = [];
    let head = this.#bytes.head(offset);
    // A base lies before its delta, or is named by a hash: either way there is no circle, which the index has proved.
    while (head.type === 'delta') {
      deltas.push(head);
      head = this.#bytes.head(typeof head.base === 'number' ? head.base : this.#offsetOf(head.base ?? ''));
    }
    const { type } = head;
    let { bytes } = this.#bytes.inflate(head);
    for (let delta = deltas.pop(); delta !== undefined; delta = deltas.pop()) bytes = this.#apply(bytes, delta);
    return { type, bytes };
  }

  #apply(base: Buffer, delta: EntryHead): Buffer {
    const bytes = applyDelta(base, this.#bytes.inflate(delta).bytes);
    if (bytes === undefined) throw this.#bytes.damaged('a delta does not fit its base');
    return bytes;
  }

  async #index(signal: AbortSignal): Promise<void> {
    const header = this.#bytes.end < 12 ? Buffer.alloc(12) : this.#bytes.at(0, 12);
    if (header.toString('latin1', 0, 4) !== 'PACK' || header.readUInt32BE(4) !== 2) throw this.#bytes.damaged('it is no pack');
    const count = header.readUInt32BE(8);
    const deltas = new Map<number | string, number[]>();
    let offset = 12;
    let deltaCount = 0;
    for (let number = 0; number < count; number += 1) {
      if (number % 512 === 0) await breathe(signal);
      const head = this.#bytes.head(offset);
      const { base } = head;
      if (base === undefined) offset = await this.#enter(offset, head);
      else {
        const waiting = deltas.get(base);
        if (waiting === undefined) deltas.set(base, [offset]);
        else waiting.push(offset);
        deltaCount += 1;
        offset = this.#bytes.inflate(head).next;
      }
    }
    if (offset !== this.#bytes.end) throw this.#bytes.damaged('it has more in it than it says');
    const resolved = deltaCount === 0 ? 0 : await this.#resolve(deltas, signal);
    if (resolved !== deltaCount) throw this.#bytes.damaged('a delta has no base in it');
  }

  async #enter(offset: number, head: EntryHead): Promise<number> {
    if (head.type === 'delta') return offset;
    if (head.type !== 'blob' || head.sizeBytes <= streamAboveBytes) {
      const { bytes, next } = this.#bytes.inflate(head);
      this.#offsets.set(nameOf(head.type, bytes), offset);
      return next;
    }
    const hash = createHash('sha1').update(`blob ${head.sizeBytes}\0`);
    let next = 0;
    for await (const chunk of this.#bytes.stream(head, (end) => (next = end))) hash.update(chunk);
    this.#offsets.set(hash.digest('hex'), offset);
    return next;
  }

  // Depth first, so that a base is let go of as soon as its last delta is made.
  async #resolve(deltas: ReadonlyMap<number | string, readonly number[]>, signal: AbortSignal): Promise<number> {
    let count = 0;
    const stack: { readonly offset: number; readonly base: PackObject }[] = [];
    const add = (id: string, offset: number, object: () => PackObject): void => {
      const waiting = [...(deltas.get(offset) ?? []), ...(deltas.get(id) ?? [])];
      if (waiting.length === 0) return;
      const base = object();
      for (const delta of waiting) stack.push({ offset: delta, base });
    };
    const whole = [...this.#offsets]; // what deltas become is entered while we walk
    for (const [id, offset] of whole) {
      add(id, offset, () => this.#readAt(offset));
      for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
        if (count % 512 === 0) await breathe(signal);
        const { type } = next.base;
        const bytes = this.#apply(next.base.bytes, this.#bytes.head(next.offset));
        const made = nameOf(type, bytes);
        const isNew = !this.#offsets.has(made);
        if (isNew) this.#offsets.set(made, next.offset);
        count += 1;
        // Two deltas to one object: what waits for its id has had its turn.
        const { offset: at } = next;
        add(isNew ? made : '', at, () => ({ type, bytes }));
      }
    }
    return count;
  }
}

function nameOf(type: ObjectType, bytes: Buffer): string {
  return createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex');
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function breathe(signal: AbortSignal): Promise<void> {
  await setImmediate();
  signal.throwIfAborted();
}
