// Content identifiers. OCI image-spec descriptor.md#digests.
import { createHash } from 'node:crypto';
import { BuilderError } from '../errors.ts';

/** `sha256:<64 hex>` or `sha512:<128 hex>`; made only by `parseDigest` or by hashing. */
export type Digest = `sha256:${string}` | `sha512:${string}`;

const registered = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;

/** True when `text` is a digest of an algorithm that we can verify. */
export function isDigest(text: string): text is Digest {
  return registered.test(text);
}

/** @throws ERR_REFERENCE when the text is no digest, or of an algorithm that we can't verify. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new BuilderError(
    'ERR_REFERENCE',
    `Cannot use digest ${JSON.stringify(text.slice(0, 160))}: expected sha256:<64 hex digits> or sha512:<128 hex digits>`,
  );
}

/** The algorithm and the hex part of a digest. */
export function splitDigest(digest: Digest): { readonly algorithm: 'sha256' | 'sha512'; readonly hex: string } {
  return digest.startsWith('sha512:') ? { algorithm: 'sha512', hex: digest.slice(7) } : { algorithm: 'sha256', hex: digest.slice(7) };
}

/** Whether bytes in memory have this digest, of whichever algorithm. */
export function hasDigest(bytes: Uint8Array, digest: Digest): boolean {
  const { algorithm, hex } = splitDigest(digest);
  return createHash(algorithm).update(bytes).digest('hex') === hex;
}

/** The sha256 digest of bytes in memory. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
