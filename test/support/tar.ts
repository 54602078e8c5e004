// Archives built block by block, also ones that no honest archiver writes.
import { type ByteString, bytesFromText } from '../../src/bytes.ts';

export interface TarOptions {
  readonly path: string;
  readonly type?: string;
  readonly content?: string | Buffer;
  /** What the header says where it differs from the content's length. */
  readonly size?: number;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly major?: number;
  readonly minor?: number;
  /** Written as an extended header in front. */
  readonly pax?: Readonly<Record<string, string | Buffer>>;
  /** Bytes put over the finished header (the checksum is made right afterwards). */
  readonly patch?: readonly (readonly [offset: number, bytes: Buffer])[];
}

/** A whole archive with its end. */
export function tar(entries: readonly TarOptions[]): Buffer {
  return Buffer.concat([...entries.map((entry) => tarEntry(entry)), Buffer.alloc(1024)]);
}

/** One entry with its content, and its extended header if it has one. */
export function tarEntry(options: TarOptions): Buffer {
  const content = Buffer.from(options.content ?? '');
  const parts: Buffer[] = [];
  if (options.pax !== undefined) parts.push(tarEntry({ path: 'pax', type: 'x', content: paxBlock(options.pax) }));
  parts.push(tarHeader(options, options.size ?? content.length), content, Buffer.alloc((512 - (content.length % 512)) % 512));
  return Buffer.concat(parts);
}

/** Records as in an extended header. */
export function paxBlock(records: Readonly<Record<string, string | Buffer>>): Buffer {
  return Buffer.concat(
    Object.entries(records).map(([key, value]) => {
      const body = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
      let length = body.length;
      while (String(length).length + body.length !== length) length = String(length).length + body.length;
      return Buffer.concat([Buffer.from(String(length)), body]);
    }),
  );
}

/** A chunked stream of bytes; small chunks find errors at the seams. */
export async function* chunks(bytes: Buffer, size = 65536): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export function bytes(text: string): ByteString {
  return bytesFromText(text);
}

function tarHeader(options: TarOptions, size: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(options.path, 0, 100, 'latin1');
  block.write(octal(options.mode ?? 0o644, 7), 100);
  block.write(octal(options.uid ?? 0, 7), 108);
  block.write(octal(options.gid ?? 0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(options.mtime ?? 0, 11), 136);
  block.write(options.type ?? '0', 156, 'latin1');
  block.write(options.link ?? '', 157, 100, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.write(octal(options.major ?? 0, 7), 329);
  block.write(octal(options.minor ?? 0, 7), 337);
  for (const [offset, patch] of options.patch ?? []) patch.copy(block, offset);
  block.write(' '.repeat(8), 148);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return block;
}

function octal(value: number, width: number): string {
  return value.toString(8).padStart(width, '0').slice(-width);
}
