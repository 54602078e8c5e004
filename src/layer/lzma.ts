// LZMA as LZMA2 packs it (xz's own compression): one chunk of at most 64 KiB in, at most 2 MiB out, history in one window.
// Probabilities are 11-bit, as in the LZMA specification; names are its names.
import { BuilderError } from '../errors.ts';

const probabilityBits = 11;
const half = 1024;
const moveBits = 5;
const stateCount = 12;
const maxPosStates = 16;

// Places of the probability groups in one array.
const isMatch = 0;
const isRep = isMatch + stateCount * maxPosStates;
const isRepG0 = isRep + stateCount;
const isRepG1 = isRepG0 + stateCount;
const isRepG2 = isRepG1 + stateCount;
const isRep0Long = isRepG2 + stateCount;
const posSlot = isRep0Long + stateCount * maxPosStates;
const posSpecial = posSlot + 4 * 64;
const align = posSpecial + 128;
const matchLength = align + 16;
const lengthSize = 2 + maxPosStates * 8 * 2 + 256;
const repLength = matchLength + lengthSize;
const literals = repLength + lengthSize;

/** Decodes the LZMA chunks of one LZMA2 stream, one after another. */
export class LzmaDecoder {
  readonly #dictionarySize: number;
  readonly #window: Buffer;
  /** Where the next byte goes, and where history begins. */
  #at = 0;
  #historyStart = 0;
  /** Bytes since the last reset that are no longer before `#at`: contexts depend on the count of all. */
  #base = 0;
  readonly #probabilities = new Uint16Array(literals + (0x300 << 4));
  #lc = 0;
  #lpMask = 0;
  #pbMask = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  #range = 0;
  #code = 0;
  #input: Buffer = Buffer.alloc(0);
  #inputAt = 0;

  /** `dictionarySize` in bytes; a chunk may refer back that far. */
  constructor(dictionarySize: number) {
    this.#dictionarySize = dictionarySize;
    // Room to go on for a while before what is still history has to be moved to the front.
    this.#window = Buffer.allocUnsafe(dictionarySize + Math.max(dictionarySize, 1 << 22));
  }

  /** Forgets all bytes so far. */
  resetDictionary(): void {
    this.#historyStart = this.#at;
    this.#base = -this.#at;
  }

  /** Sets how bits depend on their surroundings (the properties byte). @throws BuilderError ERR_LAYER */
  setProperties(byte: number): void {
    const lc = byte % 9;
    const lp = Math.floor(byte / 9) % 5;
    const pb = Math.floor(byte / 45);
    if (pb > 4 || lc + lp > 4) throw damaged('its LZMA properties are not allowed');
    this.#lc = lc;
    this.#lpMask = (1 << lp) - 1;
    this.#pbMask = (1 << pb) - 1;
  }

  /** Forgets everything but the bytes. */
  resetState(): void {
    this.#probabilities.fill(half);
    this.#state = 0;
    this.#rep0 = 0;
    this.#rep1 = 0;
    this.#rep2 = 0;
    this.#rep3 = 0;
  }

