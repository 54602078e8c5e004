// A tar archive on disk that grows file by file, and is seen when it is whole.
import { bytesFromText } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Entry } from '../layer/entry.ts';
import { writeArchive } from '../layer/write.ts';
import type { ImageSink } from '../oci/source-and-sink.ts';
import { writeWholeFile } from './whole-file.ts';

/** An archive that is being written. */
export interface ArchiveWriter extends AsyncDisposable {
  /** Adds a file that isn't there yet, and waits until its bytes are taken; others have to wait for their turn. */
  readonly add: (name: string, size: number, content: AsyncIterable<Buffer>) => Promise<void>;
  /** Ends the archive and puts it in its place; without it, disposing leaves nothing behind. */
  readonly finish: () => Promise<void>;
}

/** An archive of images, one after the other; nothing of it is seen before `finish`. */
export interface ImageArchive extends AsyncDisposable {
  /** The place in it for the next image, and what that is called; without names it has none. */
  readonly sinkFor: (names: readonly string[]) => ImageSink;
  readonly finish: () => Promise<void>;
}

interface Turn {
  readonly entry: Entry;
  readonly taken: () => void;
}

/** Begins an archive that is seen at `path` when it is finished; `standardOutput` and pipes take it as it comes. */
export function openArchiveWriter(path: string, signal: AbortSignal): ArchiveWriter {
  const queue = new Queue();
  const writing = writeWholeFile(path, writeArchive(queue.entries()), signal);
  const failed = writing.then(() => undefined, queue.fail);
  const written = new Set<string>();
  let isPlaced = false;
  return {
    add: async (name, size, content) => {
      if (written.has(name)) return;
      written.add(name);
      await queue.add(fileEntry(name, size, content));
    },
    finish: async () => {
      queue.end();
      await writing;
      isPlaced = true;
    },
    [Symbol.asyncDispose]: async () => {
      if (isPlaced) return;
      queue.fail(new BuilderError('ERR_ABORTED', `Cannot write ${path}: it was given up`));
      await failed;
    },
  };
}

/** What waits for its turn; the archive takes one entry after the other. */
class Queue {
  readonly #turns: Turn[] = [];
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;
  #isEnded = false;
  #reject: (error: unknown) => void = () => undefined;
  readonly #broken: Promise<never>;

  constructor() {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined); // whoever adds sees it
    this.#broken = promise;
    this.#reject = reject;
  }

  readonly fail = (error: unknown): void => {
    this.#failure ??= { error };
    this.#reject(error);
    this.#wake();
  };

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async add(entry: Entry): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turns.push({ entry, taken: resolve });
    this.#wake();
    await Promise.race([promise, this.#broken]);
  }

  async *entries(): AsyncGenerator<Entry> {
    for (;;) {
      const turn = this.#turns.shift();
      if (this.#failure !== undefined) throw this.#failure.error;
      if (turn !== undefined) {
        yield turn.entry;
        turn.taken();
        continue;
      }
      if (this.#isEnded) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }
}

/** A file of an archive of ours. */
export function fileEntry(name: string, size: number, content: AsyncIterable<Buffer>): Entry {
  const mtime = { seconds: 0, nanoseconds: 0 };
  return { type: 'file', path: bytesFromText(name), size, content, mode: 0o644, uid: 0, gid: 0, mtime, xattrs: new Map() };
}
