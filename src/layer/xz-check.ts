// The checks of .xz files (the .xz file format 1.2, section 3.4): none, CRC-32, CRC-64 and SHA-256.
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { BuilderError } from '../errors.ts';

/** What a stream says of each block, to be compared. */
export interface Check {
  readonly update: (bytes: Buffer) => void;
  readonly digest: () => Buffer;
}

/** The check of a type, by its number. @throws ERR_UNSUPPORTED for one that nobody writes */
export function createCheck(type: number): Check {
  if (type === 4) return new Crc64();
  if (type === 10) {
    const hash = createHash('sha256');
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
  }
  if (type === 1) {
    let value = 0;
    return {
      update: (bytes) => (value = crc32(bytes, value)),
      digest: () => {
        const digest = Buffer.alloc(4);
        digest.writeUInt32LE(value);
        return digest;
      },
    };
  }
  if (type === 0) return { update: () => undefined, digest: () => Buffer.alloc(0) };
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot decompress data: the xz stream has checks of unknown kind ${type}`);
}

/** CRC-64 of ECMA-182, in two halves because bigints are slow. */
class Crc64 implements Check {
  static readonly #low = new Uint32Array(256);
  static readonly #high = new Uint32Array(256);
  static {
    for (let byte = 0; byte < 256; byte += 1) {
      let value = BigInt(byte);
      for (let bit = 0; bit < 8; bit += 1) value = (value & 1n) === 1n ? (value >> 1n) ^ 0xc96c5795d7870f42n : value >> 1n;
      Crc64.#low[byte] = Number(value & 0xffffffffn);
      Crc64.#high[byte] = Number(value >> 32n);
    }
  }
  #lowHalf = 0xffffffff;
  #highHalf = 0xffffffff;

  update(bytes: Buffer): void {
    let low = this.#lowHalf;
    let high = this.#highHalf;
    for (const byte of bytes) {
      const index = (low ^ byte) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ (Crc64.#low[index] ?? 0);
      high = (high >>> 8) ^ (Crc64.#high[index] ?? 0);
    }
    this.#lowHalf = low;
    this.#highHalf = high;
  }

  digest(): Buffer {
    const digest = Buffer.alloc(8);
    digest.writeUInt32LE(~this.#lowHalf >>> 0, 0);
    digest.writeUInt32LE(~this.#highHalf >>> 0, 4);
    return digest;
  }
}
