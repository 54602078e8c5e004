// Flags of other tools that are known by name, so that who gives one is told why it can't be honoured.
import type { FlagSpec } from '../flags.ts';

export function unsupportedFlags(kind: FlagSpec['kind'], names: readonly string[], unsupported: string): readonly FlagSpec[] {
  return names.map((name) => ({ name, kind, about: '', unsupported }));
}
