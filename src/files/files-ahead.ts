// Files that are being made while the archive is read on. Opening a new file is most of what unpacking costs, and it can
// happen in libuv's pool. RED: nothing may remove, replace or link to anything before `settle`, so that what was found out
// about a file's parents still holds when it is opened.
import type { ByteString } from '../bytes.ts';
import type { Entry } from '../layer/entry.ts';
import { malformed } from './entry-failure.ts';

/** Two for each thread of the pool: they don't run dry, and little is held in memory. */
const mostAtOnce = 8;

/** Larger ones are written as they are read. */
export const largestAheadBytes = 256 * 1024;

export class FilesAhead {
  readonly #underWay = new Map<ByteString, Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  /** True while the file at this path is being made. */
  has(path: ByteString): boolean {
    return this.#underWay.has(path);
  }

  /** Starts making a file where nothing is; waits if there are many already. @throws what an earlier one failed with */
  async start(path: ByteString, make: () => Promise<void>): Promise<void> {
    const making = make()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .then(() => void this.#underWay.delete(path));
    this.#underWay.set(path, making);
    const [oldest] = this.#underWay.values();
    if (this.#underWay.size >= mostAtOnce) await oldest;
    this.#throwFailure();
  }

  /** Waits until all are made. @throws what the first one failed with */
  async settle(): Promise<void> {
    await this.stop();
    this.#throwFailure();
  }

  /** Waits until nothing is under way, whatever came of it. */
  async stop(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values());
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** A copy of a small file's bytes: what the archive's reader gives out is only lent. @throws ERR_LAYER for more bytes than it says */
export async function contentOf(entry: Entry): Promise<Buffer> {
  const whole = Buffer.allocUnsafe(entry.size);
  let filled = 0;
  for await (const chunk of entry.content ?? []) {
    if (filled + chunk.length > whole.length) throw malformed(entry.path, `has more than ${entry.size} bytes`);
    filled += chunk.copy(whole, filled);
  }
  return whole.subarray(0, filled);
}
