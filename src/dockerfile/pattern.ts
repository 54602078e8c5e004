// The globs of `${name#pattern}` and friends: `*`, `?`, and a backslash before either, or before itself. No classes.

type Token = { readonly kind: 'star' | 'any' } | { readonly kind: 'char'; readonly char: string };

/** A compiled glob, matched in linear steps however many stars it has. */
export type Pattern = readonly Token[];

/** @throws SyntaxError naming an escape that means nothing. */
export function compilePattern(text: string): Pattern {
  const tokens: Token[] = [];
  const chars = Array.from(text);
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? '';
    if (char === '*') tokens.push({ kind: 'star' });
    else if (char === '?') tokens.push({ kind: 'any' });
    else if (char === '\\') {
      at++;
      const escaped = chars[at];
      // `}` and `/` end the parts of ${}, so they may be escaped to stand for themselves.
      if (escaped === undefined || !'*?\\}/'.includes(escaped)) throw new SyntaxError(`invalid escape "\\${escaped ?? ''}"`);
      tokens.push({ kind: 'char', char: escaped });
    } else tokens.push({ kind: 'char', char });
  }
  return tokens;
}

/** `value` without the shortest (or longest) start that matches. */
export function trimStart(pattern: Pattern, value: string, longest: boolean): string {
  const chars = Array.from(value);
  const end = matchEnd(pattern, chars, 0, longest);
  return end === undefined ? value : chars.slice(end).join('');
}

/** `value` without the shortest (or longest) end that matches. */
export function trimEnd(pattern: Pattern, value: string, longest: boolean): string {
  const reversed = Array.from(value).toReversed();
  const end = matchEnd(pattern.toReversed(), reversed, 0, longest);
  return end === undefined ? value : reversed.slice(end).toReversed().join('');
}

/** `value` with the leftmost longest match, or all of them, replaced. */
export function replaceMatches(pattern: Pattern, value: string, replacement: string, all: boolean): string {
  const chars = Array.from(value);
  let out = '';
  let at = 0;
  let previousEnd = -1;
  while (at <= chars.length) {
    const end = matchEnd(pattern, chars, at, true);
    // An empty match right behind another match doesn't count, or `*` would match everything and then nothing.
    const isMatch = end !== undefined && !(end === at && at === previousEnd);
    if (isMatch) {
      out += replacement;
      if (!all) return out + chars.slice(end).join('');
      previousEnd = end;
    }
    if (!isMatch || end === at) {
      out += chars[at] ?? '';
      at++;
    } else at = end;
  }
  return out;
}

// Walks all ways to match at once: a set of positions in the pattern for each character. Like the regular expressions
// of the reference implementation, neither `*` nor `?` crosses a line end.
function matchEnd(pattern: Pattern, chars: readonly string[], start: number, longest: boolean): number | undefined {
  let states = closure(pattern, new Set([0]));
  let best: number | undefined;
  for (let at = start; ; at++) {
    if (states.has(pattern.length)) {
      best = at;
      if (!longest) return best;
    }
    const char = chars[at];
    if (char === undefined || states.size === 0) return best;
    const next = new Set<number>();
    for (const state of states) {
      const token = pattern[state];
      if (token === undefined) continue;
      if (token.kind === 'char' ? token.char === char : char !== '\n') next.add(token.kind === 'star' ? state : state + 1);
    }
    states = closure(pattern, next);
  }
}

function closure(pattern: Pattern, states: Set<number>): Set<number> {
  for (const state of states) if (pattern[state]?.kind === 'star') states.add(state + 1);
  return states;
}
