// Archives, read as engines read them, which is by Go's archive/tar: ustar, GNU and PAX, names and values exact in bytes. What
// engines ignore is ignored. Where readers besides are known to disagree about what an archive holds, we refuse it, so that
// nothing can be smuggled past one of them.
import { type ByteString, bytesFromBuffer } from '../bytes.ts';
import { cleanPath, longestPathBytes } from '../paths.ts';
import { ByteSource } from './byte-source.ts';
import type { Entry, EntryType, Timestamp } from './entry.ts';
import { type Header, blockSize, isZeroBlock, parseHeader, malformed } from './header.ts';
import { type PaxRecords, maximumMetaSize, parsePax, parsePaxNumber, parsePaxTime, xattrsOf } from './pax.ts';
import { show } from './show.ts';
import { StoredContent } from './stored-content.ts';
import { type PaxSparse, type SparseMap, expandSparse, paxSparseOf, readOldSparse, readSparseMap, sparseMapOf } from './sparse.ts';

/** Told what is odd but harmless in an archive. */
export type Warn = (message: string) => void;

const noXattrs: ReadonlyMap<string, Buffer> = new Map();
const noRecords: PaxRecords = new Map();
/** Keys that some reader or other applies to entries. */
const meaningful = /^(?:path|linkpath|size|uid|gid|mtime|SCHILY\.|LIBARCHIVE\.|GNU\.sparse\.)/;
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
  readonly records?: PaxRecords;
  readonly path?: ByteString;
  readonly linkTarget?: ByteString;
}

const noExtension: Extension = {};

/**
 * The entries of an uncompressed archive in order; the source is read to its very end, past the archive's.
 * @throws ERR_LAYER for a damaged archive, or one that readers understand in different ways.
 */
export async function* readEntries(source: AsyncIterable<Buffer>, signal: AbortSignal, warn?: Warn): AsyncGenerator<Entry> {
  const bytes = new ByteSource(source, signal);
  const globals = new Globals(warn);
  let extension = noExtension;
  try {
    for (;;) {
      const block = bytes.takeNow(blockSize) ?? (await bytes.takeOrEnd(blockSize));
      if (block === undefined || isZeroBlock(block)) {
        await finish(bytes, block !== undefined, extension, warn);
        return;
      }
      const header = parseHeader(block);
      if (header.typeflag === 'g') globals.ignore(await readMeta(bytes, header), extension);
      else if ('xLK'.includes(header.typeflag)) extension = extend(extension, header.typeflag, await readMeta(bytes, header));
      else {
        // The block is a view that reading on would invalidate.
        const firstBlock = header.typeflag === 'S' ? Buffer.from(block) : block;
        const { entry, body } = await buildEntry(header, firstBlock, extension, bytes);
        extension = noExtension;
        yield entry;
        await body?.skip();
      }
    }
  } finally {
    await bytes.close();
  }
}

/** Global extended headers: for engines they say nothing about the entries behind them, whatever POSIX wants. */
class Globals {
  readonly #warn: Warn | undefined;
  #isTold = false;

  constructor(warn: Warn | undefined) {
    this.#warn = warn;
  }

  ignore(content: Buffer, extension: Extension): void {
    // Here engines lose what the extended header said, and others don't.
    if (extension !== noExtension) throw malformed('a global header stands between an extended header and its entry');
    const meant = [...parsePax(content).keys()].filter((key) => meaningful.test(key));
    if (meant.length === 0 || this.#isTold) return;
    this.#isTold = true;
    this.#warn?.(
      `an archive sets ${meant.slice(0, 5).map(show).join(', ')} for all its entries, which engines ignore, and so does this build`,
    );
  }
}

