// Archives, read as engines read them: ustar, GNU and PAX, names and values exact in bytes. Where readers are known to
// disagree about what an archive holds, we refuse it, so that nothing can be smuggled past one of them.
import { type ByteString, bytesFromBuffer, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { ByteSource } from './byte-source.ts';
import type { Entry, EntryType, Timestamp } from './entry.ts';
import { type Header, blockSize, isZeroBlock, parseHeader } from './header.ts';
import { type PaxRecord, maximumMetaSize, parsePax, parsePaxNumber, parsePaxTime, xattrOfRecord } from './pax.ts';
import { type SparseMap, expandSparse, readOldSparse, readSparseMap, sparseOfRecords } from './sparse.ts';

/** Told what is odd but harmless in an archive. */
export type Warn = (message: string) => void;

const noXattrs: ReadonlyMap<string, Buffer> = new Map();
const largestId = 4_294_967_294; // one more means "unchanged" to chown

// Linux cuts what is beyond these 12 and 20 bits, and makes another device.
const largestMajor = 4095;
const largestMinor = 1_048_575;

const types: ReadonlyMap<string, EntryType> = new Map([
  ['0', 'file'],
  ['\0', 'file'],
  ['7', 'file'],
  ['S', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'character'],
  ['4', 'block'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);

/** What headers in front of an entry said about it. */
interface Extension {
  readonly records: readonly PaxRecord[];
  readonly path?: ByteString;
  readonly linkTarget?: ByteString;
}

/**
 * The entries of an uncompressed archive in order; the source is read to its very end, past the archive's.
 * @throws ERR_LAYER for a damaged archive, or one that readers understand in different ways.
 */
export async function* readEntries(source: AsyncIterable<Buffer>, signal: AbortSignal, warn?: Warn): AsyncGenerator<Entry> {
  const bytes = new ByteSource(source, signal);
  let globals: readonly PaxRecord[] = [];
  let extension: Extension = { records: [] };
  try {
    for (;;) {
      const block = bytes.takeNow(blockSize) ?? (await bytes.takeOrEnd(blockSize));
      if (block === undefined || isZeroBlock(block)) {
        await finish(bytes, block !== undefined, extension, warn);
        return;
      }
      const header = parseHeader(block);
      if (header.typeflag === 'g') globals = [...globals, ...parsePax(await readMeta(bytes, header))];
      else if ('xLK'.includes(header.typeflag)) extension = extend(extension, header.typeflag, await readMeta(bytes, header));
      else {
        // The block is a view that reading on would invalidate.
        const firstBlock = header.typeflag === 'S' ? Buffer.from(block) : block;
        const records = globals.length === 0 ? extension.records : [...globals, ...extension.records];
        const { entry, body } = await buildEntry(header, firstBlock, { ...extension, records }, bytes);
        extension = { records: [] };
        yield entry;
        await body?.skip();
      }
    }
  } finally {
    await bytes.close();
  }
}

/** A path as entries have it: no leading or trailing slash, no `.` and no empty components; `..` stays. The root is `.`. */
export function cleanPath(path: ByteString): ByteString {
  if (!/^\/|\/\/|^\.\/|\/\.\/|\/\.?$|^\.$|^$/.test(path)) return path;
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return (parts.length === 0 ? '.' : parts.join('/')) as ByteString; // parts of bytes
}

/** The stored bytes of one entry: whatever the consumer leaves is skipped. */
class Body implements AsyncIterable<Buffer> {
  readonly #bytes: ByteSource;
  #left: number;
  #padding: number;

  constructor(bytes: ByteSource, size: number) {
    this.#bytes = bytes;
    this.#left = size;
    this.#padding = (blockSize - (size % blockSize)) % blockSize;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    while (this.#left > 0) {
      const part = await this.#bytes.takeSome(this.#left);
      this.#left -= part.length;
      yield part;
    }
  }

  async skip(): Promise<void> {
    while (this.#left > 0) this.#left -= (await this.#bytes.takeSome(this.#left)).length;
    if (this.#padding > 0 && this.#bytes.takeNow(this.#padding) === undefined) await this.#bytes.take(this.#padding);
    this.#padding = 0;
  }
}

async function finish(bytes: ByteSource, sawZeros: boolean, extension: Extension, warn: Warn | undefined): Promise<void> {
  if (extension.records.length > 0 || extension.path !== undefined || extension.linkTarget !== undefined) {
    throw malformed('it ends after an extended header');
  }
  if (!sawZeros) return;
  const second = await bytes.takeOrEnd(blockSize);
  if (second === undefined) return;
  if (!isZeroBlock(second)) throw malformed('a block of zeros stands between entries');
  if (await bytes.drain()) warn?.('an archive has data after its end, which was ignored');
}

async function readMeta(bytes: ByteSource, header: Header): Promise<Buffer> {
  if (header.size < 0 || header.size > maximumMetaSize) {
    throw malformed(`an extended header has ${header.size} bytes, and ${maximumMetaSize} are allowed`);
  }
  const content = Buffer.from(await bytes.take(header.size));
  const padding = (blockSize - (header.size % blockSize)) % blockSize;
  if (padding > 0) await bytes.take(padding);
  return content;
}

function extend(extension: Extension, typeflag: string, content: Buffer): Extension {
  if (typeflag === 'x') {
    // Whether a second one adds to or replaces the first is where readers differ.
    if (extension.records.length > 0) throw malformed('two extended headers follow each other');
    return { ...extension, records: parsePax(content) };
  }
  const end = content.indexOf(0);
  const name = bytesFromBuffer(content, 0, end === -1 ? content.length : end);
  return typeflag === 'L' ? { ...extension, path: name } : { ...extension, linkTarget: name };
}

interface Built {
  readonly entry: Entry;
  readonly body?: Body;
}

async function buildEntry(header: Header, block: Buffer, extension: Extension, bytes: ByteSource): Promise<Built> {
  const fields = fieldsOf(header, extension);
  const declared = types.get(header.typeflag);
  if (declared === undefined) {
    throw malformed(`entry ${show(fields.path)} is of unknown type ${JSON.stringify(header.typeflag)}`);
  }
  const type = declared === 'file' && fields.path.endsWith('/') ? 'directory' : declared;
  const path = cleanPath(checkPath(fields.path)); // without a name it is the root's, as for tar
  checkRange(fields, path);
  const common = { type, path, mode: header.mode, uid: fields.uid, gid: fields.gid, mtime: fields.mtime, xattrs: fields.xattrs };
  if (type === 'file') return fileEntry(common, header.typeflag, block, fields, bytes);
  if (type !== declared && fields.size > 0) throw malformed(`entry ${show(path)} is named as a directory and has content`);
  if (type === 'symlink') return { entry: { ...common, size: 0, linkTarget: checkTarget(fields.linkTarget) } };
  if (type === 'hardlink') return { entry: { ...common, size: 0, linkTarget: cleanPath(checkTarget(fields.linkTarget)) } };
  if (type === 'character' || type === 'block') return { entry: { ...common, size: 0, device: deviceOf(header, path) } };
  return { entry: { ...common, size: 0 } };
}

async function fileEntry(common: Omit<Entry, 'size'>, typeflag: string, block: Buffer, fields: Fields, bytes: ByteSource): Promise<Built> {
  let sparse: SparseMap | undefined;
  let stored = fields.size;
  if (typeflag === 'S') sparse = await readOldSparse(block, bytes);
  else if (fields.hasSparseMapInContent) {
    const read = await readSparseMap(bytes, fields.realSize ?? fields.size);
    sparse = read.map;
    stored -= read.mapBytes;
    if (stored < 0) throw malformed(`the sparse map of entry ${show(common.path)} is longer than its content`);
  } else if (fields.isSparse) sparse = sparseOfRecords(fields.records, fields.size);
  const body = new Body(bytes, stored);
  if (sparse === undefined) return { entry: { ...common, size: stored, content: body }, body };
  return { entry: { ...common, size: sparse.size, content: expandSparse(sparse, body) }, body };
}

interface Fields {
  readonly path: ByteString;
  readonly linkTarget: ByteString;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  readonly records: readonly PaxRecord[];
  readonly isSparse: boolean;
  readonly hasSparseMapInContent: boolean;
  readonly realSize: number | undefined;
}

function fieldsOf(header: Header, extension: Extension): Fields {
  const plain: Fields = {
    path: extension.path ?? header.path,
    linkTarget: extension.linkTarget ?? header.linkTarget,
    size: header.size,
    uid: header.uid,
    gid: header.gid,
    mtime: { seconds: header.mtime, nanoseconds: 0 },
    xattrs: noXattrs,
    records: extension.records,
    isSparse: false,
    hasSparseMapInContent: false,
    realSize: undefined,
  };
  return extension.records.length === 0 ? plain : withRecords(plain);
}

// Later records win, and an empty value takes back an earlier one.
function withRecords(plain: Fields): Fields {
  const last = new Map<ByteString, Buffer | undefined>(plain.records);
  const bytesOf = (key: string): ByteString | undefined => {
    const value = last.get(key as ByteString); // ASCII
    return value === undefined ? undefined : bytesFromBuffer(value);
  };
  const numberOf = (key: string): number | undefined => {
    const value = bytesOf(key);
    return value === undefined ? undefined : parsePaxNumber(value, key);
  };
  const mtime = bytesOf('mtime');
  const xattrs = new Map<string, Buffer>();
  for (const [key, value] of last) {
    const pair = value === undefined ? undefined : xattrOfRecord(key, value);
    if (pair !== undefined) xattrs.set(...pair);
  }
  return {
    path: bytesOf('GNU.sparse.name') ?? bytesOf('path') ?? plain.path,
    linkTarget: bytesOf('linkpath') ?? plain.linkTarget,
    size: numberOf('size') ?? plain.size,
    uid: numberOf('uid') ?? plain.uid,
    gid: numberOf('gid') ?? plain.gid,
    mtime: mtime === undefined ? plain.mtime : parsePaxTime(mtime),
    xattrs,
    records: plain.records,
    isSparse: [...last.keys()].some((key) => key.startsWith('GNU.sparse.')),
    hasSparseMapInContent: bytesOf('GNU.sparse.major') === '1',
    realSize: numberOf('GNU.sparse.realsize') ?? numberOf('GNU.sparse.size'),
  };
}

function checkTarget(target: ByteString): ByteString {
  if (target === '') throw malformed('an entry has an empty link target');
  return checkPath(target);
}

function checkPath(path: ByteString): ByteString {
  if (path.includes('\0')) throw malformed(`entry ${show(path)} has a NUL in its name`);
  return path;
}

function checkRange(fields: Fields, path: ByteString): void {
  for (const [name, id] of [
    ['uid', fields.uid],
    ['gid', fields.gid],
  ] as const) {
    if (id < 0 || id > largestId) throw malformed(`entry ${show(path)} has ${name} ${id}, and 0 to ${largestId} are possible`);
  }
  if (fields.size < 0) throw malformed(`entry ${show(path)} has size ${fields.size}`);
}

function deviceOf(header: Header, path: ByteString): { readonly major: number; readonly minor: number } {
  const { major, minor } = header;
  if (major < 0 || minor < 0 || major > largestMajor || minor > largestMinor) {
    throw malformed(`entry ${show(path)} is device ${major}:${minor}, and 0:0 to ${largestMajor}:${largestMinor} are possible`);
  }
  return { major, minor };
}

function show(path: ByteString): string {
  return JSON.stringify(textFromBytes(path).slice(0, 300));
}

function malformed(state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read archive: ${state}`);
}
