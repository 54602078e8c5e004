// JSON that loses nothing: objects become Maps (so `__proto__` is only a key) and whole numbers that a double can't
// hold keep their digits.
import { BuilderError } from '../errors.ts';

export type JsonObject = ReadonlyMap<string, Json>;
/** A value of JSON; `bigint` stands for a whole number beyond 2^53. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;

/**
 * `subject` is what messages call it.
 * @throws ERR_LAYER when the text is not JSON, or an object in it has a key twice: readers differ in which of the two they take. The
 * message holds the reason and the place, not the text.
 */
export function parseJson(text: string, subject = 'JSON'): Json {
  let value: unknown;
  try {
    value = JSON.parse(text, (_key, item: unknown, context?: { source?: string }) => revive(item, context?.source));
  } catch (error) {
    const why = error instanceof RangeError ? 'it is nested too deep' : error instanceof Error ? error.message.replace(/, ".*$/s, '') : '';
    throw new BuilderError('ERR_LAYER', `Cannot read ${subject}: ${why || 'malformed'}`);
  }
  const again = findRepeatedKey(text);
  if (again !== undefined) throw new BuilderError('ERR_LAYER', `Cannot read ${subject}: a key comes twice at position ${again}`);
  return value as Json; // what `revive` returns for every kind of JSON value
}

/** Where a key stands that its object has already; of JSON that is well-formed. */
function findRepeatedKey(text: string): number | undefined {
  // The keys of each object that is open, undefined for a list.
  const open: (Set<string> | undefined)[] = [];
  let isKey = false;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (sign === '{') open.push(new Set());
    if (sign === '[') open.push(undefined);
    if (sign === '}' || sign === ']') open.pop();
    if (sign === '{' || sign === ',') isKey = open.at(-1) !== undefined;
    if (sign !== '"') continue;
    const start = at;
    for (at += 1; text[at] !== '"'; at++) if (text[at] === '\\') at += 1;
    if (!isKey) continue;
    isKey = false;
    const key: unknown = JSON.parse(text.slice(start, at + 1));
    const keys = open.at(-1);
    if (typeof key !== 'string' || keys === undefined) continue;
    if (keys.has(key)) return start;
    keys.add(key);
  }
  return undefined;
}

/** An object of these members in their order, without those that are undefined. */
export function jsonObject(members: Readonly<Record<string, Json | undefined>>): JsonObject {
  return new Map(Object.entries(members).flatMap(([key, value]): [string, Json][] => (value === undefined ? [] : [[key, value]])));
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
