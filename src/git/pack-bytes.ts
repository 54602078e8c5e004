// A pack on disk, read at any place through one window: never the whole of it in memory. gitformat-pack(5).
import { readSync } from 'node:fs';
import { constants, createInflate, inflateSync } from 'node:zlib';
import { Readable } from 'node:stream';
import { BuilderError, systemCode } from '../errors.ts';

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag';

/** What stands before an object's compressed bytes. */
export interface EntryHead {
  readonly type: ObjectType | 'delta';
  /** Of what the bytes inflate to. */
  readonly sizeBytes: number;
  /** For a delta: where in the pack its base is, or the base's id. */
  readonly base: number | string | undefined;
  /** Where the compressed bytes begin. */
  readonly start: number;
}

/** What is inflated at once; larger things only exist as deltas, which are made in memory. */
const memoryLimitBytes = 1 << 29;
/** Of a directory, a commit or a tag, which git never streams: a directory of half a million files has no more. */
const ownLimitBytes = 1 << 25;
const windowBytes = 1 << 20;
const idBytes = 20;

/** Reads heads and contents of a pack's entries. */
export class PackBytes {
  readonly #fd: number;
  readonly #name: string;
  /** Where the closing checksum begins. */
  readonly end: number;
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;

  constructor(fd: number, sizeBytes: number, name: string) {
    this.#fd = fd;
    this.#name = name;
    this.end = sizeBytes - idBytes;
  }

  /** Up to `length` bytes from `offset`; fewer only at the end. */
  at(offset: number, length: number): Buffer {
    const wanted = Math.min(length, this.end + idBytes - offset);
    const begin = offset - this.#windowStart;
    if (begin >= 0 && begin + wanted <= this.#window.length) return this.#window.subarray(begin, begin + wanted);
    const buffer = Buffer.allocUnsafe(Math.max(wanted, Math.min(windowBytes, this.end + idBytes - offset)));
    let done = 0;
    while (done < buffer.length) {
      const count = readSync(this.#fd, buffer, done, buffer.length - done, offset + done);
      if (count === 0) throw this.damaged('it ends too early');
      done += count;
    }
    this.#window = buffer;
    this.#windowStart = offset;
    return buffer.subarray(0, wanted);
  }

  /** @throws ERR_CONTEXT where no entry can be */
  head(offset: number): EntryHead {
    if (offset < 12 || offset >= this.end) throw this.damaged('an object lies outside of it');
    const bytes = this.at(offset, 64);
    let index = 0;
    const byte = (): number => {
      const value = bytes[index];
      if (value === undefined) throw this.damaged('it ends too early');
      index += 1;
      return value;
    };
    let value = byte();
    const kind = (value >> 4) & 7;
    let size = value & 15;
    for (let scale = 16; value >= 128; scale *= 128) {
      value = byte();
      size += (value & 127) * scale;
    }
    if (!Number.isSafeInteger(size)) throw this.damaged('an object has an impossible size');
    const type = types[kind];
    if (type !== undefined) return { type, sizeBytes: size, base: undefined, start: offset + index };
    if (kind === 7) {
      const base = bytes.toString('hex', index, index + idBytes);
      return { type: 'delta', sizeBytes: size, base, start: offset + index + idBytes };
    }
    if (kind !== 6) throw this.damaged('an object is of no known type');
    value = byte();
    let back = value & 127;
    while (value >= 128) {
      value = byte();
      back = (back + 1) * 128 + (value & 127);
    }
    return { type: 'delta', sizeBytes: size, base: offset - back, start: offset + index };
  }

  /** An entry's bytes, inflated, and where the next entry begins. @throws ERR_CONTEXT where they are not as the head says */
  inflate({ start, sizeBytes, type }: EntryHead): { readonly bytes: Buffer; readonly next: number } {
    if (sizeBytes > (type === 'blob' || type === 'delta' ? memoryLimitBytes : ownLimitBytes))
      throw new BuilderError(
        'ERR_UNSUPPORTED',
        `Cannot read ${this.#name}: an object of ${sizeBytes} bytes (${type}) would have to fit into memory`,
      );
    // zlib makes data longer by a thousandth at worst; what packs it worse than that gets one more chance, as it may go on without end.
    const usual = sizeBytes + (sizeBytes >> 8) + 1024;
    for (let length = usual; ; length *= 8) {
      const input = this.at(start, length);
      try {
        const chunkSize = Math.max(64, Math.min(sizeBytes, 1 << 20));
        const found: unknown = inflateSync(input, { info: true, chunkSize, maxOutputLength: Math.max(sizeBytes, 1) });
        const { buffer, engine } = inflated(found);
        if (buffer.length !== sizeBytes) throw this.damaged('an object is shorter than it says');
        return { bytes: buffer, next: start + engine.bytesWritten };
      } catch (error) {
        if (systemCode(error) === 'Z_BUF_ERROR' && input.length === length && length === usual) continue;
        if (error instanceof BuilderError) throw error;
        throw this.damaged('an object can not be inflated', error);
      }
    }
  }

  /** As `inflate`, for any size: the bytes pass by, and `next` is known at the end. */
  async *stream({ start, sizeBytes }: EntryHead, onEnd?: (next: number) => void): AsyncGenerator<Buffer> {
    const inflater = createInflate({ finishFlush: constants.Z_SYNC_FLUSH, chunkSize: 1 << 18 });
    const source = Readable.from(this.#from(start));
    let seen = 0;
    try {
      source.on('error', (error) => inflater.destroy(error));
      for await (const chunk of source.pipe(inflater)) {
        const bytes: unknown = chunk;
        if (!Buffer.isBuffer(bytes)) continue;
        seen += bytes.length;
        if (seen > sizeBytes) break;
        yield bytes;
      }
    } catch (error) {
      throw this.damaged('an object can not be inflated', error);
    } finally {
      source.destroy();
      inflater.destroy();
    }
    if (seen !== sizeBytes) throw this.damaged('an object is not as long as it says');
    onEnd?.(start + inflater.bytesWritten);
  }

  damaged(state: string, cause?: unknown): BuilderError {
    return new BuilderError('ERR_CONTEXT', `Cannot read the pack of ${this.#name}: ${state}`, { cause });
  }

  *#from(start: number): Generator<Buffer> {
    for (let offset = start; offset < this.end; offset += windowBytes) {
      const length = Math.min(windowBytes, this.end - offset);
      const buffer = Buffer.allocUnsafe(length);
      const count = readSync(this.#fd, buffer, 0, length, offset);
      if (count < length) throw this.damaged('it ends too early');
      yield buffer;
    }
  }
}

const types: readonly (ObjectType | undefined)[] = [undefined, 'commit', 'tree', 'blob', 'tag'];

// The `info` option is in Node's documentation of zlib, and not in its types.
function inflated(found: unknown): { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } } {
  if (typeof found === 'object' && found !== null && 'buffer' in found && 'engine' in found && Buffer.isBuffer(found.buffer)) {
    const { buffer, engine } = found;
    if (typeof engine === 'object' && engine !== null && 'bytesWritten' in engine && typeof engine.bytesWritten === 'number')
      return { buffer, engine: { bytesWritten: engine.bytesWritten } };
  }
  throw new TypeError('zlib gives no info');
}
