// An archive's bytes in blocks of one size: hashing and compressing have a cost per call.
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Entry, EntryType, Timestamp } from './entry.ts';
import { type WritableHeader, blockSize, fitsHeader } from './header.ts';
import { gzipBlockBytes } from './gzip.ts';
import { HeaderWriter } from './header-writer.ts';
import type { LayerListing } from './layer-listings.ts';
import { formatPax, formatPaxTime } from './pax.ts';
import { show } from './show.ts';

/** What has been written so far. */
export interface Counted {
  entries: number;
  readonly listing?: LayerListing;
}

/** gzip takes them as they are. */
const blockBytes = gzipBlockBytes;
const largestHeaderId = 0o7777777;
const largestHeaderTime = 0o77777777777;
const ending = Buffer.alloc(2 * blockSize);
const noBytes = '' as ByteString;

const typeflags = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const satisfies Record<EntryType, string>;

const extensionHeader: WritableHeader = {
  path: 'PaxHeader' as ByteString, // ASCII
  linkTarget: noBytes,
  typeflag: 'x',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  major: 0,
  minor: 0,
};

/**
 * The archive of these entries. What is at hand is not waited for: that would be most of the time of small files.
 * @throws ERR_LAYER when content is not as long as its entry says
 */
export async function* tarBlocks(
  entries: AsyncIterable<Entry> | Iterable<Entry>,
  blocks: TarBlocks,
  counted: Counted,
): AsyncGenerator<Buffer> {
  const steps = Symbol.iterator in entries ? entries[Symbol.iterator]() : entries[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = steps.next();
      const { done, value: entry } = step instanceof Promise ? await step : step;
      if (done === true) break;
      blocks.begin(entry);
      const content = entry.type === 'file' ? (entry.content ?? []) : [];
      if (Symbol.iterator in content) {
        for (const part of content) {
          blocks.add(part);
          if (blocks.hasFull()) yield* blocks.takeFull();
        }
      } else {
        for await (const part of content) {
          blocks.add(part);
          if (blocks.hasFull()) yield* blocks.takeFull();
        }
      }
      blocks.end();
      if (blocks.hasFull()) yield* blocks.takeFull();
      counted.entries++;
      counted.listing?.add(entry);
    }
  } finally {
    await steps.return?.();
  }
  yield* blocks.finish();
}

export interface BlockOptions {
  /** Each block stays as it is until so many more were asked for, then its memory is used again: fresh blocks keep V8's collector busy. */
  readonly lasting: number;
  /** Seconds since 1970: times before or after the two become the nearer one. */
  readonly earliestTime?: number | undefined;
  readonly latestTime?: number | undefined;
}

/** The blocks that are filled, in which entry follows entry. */
export class TarBlocks {
  readonly #lasting: number;
  readonly #earliestTime: number;
  readonly #latestTime: number;
  readonly #headers = new HeaderWriter();
  readonly #full: Buffer[] = [];
  readonly #lent: Buffer[] = [];
  readonly #free: Buffer[] = [];
  #block: Buffer = Buffer.allocUnsafeSlow(blockBytes);
  #filled = 0;
  /** The entry that is being written, and how much of its content is to come. */
  #entry: Entry | undefined;
  #left = 0;

  constructor({ lasting, earliestTime, latestTime }: BlockOptions) {
    this.#lasting = lasting;
    this.#latestTime = latestTime ?? Number.POSITIVE_INFINITY;
    this.#earliestTime = earliestTime ?? Number.NEGATIVE_INFINITY;
  }

