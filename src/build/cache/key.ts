// A key of the layer cache: everything that the result of a step depends on, as named parts, each framed by its length, hashed.
import { createHash } from 'node:crypto';

/** One thing that a result depends on; the name says to people what it is: `file src/main.c`, `variable VERSION`. */
export interface KeyPart {
  readonly name: string;
  readonly value: string;
}

/** 64 hex digits: also the tag of an entry, as in kaniko. */
export type CacheKey = string;

/** The key of these parts, in this order. */
export function keyOf(parts: readonly KeyPart[]): CacheKey {
  return digestOfTexts(parts.flatMap(({ name, value }) => [name, value]));
}

/** One digest of several texts: no two lists have the same, however their texts are cut. */
export function digestOfTexts(texts: readonly string[]): CacheKey {
  const hash = createHash('sha256');
  for (const text of texts) {
    const bytes = Buffer.from(text, 'utf8');
    hash.update(`${bytes.length}:`);
    hash.update(bytes);
  }
  return hash.digest('hex');
}