  /** Takes bytes that are not compressed into the history. */
  copy(bytes: Buffer): void {
    this.#makeRoom(bytes.length);
    bytes.copy(this.#window, this.#at);
    this.#at += bytes.length;
  }

  /** The `size` bytes of a chunk. @throws BuilderError ERR_LAYER */
  decode(input: Buffer, size: number): Buffer {
    this.#makeRoom(size);
    this.#startRange(input);
    const start = this.#at;
    const end = start + size;
    while (this.#at < end) this.#decodeNext(end);
    this.#normalize();
    if (this.#inputAt !== input.length || this.#code !== 0) throw damaged('a chunk does not end where it should');
    return Buffer.from(this.#window.subarray(start, end));
  }

  #makeRoom(size: number): void {
    if (this.#at + size <= this.#window.length) return;
    const kept = Math.min(this.#at - this.#historyStart, this.#dictionarySize);
    this.#window.copyWithin(0, this.#at - kept, this.#at);
    this.#base += this.#at - kept;
    this.#historyStart = 0;
    this.#at = kept;
  }

  #startRange(input: Buffer): void {
    if (input.length < 5 || input[0] !== 0) throw damaged('a chunk begins wrongly');
    this.#input = input;
    this.#inputAt = 5;
    this.#range = 0xffffffff;
    this.#code = input.readUInt32BE(1);
  }

  #decodeNext(end: number): void {
    const posState = (this.#at + this.#base) & this.#pbMask;
    const state = this.#state;
    if (this.#bit(isMatch + (state << 4) + posState) === 0) return this.#decodeLiteral();
    if (this.#bit(isRep + state) === 1) return this.#decodeRep(posState, end);
    this.#rep3 = this.#rep2;
    this.#rep2 = this.#rep1;
    this.#rep1 = this.#rep0;
    const length = this.#length(matchLength, posState);
    this.#rep0 = this.#distance(length);
    this.#state = state < 7 ? 7 : 10;
    this.#repeat(length + 2, end);
  }

  #decodeLiteral(): void {
    const at = this.#at;
    const before = at > this.#historyStart ? (this.#window[at - 1] ?? 0) : 0;
    const context = (((at + this.#base) & this.#lpMask) << this.#lc) + (before >>> (8 - this.#lc));
    const base = literals + 0x300 * context;
    let symbol = 1;
    if (this.#state >= 7) {
      let match = this.#byteAt(this.#rep0);
      let offset = 0x100;
      while (symbol < 0x100) {
        match <<= 1;
        const matchBit = match & offset;
        const bit = this.#bit(base + offset + matchBit + symbol);
        symbol = (symbol << 1) | bit;
        offset &= bit === 1 ? matchBit : ~matchBit;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(base + symbol);
    this.#window[at] = symbol;
    this.#at = at + 1;
    const state = this.#state;
    this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }

  #decodeRep(posState: number, end: number): void {
    const state = this.#state;
    if (this.#bit(isRepG0 + state) === 0) {
      if (this.#bit(isRep0Long + (state << 4) + posState) === 0) {
        this.#state = state < 7 ? 9 : 11;
        return this.#repeat(1, end);
      }
    } else {
      let distance = this.#rep1;
      if (this.#bit(isRepG1 + state) === 1) {
        distance = this.#rep2;
        if (this.#bit(isRepG2 + state) === 1) {
          distance = this.#rep3;
          this.#rep3 = this.#rep2;
        }
        this.#rep2 = this.#rep1;
      }
      this.#rep1 = this.#rep0;
      this.#rep0 = distance;
    }
    const length = this.#length(repLength, posState);
    this.#state = state < 7 ? 8 : 11;
    this.#repeat(length + 2, end);
  }

  #length(base: number, posState: number): number {
    if (this.#bit(base) === 0) return this.#tree(base + 2 + (posState << 3), 3);
    if (this.#bit(base + 1) === 0) return 8 + this.#tree(base + 2 + maxPosStates * 8 + (posState << 3), 3);
    return 16 + this.#tree(base + 2 + maxPosStates * 16, 8);
  }

  #distance(length: number): number {
    const slot = this.#tree(posSlot + (Math.min(length, 3) << 6), 6);
    if (slot < 4) return slot;
    const directBits = (slot >>> 1) - 1;
    const base = ((2 | (slot & 1)) << directBits) >>> 0;
    if (slot < 14) return base + this.#reverseTree(posSpecial + base - slot, directBits);
    return base + this.#direct(directBits - 4) * 16 + this.#reverseTree(align, 4);
  }

  #repeat(length: number, end: number): void {
    const distance = this.#rep0 + 1;
    const at = this.#at;
    if (distance > at - this.#historyStart || distance > this.#dictionarySize) throw damaged('it refers to bytes that it does not have');
    if (at + length > end) throw damaged('a chunk is longer than it says');
    const window = this.#window;
    if (distance >= length) window.copyWithin(at, at - distance, at - distance + length);
    else for (let each = at; each < at + length; each += 1) window[each] = window[each - distance] ?? 0;
    this.#at = at + length;
  }

  #byteAt(distance: number): number {
    if (distance >= this.#at - this.#historyStart) throw damaged('it refers to bytes that it does not have');
    return this.#window[this.#at - distance - 1] ?? 0;
  }

  #tree(base: number, bits: number): number {
    let symbol = 1;
    for (let left = bits; left > 0; left -= 1) symbol = (symbol << 1) | this.#bit(base + symbol);
    return symbol - (1 << bits);
  }

  #reverseTree(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let at = 0; at < bits; at += 1) {
      const bit = this.#bit(base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << at;
    }
    return value;
  }

  #direct(bits: number): number {
    let value = 0;
    for (let left = bits; left > 0; left -= 1) {
      this.#normalize();
      this.#range >>>= 1;
      const isOne = this.#code >= this.#range;
      if (isOne) this.#code -= this.#range;
      value = value * 2 + (isOne ? 1 : 0);
    }
    return value;
  }

  #bit(place: number): 0 | 1 {
    this.#normalize();
    const probability = this.#probabilities[place] ?? half;
    const bound = (this.#range >>> probabilityBits) * probability;
    if (this.#code < bound) {
      this.#range = bound;
      this.#probabilities[place] = probability + ((2048 - probability) >>> moveBits);
      return 0;
    }
    this.#range -= bound;
    this.#code -= bound;
    this.#probabilities[place] = probability - (probability >>> moveBits);
    return 1;
  }

  #normalize(): void {
    if (this.#range >= 0x1000000) return;
    this.#range = (this.#range << 8) >>> 0;
    // A chunk that ends too early reads zeros, and then doesn't end where it should.
    this.#code = ((this.#code << 8) | (this.#input[this.#inputAt] ?? 0)) >>> 0;
    this.#inputAt += 1;
  }
}

/** What makes no sense in an .xz file. */
export function damaged(state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot decompress data: the xz stream is damaged, ${state}`);
}
