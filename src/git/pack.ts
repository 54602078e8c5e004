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

/** Deltas in a row: git makes no more (pack.depth in git-config(1)), and each of them is work for every one behind it. */
const maxDeltas = 4095;
/** Of objects that wait for their deltas to be made: more of them are made anew when their turn comes. */
const heldLimitBytes = 1 << 26;
/** Objects, and bytes of them, after which others have their turn. */
const breathObjects = 512;
const breathBytes = 1 << 23;

/** An object that has deltas which are not made yet. */
interface Base {
  readonly offset: number;
  readonly type: ObjectType;
  /** Absent where too many are held. */
  readonly bytes?: Buffer;
  readonly waiting: readonly number[];
  readonly depth: number;
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
    const breath = new Breath(signal);
    for (let number = 0; number < count; number += 1) {
      const head = this.#bytes.head(offset);
      const { base } = head;
      await breath.after(Math.min(head.sizeBytes, streamAboveBytes));
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
    const resolved = deltaCount === 0 ? 0 : await this.#resolve(deltas, breath);
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
  async #resolve(deltas: ReadonlyMap<number | string, readonly number[]>, breath: Breath): Promise<number> {
    let count = 0;
    let heldBytes = 0;
    const stack: Base[] = [];
    const add = (id: string, offset: number, { type, bytes }: Partial<PackObject>, depth: number): void => {
      const waiting = [...(deltas.get(offset) ?? []), ...(deltas.get(id) ?? [])];
      if (waiting.length === 0) return;
      if (depth === maxDeltas) throw this.#bytes.damaged(`more than ${maxDeltas} deltas are made of each other`);
      const isHeld = bytes !== undefined && heldBytes + bytes.length <= heldLimitBytes;
      if (isHeld) heldBytes += bytes.length;
      stack.push({ offset, waiting, depth, type: type ?? 'blob', ...(isHeld ? { bytes } : {}) });
    };
    const whole = [...this.#offsets]; // what deltas become is entered while we walk
    for (const [id, offset] of whole) {
      add(id, offset, {}, 0);
      for (let base = stack.pop(); base !== undefined; base = stack.pop()) {
        heldBytes -= base.bytes?.length ?? 0;
        const { type, bytes } = base.bytes === undefined ? this.#readAt(base.offset) : { type: base.type, bytes: base.bytes };
        for (const delta of base.waiting) {
          const made = this.#apply(bytes, this.#bytes.head(delta));
          await breath.after(made.length);
          const name = nameOf(type, made);
          const isNew = !this.#offsets.has(name);
          if (isNew) this.#offsets.set(name, delta);
          count += 1;
          // Two deltas to one object: what waits for its id has had its turn.
          add(isNew ? name : '', delta, { type, bytes: made }, base.depth + 1);
        }
      }
    }
    return count;
  }
}

/** Lets others have their turn, and hears of an abort: everything else here is synchronous. */
class Breath {
  readonly #signal: AbortSignal;
  #objects = 0;
  #bytes = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  async after(bytes: number): Promise<void> {
    this.#objects += 1;
    this.#bytes += bytes;
    if (this.#objects < breathObjects && this.#bytes < breathBytes) return;
    this.#objects = this.#bytes = 0;
    await setImmediate();
    this.#signal.throwIfAborted();
  }
}

function nameOf(type: ObjectType, bytes: Buffer): string {
  return createHash('sha1').update(`${type} ${bytes.length}\0`).update(bytes).digest('hex');
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