async function finish(bytes: ByteSource, sawZeros: boolean, extension: Extension, warn: Warn | undefined): Promise<void> {
  if (extension !== noExtension) throw malformed('it ends after an extended header');
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

// Whether a second one adds to or replaces the first is where readers differ.
function extend(extension: Extension, typeflag: string, content: Buffer): Extension {
  if (typeflag === 'x') {
    if (extension.records !== undefined) throw malformed('two extended headers follow each other');
    return { ...extension, records: parsePax(content) };
  }
  const key = typeflag === 'L' ? 'path' : 'linkTarget';
  if (extension[key] !== undefined) throw malformed('two long names follow each other');
  const end = content.indexOf(0);
  return { ...extension, [key]: bytesFromBuffer(content, 0, end === -1 ? content.length : end) };
}

interface Built {
  readonly entry: Entry;
  readonly body?: StoredContent;
}

async function buildEntry(header: Header, block: Buffer, extension: Extension, bytes: ByteSource): Promise<Built> {
  const fields = fieldsOf(header, extension);
  const declared = types.get(header.typeflag);
  if (declared === undefined) {
    throw malformed(`entry ${show(fields.path)} is of unknown type ${JSON.stringify(header.typeflag)}`);
  }
  // What is older than ustar has no type for directories.
  const type = header.typeflag === '\0' && fields.path.endsWith('/') ? 'directory' : declared;
  const path = cleanPath(checkPath(fields.path)); // without a name it is the root's, as for tar
  checkRange(fields, path);
  const common = { type, path, mode: header.mode, uid: fields.uid, gid: fields.gid, mtime: fields.mtime, xattrs: fields.xattrs };
  if (type === 'file') return fileEntry(common, header.typeflag, block, fields, bytes);
  if (type !== declared && fields.size > 0) throw malformed(`entry ${show(path)} is named as a directory and has content`);
  if (fields.sparse !== undefined) throw malformed(`entry ${show(path)} is no file and has the map of one`);
  if (type === 'symlink') return { entry: { ...common, size: 0, linkTarget: checkLength(checkTarget(fields.linkTarget), path) } };
  if (type === 'hardlink') return { entry: { ...common, size: 0, linkTarget: cleanPath(checkTarget(fields.linkTarget)) } };
  if (type === 'character' || type === 'block') return { entry: { ...common, size: 0, device: deviceOf(header, path) } };
  return { entry: { ...common, size: 0 } };
}

async function fileEntry(common: Omit<Entry, 'size'>, typeflag: string, block: Buffer, fields: Fields, bytes: ByteSource): Promise<Built> {
  const { sparse } = fields;
  const realSize = sparse?.size ?? fields.size;
  let map: SparseMap | undefined;
  let stored = fields.size;
  if (typeflag === 'S') map = await readOldSparse(block, bytes);
  else if (sparse?.map === 'in records') map = sparseMapOf(fields.records, realSize);
  else if (sparse !== undefined) {
    const read = await readSparseMap(bytes, stored, realSize);
    map = read.map;
    stored -= read.mapBytes;
  }
  const body = new StoredContent(bytes, stored);
  if (map === undefined) return { entry: { ...common, size: stored, content: body }, body };
  if (map.regions.reduce((sum, region) => sum + region.length, 0) !== stored) {
    throw malformed(`the sparse map of entry ${show(common.path)} is not one of the ${stored} bytes that are stored`);
  }
  return { entry: { ...common, size: map.size, content: expandSparse(map, body) }, body };
}

interface Fields {
  readonly path: ByteString;
  readonly linkTarget: ByteString;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  readonly records: PaxRecords;
  readonly sparse: PaxSparse | undefined;
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
    records: noRecords,
    sparse: undefined,
  };
  return extension.records === undefined ? plain : withRecords(plain, extension, extension.records, header.typeflag);
}

function withRecords(plain: Fields, extension: Extension, records: PaxRecords, typeflag: string): Fields {
  const bytesOf = (key: string): ByteString | undefined => {
    const value = records.get(key as ByteString); // ASCII
    return value === undefined ? undefined : bytesFromBuffer(value);
  };
  const numberOf = (key: string): number | undefined => {
    const value = bytesOf(key);
    return value === undefined ? undefined : parsePaxNumber(value, key);
  };
  const mtime = bytesOf('mtime');
  const sparse = typeflag === 'S' ? undefined : paxSparseOf(records);
  return {
    path: sparse?.name ?? oneOf(extension.path, bytesOf('path')) ?? plain.path,
    linkTarget: oneOf(extension.linkTarget, bytesOf('linkpath')) ?? plain.linkTarget,
    size: numberOf('size') ?? plain.size,
    uid: numberOf('uid') ?? plain.uid,
    gid: numberOf('gid') ?? plain.gid,
    mtime: mtime === undefined ? plain.mtime : parsePaxTime(mtime),
    xattrs: xattrsOf(records),
    records,
    sparse,
  };
}

// GNU's long name and the extended header's: for Go the one wins, for GNU tar the other.
function oneOf(long: ByteString | undefined, extended: ByteString | undefined): ByteString | undefined {
  if (long !== undefined && extended !== undefined && long !== extended)
    throw malformed(`an entry is named ${show(long)} and ${show(extended)}`);
  return long ?? extended;
}

function checkTarget(target: ByteString): ByteString {
  if (target === '') throw malformed('an entry has an empty link target');
  return checkPath(target);
}

// Of symbolic links alone: a RUN that goes down folder by folder can give a file a longer name, and another one.
function checkLength(target: ByteString, path: ByteString): ByteString {
  if (target.length <= longestPathBytes) return target;
  throw malformed(`the target of link ${show(path)} has ${target.length} bytes, and Linux takes ${longestPathBytes}`);
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
