// tar-stream's codec of one header block. The package exports its streams only, so the codec is named by its file.
import { createRequire } from 'node:module';
import type { Header } from 'tar-stream';

type Fields = Omit<Header, 'type' | 'uname' | 'gname' | 'pax'>;

/** What both directions of the codec do, and where they stop: header.ts reads and writes the rest itself. */
interface Codec {
  /**
   * A new block. Ids and device numbers of more than six octal digits, and times beyond 2038, come out wrong; names must be
   * ASCII. Null where a name doesn't fit.
   */
  readonly encode: (header: Fields & { readonly type: Header['type'] | 'pax-header' }) => Buffer | null;
  /**
   * Names in latin1, one character a byte. Negative numbers are off by one, those beyond 2^53 rounded, digits behind a wrong
   * character cut off. Throws for a checksum of signed characters; null where there is nothing but a checksum.
   */
  readonly decode: (block: Buffer, encoding: 'latin1', allowUnknownFormat: true) => Decoded | null;
}

/** What a block says, as far as `decode` understands it. */
export type Decoded = Omit<Fields, 'linkname'> & { readonly linkname: string | null };

export const ustar: Codec = createRequire(import.meta.url)('../../node_modules/tar-stream/headers.js');