  /** Writes what stands in front of an entry's content. */
  begin(entry: Entry): void {
    const { uid, gid } = entry;
    const path = (entry.type === 'directory' ? `${entry.path}/` : entry.path) as ByteString; // bytes and a slash
    const link = entry.linkTarget ?? noBytes;
    const mtime = clampTime(entry.mtime, this.#earliestTime, this.#latestTime);
    const isInHeader = fitsHeader(path);
    const fitsTime = mtime.seconds >= 0 && mtime.seconds <= largestHeaderTime;
    const records = recordsOf(entry, path, isInHeader, mtime);
    this.#entry = entry;
    this.#left = entry.type === 'file' ? entry.size : 0;
    if (records.length > 0) {
      const extension = formatPax(records);
      this.#putHeader({ ...extensionHeader, size: extension.length });
      this.#put(extension);
      this.#pad();
    }
    this.#putHeader({
      path: isInHeader ? path : plainName(path),
      linkTarget: fitsLink(link) ? link : plainName(link),
      typeflag: typeflags[entry.type],
      mode: entry.mode,
      uid: uid > largestHeaderId ? 0 : uid,
      gid: gid > largestHeaderId ? 0 : gid,
      size: this.#left,
      mtime: fitsTime ? mtime.seconds : 0,
      major: entry.device?.major ?? 0,
      minor: entry.device?.minor ?? 0,
    });
  }

  /** Writes more of the entry's content. @throws ERR_LAYER where it is too much */
  add(part: Buffer): void {
    this.#left -= part.length;
    if (this.#left < 0) throw this.#mismatch((size) => `it has more than ${size} bytes`);
    this.#put(part);
  }

  /** Ends the entry. @throws ERR_LAYER where content is missing */
  end(): void {
    if (this.#left > 0) throw this.#mismatch((size) => `it has ${this.#left} bytes less than ${size}`);
    this.#pad();
  }

  /** Whether a block has become full. */
  hasFull(): boolean {
    return this.#full.length > 0;
  }

  /** The blocks that have become full. */
  *takeFull(): Generator<Buffer> {
    for (let block = this.#full.shift(); block !== undefined; block = this.#full.shift()) {
      yield block;
      const oldest = this.#lent.push(block) < this.#lasting ? undefined : this.#lent.shift();
      if (oldest !== undefined) this.#free.push(oldest);
    }
  }

  /** What is left, with the end of the archive. */
  *finish(): Generator<Buffer> {
    this.#put(ending);
    yield* this.takeFull();
    const last = this.#block.subarray(0, this.#filled);
    if (last.length > 0) yield last;
  }

  // Blocks are of a size that a header never stands in two.
  #putHeader(header: WritableHeader): void {
    this.#headers.put(header, this.#block, this.#filled);
    this.#filled += blockSize;
    if (this.#filled === blockBytes) this.#next();
  }

  #put(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const count = bytes.copy(this.#block, this.#filled, at);
      at += count;
      this.#filled += count;
      if (this.#filled === blockBytes) this.#next();
    }
  }

  // Zeros to where the next header may stand.
  #pad(): void {
    const end = Math.ceil(this.#filled / blockSize) * blockSize;
    if (end === this.#filled) return;
    this.#block.fill(0, this.#filled, end);
    this.#filled = end;
    if (end === blockBytes) this.#next();
  }

  #next(): void {
    this.#full.push(this.#block);
    this.#block = this.#free.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
    this.#filled = 0;
  }

  #mismatch(stateOf: (size: number) => string): BuilderError {
    const { path, size } = this.#entry ?? { path: noBytes, size: 0 };
    return new BuilderError('ERR_LAYER', `Cannot write ${JSON.stringify(textFromBytes(path))} to a layer: ${stateOf(size)}`);
  }
}

// SOURCE_DATE_EPOCH: nothing in a layer is younger; --timestamp: nor older.
function clampTime(time: Timestamp, earliest: number, latest: number): Timestamp {
  if (time.seconds < earliest) return { seconds: earliest, nanoseconds: 0 };
  const isLater = time.seconds > latest || (time.seconds === latest && time.nanoseconds > 0);
  return isLater ? { seconds: latest, nanoseconds: 0 } : time;
}

function recordsOf(entry: Entry, path: ByteString, isInHeader: boolean, mtime: Timestamp): (readonly [string, Buffer | string])[] {
  const { uid, gid, xattrs, linkTarget } = entry;
  const records: (readonly [string, Buffer | string])[] = [];
  if (!isInHeader) records.push(['path', withoutNul(path)]);
  if (linkTarget !== undefined && !fitsLink(linkTarget)) records.push(['linkpath', linkTarget]);
  if (uid > largestHeaderId) records.push(['uid', String(uid)]);
  if (gid > largestHeaderId) records.push(['gid', String(gid)]);
  if (mtime.seconds < 0 || mtime.seconds > largestHeaderTime || mtime.nanoseconds !== 0) records.push(['mtime', formatPaxTime(mtime)]);
  if (xattrs.size > 0)
    for (const [name, value] of [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) records.push([xattrKey(name, path), value]);
  return records;
}

// A key ends at the first `=`: readers would find another attribute.
function xattrKey(name: string, path: ByteString): string {
  if (!name.includes('=')) return `SCHILY.xattr.${name}`;
  const attribute = show(name as ByteString); // bytes, as they were listed
  throw new BuilderError('ERR_LAYER', `Cannot write ${show(path)} into a layer: no archive can hold its extended attribute ${attribute}`, {
    hint: 'remove the attribute in the same RUN (setfattr -x)',
  });
}

// COPY's JSON form can name such a path; no reader would take it.
function withoutNul(path: ByteString): ByteString {
  if (path.includes('\0')) throw new BuilderError('ERR_LAYER', `Cannot write ${show(path)} into a layer: its name holds a NUL byte`);
  return path;
}

// Only a path can be cut in two.
function fitsLink(link: ByteString): boolean {
  return link === '' || (link.length <= 100 && fitsHeader(link));
}

/** What stands in a header for readers that know no extended records. */
function plainName(name: ByteString): ByteString {
  const plain = name.replace(/[^\x21-\x7e]/g, '_');
  return (plain.length <= 100 ? plain : plain.slice(plain.length - 100).replace(/^\/+/, '')) as ByteString; // ASCII
}
