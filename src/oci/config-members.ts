// Members of an image config, read with their types and written where they are there.
import { BuilderError } from '../errors.ts';
import type { Json, JsonObject } from './json.ts';

/** @throws ERR_LAYER for anything but a string; so with the others */
export function textOf(object: JsonObject, key: string): string | undefined {
  const value = object.get(key);
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw malformed(key, 'a string');
  return value;
}

export function whole(object: JsonObject, key: string): number | undefined {
  const value = object.get(key);
  if (value === undefined || value === null) return undefined;
  const number = Number(value);
  if (typeof value === 'string' || !Number.isInteger(number)) throw malformed(key, 'a whole number');
  return number;
}

export function strings(object: JsonObject, key: string): readonly string[] | undefined {
  const value = object.get(key);
  if (value === undefined || value === null) return undefined;
  // docker wrote a bare string for Entrypoint and Cmd before 1.9; engines still read it
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) throw malformed(key, 'a list of strings');
  return value.map((item: Json) => {
    if (typeof item !== 'string') throw malformed(key, 'a list of strings');
    return item;
  });
}

/** The names of an object, which is how a config has sets. */
export function keys(object: JsonObject, key: string): ReadonlyMap<string, true> | undefined {
  const value = object.get(key);
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof Map)) throw malformed(key, 'an object');
  return new Map(Array.from(value.keys(), (name) => [name, true]));
}

/** What is not known, to be kept. */
export function rest(object: JsonObject, known: ReadonlySet<string>): JsonObject {
  return new Map([...object].filter(([key]) => !known.has(key)));
}

/** By name, so that the same value gives the same bytes. */
export function sorted<Value>(map: ReadonlyMap<string, Value>): [string, Value][] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

export function malformed(member: string, expected: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read the image config: ${member} is not ${expected}`);
}
