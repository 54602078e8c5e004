// What the files of the root hold, noted while they are written or read anyway: whether one that a RUN only touched is still what the
// image has is then settled without storing it again. A digest is half of SHA-256, since a RUN must not be able to forge it, and
// stands for a path by a hash of it: some 30 bytes a file, however long its path is.
import { createHash, hash, randomInt, type Hash } from 'node:crypto';
import type { ByteString } from '../bytes.ts';
import type { Entry, LocalEntry } from '../layer/entry.ts';
import { portableXattrs } from '../files/metadata.ts';
import { grown } from '../tree/rows.ts';

const digestBytes = 16;
const free = -1;
// Nobody can tell which two paths have the same hash: at a million files, one pair in ten million builds does.
const seeds = [randomInt(2 ** 32), randomInt(2 ** 32)] as const;

/** Digests by path: of a file's content, a link's target, of nothing for others; and of the attributes. */
export class ContentNotes {
  /** Two halves of a path's hash. */
  #hashes = new Uint32Array(1024);
  /** All zeros where nothing is noted any more. */
  #digests = Buffer.alloc(512 * digestBytes);
  #slots = new Int32Array(1024).fill(free);
  #count = 0;
  /** Of the path that was asked for last. */
  readonly #hash = new Uint32Array(2);

  /** Notes what a path holds; what was noted before no longer counts. */
  note(path: ByteString, digest: Buffer): void {
    const row = this.#rowFor(path); // which may move the digests
    digest.copy(this.#digests, row * digestBytes, 0, digestBytes);
  }

  /** Notes that a path holds what another one does. */
  noteSame(path: ByteString, other: ByteString): void {
    const digest = this.get(other);
    if (digest === undefined) this.forget(path);
    else this.note(path, digest);
  }

  /** From here on nobody knows. */
  forget(path: ByteString): void {
    const row = this.#rowOf(path);
    if (row !== undefined) this.#digests.fill(0, row * digestBytes, (row + 1) * digestBytes);
  }

  /** What was noted last: the first half of a digest. */
  get(path: ByteString): Buffer | undefined {
    const row = this.#rowOf(path);
    if (row === undefined) return undefined;
    const digest = this.#digests.subarray(row * digestBytes, (row + 1) * digestBytes);
    return digest.equals(forgotten) ? undefined : Buffer.from(digest);
  }

  #rowOf(path: ByteString): number | undefined {
    const row = this.#slots[this.#slotOf(path)] ?? free;
    return row === free ? undefined : row;
  }

  #rowFor(path: ByteString): number {
    const slot = this.#slotOf(path);
    const known = this.#slots[slot] ?? free;
    if (known !== free) return known;
    const row = this.#count++;
    if (row * digestBytes === this.#digests.length) this.#grow();
    this.#hashes.set(this.#hash, row * 2);
    this.#slots[slot] = row;
    if (this.#count * 4 > this.#slots.length * 3) this.#spread();
    return row;
  }

  #slotOf(path: ByteString): number {
    let [low, high] = seeds;
    for (let index = 0; index < path.length; index++) {
      const byte = path.charCodeAt(index);
      low = Math.imul(low ^ byte, 0x01000193);
      high = Math.imul((high << 5) ^ (high >>> 27) ^ byte, 0x85ebca6b);
    }
    this.#hash.set([low, high]);
    const [a = 0, b = 0] = this.#hash;
    const mask = this.#slots.length - 1;
    for (let slot = (a ^ b) & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot] ?? free;
      if (row === free || (this.#hashes[row * 2] === a && this.#hashes[row * 2 + 1] === b)) return slot;
    }
  }

  #grow(): void {
    const bytes = new Uint8Array(this.#digests.length * 2);
    bytes.set(this.#digests);
    this.#digests = Buffer.from(bytes.buffer);
    this.#hashes = grown(this.#hashes, new Uint32Array(this.#hashes.length * 2));
  }

  #spread(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(free);
    const mask = slots.length - 1;
    for (let row = 0; row < this.#count; row++) {
      let slot = ((this.#hashes[row * 2] ?? 0) ^ (this.#hashes[row * 2 + 1] ?? 0)) & mask;
      while (slots[slot] !== free) slot = (slot + 1) & mask;
      slots[slot] = row;
    }
    this.#slots = slots;
  }
}

const forgotten = Buffer.alloc(digestBytes);

/** The digest of attributes and what follows them, at hand in one piece. */
export function digestOf(xattrs: ReadonlyMap<string, Buffer>, content: string | Buffer = ''): Buffer {
  if (content.length === 0 && xattrs.size === 0) return emptyDigest;
  if (xattrs.size === 0) return hash('sha256', content, 'buffer');
  return beginDigest(xattrs).update(content).digest();
}

/** The same for content that comes in pieces, which the caller adds. Its size is compared too, so it needs no end here. */
export function beginDigest(xattrs: ReadonlyMap<string, Buffer>): Hash {
  const digest = createHash('sha256');
  for (const [name, value] of portableXattrs(xattrs)) digest.update(`${name}\0${value.length}\0`, 'latin1').update(value);
  return digest;
}

/** The entry, whose digest is known when its content has been read to the end. */
export function watchDigest(entry: Entry): { readonly watched: Entry; readonly digest: () => Buffer } {
  const { type, content, xattrs, linkTarget } = entry;
  if (type === 'symlink') return { watched: entry, digest: () => digestOf(xattrs, Buffer.from(linkTarget ?? '', 'latin1')) };
  if (content === undefined) return { watched: entry, digest: () => digestOf(xattrs) };
  if (isShort(content)) return { watched: entry, digest: () => digestOf(xattrs, content[0]) };
  const growing = beginDigest(xattrs);
  return { watched: { ...entry, content: digesting(content, growing) }, digest: () => growing.digest() };
}

// Most files are small.
function isShort(content: Iterable<Buffer> | AsyncIterable<Buffer>): content is readonly Buffer[] {
  return Array.isArray(content) && content.length < 2;
}

/** The same of an entry that is at hand. */
export function watchLocalDigest(entry: LocalEntry): { readonly watched: LocalEntry; readonly digest: () => Buffer } {
  const { type, content, xattrs, linkTarget } = entry;
  if (type === 'symlink') return { watched: entry, digest: () => digestOf(xattrs, Buffer.from(linkTarget ?? '', 'latin1')) };
  if (content === undefined) return { watched: entry, digest: () => digestOf(xattrs) };
  if (isShort(content)) {
    const digest = digestOf(xattrs, content[0]);
    return { watched: entry, digest: () => digest };
  }
  const growing = beginDigest(xattrs);
  return { watched: { ...entry, content: digestingLocal(content, growing) }, digest: () => growing.digest() };
}

function* digestingLocal(chunks: Iterable<Buffer>, digest: Hash): Generator<Buffer> {
  for (const chunk of chunks) {
    digest.update(chunk);
    yield chunk;
  }
}

async function* digesting(chunks: AsyncIterable<Buffer> | Iterable<Buffer>, digest: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    digest.update(chunk);
    yield chunk;
  }
}

const emptyDigest = hash('sha256', '', 'buffer');
