// OCI image-spec descriptor.md: a typed pointer to content.
import type { Digest } from './digest.ts';
import type { Platform } from './platform.ts';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes of the content as stored. */
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: ReadonlyMap<string, string>;
  readonly urls?: readonly string[];
}
