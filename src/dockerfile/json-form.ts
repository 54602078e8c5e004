// The JSON (exec) form of an instruction's arguments.
import { trim } from '../blanks.ts';

export type JsonForm =
  | { readonly kind: 'strings'; readonly values: readonly string[] }
  /** An array with something that isn't a string in it: always an error. */
  | { readonly kind: 'mixed' }
  /** Not an array at all, or not JSON: the shell form. */
  | { readonly kind: 'none' };

/** Reads `["a", "b"]`; text that looks like it but isn't valid JSON is the shell form, as it has always been. */
export function parseJsonForm(text: string): JsonForm {
  const trimmed = trim(text);
  if (!trimmed.startsWith('[')) return { kind: 'none' };
  const value = parseJson(trimmed);
  if (!Array.isArray(value)) return { kind: 'none' };
  const values = value.filter((item) => typeof item === 'string');
  return values.length === value.length ? { kind: 'strings', values } : { kind: 'mixed' };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
