// How long a peer may be silent or slow before its connection is given up. Only the time that we wait for it counts: a build that
// is busy unpacking, or a file that is slow to read, is nobody's fault on the other side.
import { type Readable, getDefaultHighWaterMark } from 'node:stream';
import { BuilderError } from '../errors.ts';

export interface PaceLimits {
  /** Longest time without a byte. */
  readonly stallTimeoutMs: number;
  /** Over so much time of waiting, at least that many bytes a second must come; curl's speed-time and speed-limit. */
  readonly slowWindowMs: number;
  readonly slowBytesPerSecond: number;
}

/** 30 s without a byte, or 60 s below 1 KiB/s. */
export const defaultPaceLimits: PaceLimits = { stallTimeoutMs: 30_000, slowWindowMs: 60_000, slowBytesPerSecond: 1024 };

/** What a socket gets at once: little where the line is slow, so that it shows that it moves. What is less may wait in the socket. */
const slowPieceBytes = getDefaultHighWaterMark(false);
/** Where it is fast, since each piece is a turn of the loop. */
const fastPieceBytes = 512 * 1024;
/** A piece that took no longer may be followed by one of twice its size. */
const fastMs = 50;

/** Adds up what passed and how long it took. */
class Window {
  readonly #limits: PaceLimits;
  #waitedMs = 0;
  #bytes = 0;

  constructor(limits: PaceLimits) {
    this.#limits = limits;
  }

  /** True where the last window was too slow. */
  add(waitedMs: number, bytes: number): boolean {
    this.#waitedMs += waitedMs;
    this.#bytes += bytes;
    if (this.#waitedMs < this.#limits.slowWindowMs) return false;
    const isSlow = this.#bytes < (this.#waitedMs / 1000) * this.#limits.slowBytesPerSecond;
    this.#waitedMs = 0;
    this.#bytes = 0;
    return isSlow;
  }
}

/** Pieces with less than that are put together: each keeps all that came with it in memory, which may be a thousand times as much. */
const crumbBytes = 4096;

/**
 * The bytes of an answer. Silence is the connection's own limit; here those end that only drip, and what comes in crumbs is joined.
 * @throws what `fail` makes of the reason
 */
export async function* paced(source: Readable, limits: PaceLimits, fail: (why: string) => Error): AsyncGenerator<Buffer, void, undefined> {
  const window = new Window(limits);
  let crumbs: Buffer[] = [];
  let heldBytes = 0;
  let sinceMs = performance.now();
  for await (const chunk of source) {
    const bytes: unknown = chunk;
    if (!Buffer.isBuffer(bytes)) throw new BuilderError('ERR_INTERNAL', 'Cannot read an answer: the stream is not of bytes');
    if (window.add(performance.now() - sinceMs, bytes.length)) throw fail(`it sent ${tooSlow(limits)}`);
    crumbs.push(bytes);
    heldBytes += bytes.length;
    // Nobody waits for more than what is here.
    if (heldBytes >= crumbBytes || source.readableLength === 0) {
      yield bytes.length >= crumbBytes && crumbs.length === 1 ? bytes : Buffer.concat(crumbs);
      crumbs = [];
      heldBytes = 0;
    }
    sinceMs = performance.now();
  }
  if (heldBytes > 0) yield Buffer.concat(crumbs);
}

/**
 * Content on its way out, in pieces; `onStall` hears it when the other side takes none or hardly any. A chunk of the source has to stay as
 * it is until the next is asked for, and pieces are for a taker who asks for the next when the socket has nothing left to send.
 */
export async function* pacedUpload(
  source: AsyncIterable<Buffer>,
  limits: PaceLimits,
  onStall: (why: string) => void,
): AsyncGenerator<Buffer, void, undefined> {
  const window = new Window(limits);
  let pieceBytes = slowPieceBytes;
  for await (const bytes of source) {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + pieceBytes);
      const piece = part.length < slowPieceBytes ? Buffer.from(part) : part;
      at += piece.length;
      const sinceMs = performance.now();
      const timer = setTimeout(onStall, limits.stallTimeoutMs, `it took no byte for ${seconds(limits.stallTimeoutMs)}`);
      try {
        yield piece;
      } finally {
        clearTimeout(timer);
      }
      const tookMs = performance.now() - sinceMs;
      if (window.add(tookMs, piece.length)) onStall(`it took ${tooSlow(limits)}`);
      pieceBytes = tookMs < fastMs ? Math.min(2 * pieceBytes, fastPieceBytes) : slowPieceBytes;
    }
  }
}

/** "30 s". */
function seconds(durationMs: number): string {
  return `${durationMs / 1000} s`;
}

function tooSlow(limits: PaceLimits): string {
  return `less than ${limits.slowBytesPerSecond} bytes a second for ${seconds(limits.slowWindowMs)}`;
}
