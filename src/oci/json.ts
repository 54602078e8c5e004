// JSON that loses nothing: objects become Maps (so `__proto__` is only a key) and whole numbers that a double can't
// hold keep their digits.
import { BuilderError } from '../errors.ts';

export type JsonObject = ReadonlyMap<string, Json>;
/** A value of JSON; `bigint` stands for a whole number beyond 2^53. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;

/** @throws ERR_LAYER when the text is not JSON; the message holds the parser's reason, not the text. */
export function parseJson(text: string): Json {
  try {
    const value: unknown = JSON.parse(text, (_key, item: unknown, context?: { source?: string }) => revive(item, context?.source));
    return value as Json; // what `revive` returns for every kind of JSON value
  } catch (error) {
    throw new BuilderError('ERR_LAYER', `Cannot read JSON: ${error instanceof Error ? error.message.replace(/, ".*$/s, '') : 'malformed'}`);
  }
}

/** Compact JSON; the Maps' own order is kept. */
export function formatJson(value: Json): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return JSON.stringify(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Map) {
    return `{${[...value].map(([key, item]: [string, Json]) => `${JSON.stringify(key)}:${formatJson(item)}`).join(',')}}`;
  }
  if (Array.isArray(value)) return `[${value.map((item: Json) => formatJson(item)).join(',')}]`;
  throw new BuilderError('ERR_INTERNAL', 'Cannot write JSON: unknown kind of value');
}

function revive(item: unknown, source: string | undefined): Json {
  if (typeof item === 'number') {
    if (source !== undefined && /^-?\d+$/.test(source) && !Number.isSafeInteger(item)) return BigInt(source);
    return item;
  }
  if (item === null || typeof item !== 'object' || Array.isArray(item) || item instanceof Map) return item as Json; // already revived
  // JSON.parse makes own properties even of `__proto__`, so entries() sees every key.
  return new Map(Object.entries(item)) as JsonObject; // its values were revived before it
}
