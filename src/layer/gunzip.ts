// gzip's members one after another, as engines and gunzip(1) read them, inflated while the reader works on what came before.
import { BuilderError } from '../errors.ts';
import { Inflater } from '../linux/inflate.ts';

const outputBytes = 1024 * 1024;

/**
 * The plain bytes. A chunk is valid until the next is asked for. The source is read to its very end: zeros behind a member end the
 * stream for engines, but that is where the source's digest is verified.
 * @throws ERR_LAYER for damaged data
 */
export async function* gunzip(source: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  const members = new Members(source[Symbol.asyncIterator](), signal);
  let [current, other] = [Buffer.allocUnsafeSlow(outputBytes), Buffer.allocUnsafeSlow(outputBytes)];
  let filling = members.fill(current);
  try {
    for (;;) {
      const filled = await filling;
      if (filled === 0) return;
      filling = members.fill(other);
      // Whoever asks for the next chunk gets to know; nobody may ever ask.
      filling.catch(() => undefined);
      yield current.subarray(0, filled);
      [current, other] = [other, current];
    }
  } finally {
    members.leave(filling);
  }
}

class Members {
  readonly #source: AsyncIterator<Buffer>;
  readonly #signal: AbortSignal;
  readonly #inflater = new Inflater();
  /** Behind the end of a member, where the stream may end. */
  #isBetween = false;
  /** The output was full: there may be more without any input. */
  #mayHoldMore = false;
  #isLeft = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(source: AsyncIterator<Buffer>, signal: AbortSignal) {
    this.#source = source;
    this.#signal = signal;
  }

  /** Fills `output` as far as there is something; gives 0 at the end. What was there before a failure comes before it. */
  async fill(output: Buffer): Promise<number> {
    let filled = 0;
    try {
      if (this.#failure !== undefined) throw this.#failure.error;
      while (filled < output.length && !this.#isLeft && (await this.#hasMore())) filled += await this.#inflate(output.subarray(filled));
    } catch (error) {
      if (filled === 0) throw error;
      this.#failure = { error };
    }
    return filled;
  }

  // Gets input where all is taken; false at the end.
  async #hasMore(): Promise<boolean> {
    this.#signal.throwIfAborted();
    if (this.#mayHoldMore) return true;
    while (this.#inflater.left.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) {
        if (!this.#isBetween) throw damaged('Z_BUF_ERROR');
        return false;
      }
      this.#inflater.give(next.value);
    }
    if (!this.#isBetween) return true;
    if (this.#inflater.left[0] === 0) return await this.#passOver();
    this.#inflater.reset();
    return true;
  }

  async #inflate(room: Buffer): Promise<number> {
    const { result, written } = await this.#inflater.next(room);
    this.#mayHoldMore = written === room.length && result === 'Z_OK';
    this.#isBetween = result === 'Z_STREAM_END';
    if (result !== 'Z_OK' && result !== 'Z_STREAM_END' && result !== 'Z_BUF_ERROR') throw damaged(result);
    return written;
  }

  /** Lets go of everything once `filling`, the last fill, has ended: waiting for it could mean waiting for a network. */
  leave(filling: Promise<number>): void {
    this.#isLeft = true;
    const end = async (): Promise<void> => {
      this.#inflater.end();
      await this.#source.return?.();
    };
    filling.then(end, end).catch(() => undefined);
  }

  // Zeros behind a member are padding, and so is all behind them: it is only read.
  async #passOver(): Promise<boolean> {
    do this.#signal.throwIfAborted();
    while (!this.#isLeft && (await this.#source.next()).done !== true);
    this.#inflater.give(Buffer.alloc(0));
    return false;
  }
}

function damaged(code: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot decompress data: the gzip stream is damaged (${code})`);
}
