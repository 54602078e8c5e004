// Makes a little-endian 64-bit ELF program independent of the root it runs in: symbols and debug sections cut off, its
// loader and library folder fixed to paths of ours. All in place, so no linker or patchelf is needed.

const programHeaderSize = 56;
const dynamicEntrySize = 16;
const SegmentType = { load: 1, dynamic: 2, interpreter: 3 } as const;
const DynamicTag = { null: 0n, stringTable: 5n, rpath: 15n, runpath: 29n, flags1: 0x6ffffffbn } as const;
/** DF_1_NODEFLIB: neither /etc/ld.so.cache nor /lib and /usr/lib are searched. */
const noDefaultLibraries = 0x800n;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly fileSize: number;
}

/**
 * The part of a program that the kernel and the loader use: everything after the last segment (symbols, debug sections
 * and the section headers) is left out. Shares memory with `program`.
 * @throws Error when it isn't a little-endian 64-bit ELF file, or its section data lies between segments.
 */
export function withoutSections(program: Buffer): Buffer {
  const end = Math.max(...segments(program).map((segment) => segment.offset + segment.fileSize));
  const kept = program.subarray(0, end);
  kept.writeBigUInt64LE(0n, 0x28); // e_shoff
  kept.writeUInt16LE(0, 0x3c); // e_shnum
  kept.writeUInt16LE(0, 0x3e); // e_shstrndx
  return kept;
}

/**
 * Makes `program` start through `loader` and take libraries, also those of its libraries and of dlopen, from
 * `libraryFolder` only. Changes the buffer.
 * @throws Error when the two paths don't fit into the place of the old interpreter, or the dynamic section is full.
 */
export function setLoader(program: Buffer, loader: string, libraryFolder: string): void {
  const interpreter = theSegment(program, SegmentType.interpreter);
  const paths = `${loader}\0${libraryFolder}\0`;
  if (paths.length > interpreter.fileSize) {
    throw new Error(`Cannot set loader ${loader}: only ${interpreter.fileSize} bytes for it and ${libraryFolder}`);
  }
  program.fill(0, interpreter.offset, interpreter.offset + interpreter.fileSize);
  program.write(paths, interpreter.offset, 'latin1');

  // The folder's name stands outside the string table, so its offset is relative to it and may wrap around: the loader
  // adds the two as addresses. RPATH rather than RUNPATH, because only RPATH also counts for the libraries' libraries.
  const stringTable = dynamicValue(program, DynamicTag.stringTable);
  if (stringTable === undefined) throw new Error('Cannot set library folder: the program has no string table');
  const folderAddress = interpreter.address + BigInt(loader.length + 1);
  setDynamic(program, DynamicTag.rpath, BigInt.asUintN(64, folderAddress - stringTable));
  setDynamic(program, DynamicTag.flags1, (dynamicValue(program, DynamicTag.flags1) ?? 0n) | noDefaultLibraries);
}

/**
 * Replaces a whole NUL-terminated text wherever it stands in `program` by one that is not longer. Changes the buffer.
 * @throws Error when it doesn't occur.
 */
export function replaceText(program: Buffer, from: string, to: string): void {
  if (to.length > from.length) throw new Error(`Cannot replace ${from}: ${to} is longer`);
  const needle = Buffer.from(`\0${from}\0`, 'latin1');
  let found = 0;
  for (let at = program.indexOf(needle); at !== -1; at = program.indexOf(needle, at + 1)) {
    program.fill(0, at + 1, at + 1 + from.length);
    program.write(to, at + 1, 'latin1');
    found += 1;
  }
  if (found === 0) throw new Error(`Cannot replace ${from}: the file does not contain it`);
}

/** The loader that a program asks for, and the folder set by `setLoader`. */
export function readLoader(program: Buffer): { readonly loader: string; readonly libraryFolder: string | undefined } {
  const interpreter = theSegment(program, SegmentType.interpreter);
  const rpath = dynamicValue(program, DynamicTag.rpath);
  const stringTable = dynamicValue(program, DynamicTag.stringTable) ?? 0n;
  return {
    loader: textAt(program, interpreter.offset),
    libraryFolder: rpath === undefined ? undefined : textAt(program, offsetOf(program, BigInt.asUintN(64, stringTable + rpath))),
  };
}

/** Whether a program runs without a loader and libraries. */
export function isStatic(program: Buffer): boolean {
  return !segments(program).some((segment) => segment.type === SegmentType.interpreter);
}

function segments(program: Buffer): readonly Segment[] {
  const isElf = program.length > 64 && program.readUInt32BE(0) === 0x7f454c46 && program[4] === 2 && program[5] === 1;
  if (!isElf) throw new Error('Cannot read program: it is not a little-endian 64-bit ELF file');
  const start = Number(program.readBigUInt64LE(0x20)); // e_phoff
  const count = program.readUInt16LE(0x38); // e_phnum
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * programHeaderSize;
    return {
      type: program.readUInt32LE(at),
      offset: Number(program.readBigUInt64LE(at + 8)),
      address: program.readBigUInt64LE(at + 16),
      fileSize: Number(program.readBigUInt64LE(at + 32)),
    };
  });
}

function theSegment(program: Buffer, type: number): Segment {
  const found = segments(program).find((segment) => segment.type === type);
  if (found === undefined) throw new Error(`Cannot read program: it has no segment of type ${type}`);
  return found;
}

function offsetOf(program: Buffer, address: bigint): number {
  const holder = segments(program).find(
    ({ type, address: start, fileSize }) => type === SegmentType.load && address >= start && address < start + BigInt(fileSize),
  );
  if (holder === undefined) throw new Error(`Cannot read program: address ${address} is in no segment`);
  return holder.offset + Number(address - holder.address);
}

function textAt(program: Buffer, offset: number): string {
  return program.toString('latin1', offset, program.indexOf(0, offset));
}

/** Where each dynamic entry stands, up to and with the null entries at the end. */
function dynamicOffsets(program: Buffer): readonly number[] {
  const { offset, fileSize } = theSegment(program, SegmentType.dynamic);
  return Array.from({ length: fileSize / dynamicEntrySize }, (_, index) => offset + index * dynamicEntrySize);
}

function dynamicValue(program: Buffer, tag: bigint): bigint | undefined {
  const at = dynamicOffsets(program).find((offset) => program.readBigUInt64LE(offset) === tag);
  return at === undefined ? undefined : program.readBigUInt64LE(at + 8);
}

/** Sets the entry's value; a new one takes the first null entry, of which one must remain as the end mark. */
function setDynamic(program: Buffer, tag: bigint, value: bigint): void {
  const offsets = dynamicOffsets(program);
  if (tag === DynamicTag.rpath) {
    const runpath = offsets.find((offset) => program.readBigUInt64LE(offset) === DynamicTag.runpath);
    if (runpath !== undefined) throw new Error('Cannot set library folder: the program has a RUNPATH, which would win');
  }
  const same = offsets.find((offset) => program.readBigUInt64LE(offset) === tag);
  const spare = offsets.find((offset) => program.readBigUInt64LE(offset) === DynamicTag.null);
  const at = same ?? (spare === offsets.at(-1) ? undefined : spare);
  if (at === undefined) throw new Error('Cannot set library folder: the dynamic section has no spare entry');
  program.writeBigUInt64LE(tag, at);
  program.writeBigUInt64LE(value, at + 8);
}
