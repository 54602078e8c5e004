// What the files of the root hold, noted while they are written or read anyway: whether one that a RUN only touched is still what the
// image has is then settled without storing it again. A digest is SHA-256, since a RUN must not be able to forge it.
import { createHash, hash, type Hash } from 'node:crypto';
import type { ByteString } from '../bytes.ts';
import type { Entry, LocalEntry } from '../layer/entry.ts';
import { portableXattrs } from '../files/metadata.ts';

const digestBytes = 32;

/** Digests by path: of a file's content, a link's target, of nothing for others; and of the attributes. */
export class ContentNotes {
  readonly #rows = new Map<ByteString, number>();
  #digests = new Uint8Array(digestBytes * 1024);
  #used = 0;

  /** Notes what a path holds; what was noted before no longer counts. */
  note(path: ByteString, digest: Buffer): void {
    if (digest.equals(emptyDigest)) {
      this.#rows.set(path, emptyRow);
      return;
    }
    const known = this.#rows.get(path);
    const row = known === undefined || known === emptyRow ? this.#nextRow() : known;
    this.#digests.set(digest, row * digestBytes);
    this.#rows.set(path, row);
  }

  /** Notes that a path holds what another one does. */
  noteSame(path: ByteString, other: ByteString): void {
    const digest = this.get(other);
    if (digest === undefined) this.forget(path);
    else this.note(path, digest);
  }

  /** From here on nobody knows. */
  forget(path: ByteString): void {
    this.#rows.delete(path);
  }

  /** What was noted last. */
  get(path: ByteString): Buffer | undefined {
    const row = this.#rows.get(path);
    if (row === undefined) return undefined;
    return row === emptyRow ? emptyDigest : Buffer.from(this.#digests.subarray(row * digestBytes, (row + 1) * digestBytes));
  }

  #nextRow(): number {
    if ((this.#used + 1) * digestBytes > this.#digests.length) {
      const grown = new Uint8Array(this.#digests.length * 2);
      grown.set(this.#digests);
      this.#digests = grown;
    }
    return this.#used++;
  }
}

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
const emptyRow = -1;
