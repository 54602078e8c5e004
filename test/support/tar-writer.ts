// Archives from literals: also those that no honest program would write, to be unpacked by the builder under test.
import type { MemberType } from './tar-reader.ts';

export interface MemberToWrite {
  readonly name: string;
  readonly type?: MemberType;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds. */
  readonly mtime?: number;
  readonly content?: string | Uint8Array;
  readonly linkname?: string;
  readonly device?: readonly [number, number];
  /** Further pax records, also wrong ones. */
  readonly pax?: Readonly<Record<string, string>>;
}

const flags: Readonly<Record<MemberType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
};

/** A whole uncompressed archive of `members`, in order. */
export function tarArchive(members: readonly MemberToWrite[]): Buffer {
  return Buffer.concat([...members.flatMap(memberBlocks), Buffer.alloc(1024)]);
}

function memberBlocks(member: MemberToWrite): readonly Buffer[] {
  const type = member.type ?? 'file';
  const content = Buffer.from(member.content ?? '');
  const long = {
    ...(Buffer.byteLength(member.name) > 100 ? { path: member.name } : {}),
    ...(Buffer.byteLength(member.linkname ?? '') > 100 ? { linkpath: member.linkname ?? '' } : {}),
    ...member.pax,
  };
  const records = Object.entries(long).map(([key, value]) => paxRecord(key, value));
  const pax =
    records.length === 0 ? [] : [header({ name: 'pax', flag: 'x', size: Buffer.concat(records).length }), padded(Buffer.concat(records))];
  const mode = member.mode ?? (type === 'dir' ? 0o755 : type === 'symlink' ? 0o777 : 0o644);
  return [...pax, header({ ...member, mode, flag: flags[type], size: content.length }), padded(content)];
}

function header(fields: Omit<MemberToWrite, 'type' | 'content' | 'pax'> & { readonly flag: string; readonly size: number }): Buffer {
  const block = Buffer.alloc(512);
  const number = (value: number, start: number, length: number) =>
    block.write(value.toString(8).padStart(length - 1, '0'), start, 'latin1');
  block.write(fields.name, 0, 100);
  number(fields.mode ?? 0o644, 100, 8);
  number(fields.uid ?? 0, 108, 8);
  number(fields.gid ?? 0, 116, 8);
  number(fields.size, 124, 12);
  number(fields.mtime ?? 1_500_000_000, 136, 12);
  block.write(fields.flag, 156, 'latin1');
  block.write(fields.linkname ?? '', 157, 100);
  block.write('ustar\x0000', 257, 'latin1');
  number(fields.device?.[0] ?? 0, 329, 8);
  number(fields.device?.[1] ?? 0, 337, 8);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

function paxRecord(key: string, value: string): Buffer {
  const body = Buffer.byteLength(` ${key}=${value}\n`);
  let length = body;
  while (String(length).length + body !== length) length = String(length).length + body;
  return Buffer.from(`${length} ${key}=${value}\n`);
}
