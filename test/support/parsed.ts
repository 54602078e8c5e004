// Reads values out of parsed JSON or YAML, so that a test that meets an unexpected shape says which.

export type ParsedObject = Readonly<Record<string, unknown>>;

/** @throws TypeError naming `what` when the value is not an object. */
export function asObject(value: unknown, what = 'the value'): ParsedObject {
  if (isObject(value)) return value;
  throw new TypeError(`${what} is not an object: ${JSON.stringify(value)}`);
}

/** An empty list for a missing one. @throws TypeError naming `what` when the value is something else. */
export function asList(value: unknown, what = 'the value'): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw new TypeError(`${what} is not a list: ${JSON.stringify(value)}`);
}

/** @throws TypeError naming `what` when the value is not a string. */
export function asText(value: unknown, what = 'the value'): string {
  if (typeof value === 'string') return value;
  throw new TypeError(`${what} is not a string: ${JSON.stringify(value)}`);
}

/** @throws TypeError naming `what` when the value is not a number. */
export function asNumber(value: unknown, what = 'the value'): number {
  if (typeof value === 'number') return value;
  throw new TypeError(`${what} is not a number: ${JSON.stringify(value)}`);
}

/** True for objects that are neither null nor lists. */
export function isObject(value: unknown): value is ParsedObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
