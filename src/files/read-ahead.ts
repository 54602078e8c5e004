// Another thread that opens and reads small files ahead of who wants them, one after the other in a known order: half of what a small
// file costs is the kernel's opening, reading and closing. Both sides share a ring of places; who finds nothing in his reads himself.
import { closeSync, openSync } from 'node:fs';
import type { ByteString } from '../bytes.ts';
import { statFieldCount, statOpenFile, StatField } from '../linux/files.ts';
import { listXattrs } from '../linux/xattr.ts';
import { isFileMode } from './resolve.ts';
import { readFlags, readUpTo } from './read-file.ts';

/** What the other thread gets: memory of both. */
export interface ReadAheadRequest {
  readonly ring: SharedArrayBuffer;
}

/** A file that is going to be wanted, by its number among others. */
export interface WantedFile {
  readonly number: number;
  readonly path: ByteString;
}

/** A regular file without attributes, valid until the next is taken. */
export interface FileAhead {
  /** In the order of `StatField`. */
  readonly stat: Float64Array;
  readonly content: Buffer;
  /** How long it took to read. */
  readonly ms: number;
}

/** What may be read ahead: larger files are worth a look of their own. */
export const largestAhead = 16 * 1024;

const placeCount = 64;
const headBytes = 16;
const pathBytes = 4096;
/** Behind a file's stat stand its size, -1 where it was not read, how long that took, and the length of its path. */
const sizeAt = statFieldCount;
const msAt = statFieldCount + 1;
const lengthAt = statFieldCount + 2;
const numberBytes = 8 * (statFieldCount + 4);
/** One byte more than is wanted, to notice that a file has grown. */
const placeBytes = numberBytes + pathBytes + largestAhead + 8;
/** The reader is woken for so many at once, or when there are no more. */
const wakeEvery = 16;
/** Whoever waits longer goes on without. */
const longestWaitMs = 2000;

/** Indices into the head: how many files have been asked for, `noMore` once nobody wants any, and how many are done. */
const Head = { asked: 0, done: 1 } as const;
const noMore = -1;

/** The ring as both sides see it. */
class Ring {
  readonly head: Int32Array;
  readonly #places: readonly Place[];

  constructor(memory: SharedArrayBuffer) {
    this.head = new Int32Array(memory, 0, headBytes / 4);
    this.#places = Array.from({ length: placeCount }, (_, index) => {
      const start = headBytes + index * placeBytes;
      return {
        numbers: new Float64Array(memory, start, statFieldCount + 3),
        path: Buffer.from(memory, start + numberBytes, pathBytes),
        content: Buffer.from(memory, start + numberBytes + pathBytes, largestAhead + 1),
      };
    });
  }

  place(count: number): Place {
    const place = this.#places[count % placeCount];
    if (place === undefined) throw new RangeError(`no place for file ${count}`);
    return place;
  }
}

interface Place {
  readonly numbers: Float64Array;
  readonly path: Buffer;
  readonly content: Buffer;
}

/** The side of who wants the files; they may not be changed meanwhile. */
export class ReadAhead implements Disposable {
  readonly #memory = new SharedArrayBuffer(headBytes + placeCount * placeBytes);
  readonly #ring = new Ring(this.#memory);
  readonly #wanted: Iterator<WantedFile>;
  readonly #numbers = new Float64Array(placeCount);
  #asked = 0;
  #taken = 0;
  #isLost = false;

  /** `wanted` are regular files of at most `largestAhead` bytes, in rising order; `ask` hands the request to the other thread. */
  constructor(wanted: Iterator<WantedFile>, ask: (request: ReadAheadRequest) => void) {
    this.#wanted = wanted;
    ask({ ring: this.#memory });
  }

  /** The file of this number, once it is there; undefined for one that has to be read by whoever wants it. Numbers rise. */
  take(number: number): FileAhead | undefined {
    for (;;) {
      this.#askForMore();
      if (this.#taken === this.#asked || (this.#numbers[this.#taken % placeCount] ?? 0) > number || !this.#hasNext()) return undefined;
      const { numbers, content } = this.#ring.place(this.#taken);
      if (this.#numbers[this.#taken++ % placeCount] !== number) continue;
      const size = numbers[sizeAt] ?? -1;
      return size < 0 ? undefined : { stat: numbers, content: content.subarray(0, size), ms: numbers[msAt] ?? 0 };
    }
  }

  [Symbol.dispose](): void {
    const { head } = this.#ring;
    Atomics.store(head, Head.asked, noMore);
    Atomics.notify(head, Head.asked);
  }

  // The place that was taken last is still looked at.
  #askForMore(): void {
    if (this.#isLost || this.#asked - this.#taken > placeCount / 2) return;
    while (this.#asked - this.#taken < placeCount - 1) {
      const next = this.#wanted.next();
      if (next.done === true) break;
      const { number, path } = next.value;
      if (path.length > pathBytes) continue;
      const place = this.#ring.place(this.#asked);
      place.numbers[lengthAt] = place.path.write(path, 'latin1');
      this.#numbers[this.#asked++ % placeCount] = number;
    }
    Atomics.store(this.#ring.head, Head.asked, this.#asked);
    Atomics.notify(this.#ring.head, Head.asked);
  }

  #hasNext(): boolean {
    const { head } = this.#ring;
    for (let done = Atomics.load(head, Head.done); !this.#isLost && done <= this.#taken; done = Atomics.load(head, Head.done)) {
      this.#isLost = Atomics.wait(head, Head.done, done, longestWaitMs) === 'timed-out';
    }
    return !this.#isLost;
  }
}

/** The other thread's side: reads until nobody wants more. */
export function readAhead({ ring: memory }: ReadAheadRequest): void {
  const ring = new Ring(memory);
  const { head } = ring;
  for (let done = 0; ;) {
    // No call is missed: where the number is another one by now, it doesn't wait.
    while (Atomics.load(head, Head.asked) === done) Atomics.wait(head, Head.asked, done);
    if (Atomics.load(head, Head.asked) === noMore) return;
    readOne(ring.place(done));
    Atomics.store(head, Head.done, ++done);
    if (done % wakeEvery === 0 || Atomics.load(head, Head.asked) === done) Atomics.notify(head, Head.done);
  }
}

function readOne({ numbers, path, content }: Place): void {
  const started = performance.now();
  numbers[sizeAt] = -1;
  let fd: number | undefined;
  try {
    fd = openSync(path.subarray(0, numbers[lengthAt]), readFlags);
    statOpenFile(fd, numbers);
    const size = numbers[StatField.size] ?? 0;
    const isPlain = isFileMode(numbers[StatField.mode]) && size <= largestAhead && listXattrs(fd).length === 0;
    if (isPlain && readUpTo(fd, content, size + 1) === size) numbers[sizeAt] = size;
  } catch {
    // Who wants it says why.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  numbers[msAt] = performance.now() - started;
}
