// The words that the tables of flags are written in: what a flag takes, its name, what its value is called, and what it does.
import type { FlagGroup, FlagSpec } from '../flags.ts';

type More = Omit<FlagSpec, 'name' | 'kind' | 'value' | 'about'>;

/** On or off. */
export function toggle(name: string, about: string, more?: More): FlagSpec {
  return { name, kind: 'boolean', about, ...more };
}

/** One value, of which the last counts; so do the next three. */
export function text(name: string, value: string, about: string, more?: More): FlagSpec {
  return { name, kind: 'text', value, about, ...more };
}

export function number(name: string, value: string, about: string, more?: More): FlagSpec {
  return { name, kind: 'number', value, about, ...more };
}

export function count(name: string, value: string, about: string, more?: More): FlagSpec {
  return { name, kind: 'count', value, about, ...more };
}

export function duration(name: string, value: string, about: string, more?: More): FlagSpec {
  return { name, kind: 'duration', value, about, ...more };
}

/** May be given again, for one more. */
export function list(name: string, value: string, about: string, more?: More): FlagSpec {
  return { name, kind: 'list', value, about, ...more };
}

/** The same, or several at once with commas between them. */
export function commaList(name: string, value: string, about: string, more?: More): FlagSpec {
  return { name, kind: 'comma-list', value, about, ...more };
}

/** Taken, and told as changing nothing for a reason. */
export function inert(kind: FlagSpec['kind'], name: string, reason: string, more?: Partial<FlagSpec>): FlagSpec {
  return { name, kind, about: '', inert: reason, ...more };
}

/** Refused for a reason, so that who gives it is told why it can't be honoured. */
export function unsupported(kind: FlagSpec['kind'], name: string, reason: string, more?: Partial<FlagSpec>): FlagSpec {
  return { name, kind, about: '', unsupported: reason, ...more };
}

/** The same of several. */
export function unsupportedFlags(kind: FlagSpec['kind'], names: readonly string[], reason: string): readonly FlagSpec[] {
  return names.map((name) => unsupported(kind, name, reason));
}

/** Flags under one heading. */
export function group(title: string, flags: readonly FlagSpec[]): FlagGroup {
  return { title, flags };
}
