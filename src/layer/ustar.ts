// tar-stream's codec of one header block. The package exports its streams only, so the codec is named by its file.
import { createRequire } from 'node:module';
import type { Header } from 'tar-stream';

type Fields = Omit<Header, 'type' | 'uname' | 'gname' | 'pax'>;

/** The half of the codec that writes, and where it stops: header.ts writes the rest itself. */
interface Codec {
  /**
   * A new block. Ids and device numbers of more than six octal digits, and times beyond 2038, come out wrong; names must be
   * ASCII. Null where a name doesn't fit.
   */
  readonly encode: (header: Fields & { readonly type: Header['type'] | 'pax-header' }) => Buffer | null;
}

export const ustar: Codec = createRequire(import.meta.url)('../../node_modules/tar-stream/headers.js');
