// The globs of `${name#pattern}` and friends: `*`, `?`, and a backslash before either, or before itself. No classes. Like the
// regular expressions of the reference implementation, neither `*` nor `?` crosses a line end.

/** Code points, which compare several times faster than strings: a value's, or those between two stars, with `any` for `?`. */
type Points = Int32Array;

const any = -1;
const lineFeed = 10;

/** A compiled glob: what stands before the first `*`, between two, and behind the last. */
export type Pattern = readonly Points[];

/** @throws SyntaxError naming an escape that means nothing. */
export function compilePattern(text: string): Pattern {
  const segments: number[][] = [[]];
  const chars = Array.from(text);
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? '';
    if (char === '*') segments.push([]);
    else if (char === '?') segments.at(-1)?.push(any);
    else if (char === '\\') {
      at++;
      const escaped = chars[at];
      // `}` and `/` end the parts of ${}, so they may be escaped to stand for themselves.
      if (escaped === undefined || !'*?\\}/'.includes(escaped)) throw new SyntaxError(`invalid escape "\\${escaped ?? ''}"`);
      segments.at(-1)?.push(pointOf(escaped));
    } else segments.at(-1)?.push(pointOf(char));
  }
  return segments.map((segment) => Int32Array.from(segment));
}

/** `value` without the shortest (or longest) start that matches. */
export function trimStart(pattern: Pattern, value: string, longest: boolean): string {
  const chars = Array.from(value);
  const { end } = match(pattern, pointsOf(chars), 0, longest);
  return end === undefined ? value : chars.slice(end).join('');
}

/** `value` without the shortest (or longest) end that matches. */
export function trimEnd(pattern: Pattern, value: string, longest: boolean): string {
  const reversed = Array.from(value).toReversed();
  const mirrored = pattern.map((segment) => segment.toReversed()).toReversed();
  const { end } = match(mirrored, pointsOf(reversed), 0, longest);
  return end === undefined ? value : reversed.slice(end).toReversed().join('');
}

/**
 * `value` with the leftmost longest match, or all of them, replaced; each line is searched about once, however many stars there are.
 * Once the result has more than `most` characters, the rest of it is not made.
 */
export function replaceMatches(
  pattern: Pattern,
  value: string,
  replacement: string,
  { all, most }: { readonly all: boolean; readonly most: number },
): string {
  const chars = Array.from(value);
  const points = pointsOf(chars);
  const out = new LongText();
  let at = 0;
  let kept = 0;
  let previousEnd = -1;
  let hopelessUntil = -1;
  while (at <= chars.length && out.length <= most) {
    const found = match(pattern, points, at, true, hopelessUntil);
    hopelessUntil = found.hopelessUntil ?? hopelessUntil;
    const { end } = found;
    // An empty match right behind another match doesn't count, or `*` would match everything and then nothing.
    if (end === undefined || (end === at && at === previousEnd)) {
      at++;
      continue;
    }
    if (at > kept) out.add(chars.slice(kept, at).join(''));
    out.add(replacement);
    kept = end;
    if (!all) break;
    previousEnd = end;
    at = Math.max(end, at + 1);
  }
  if (out.length <= most) out.add(chars.slice(kept).join(''));
  return out.text();
}

/** A text of many short pieces: joined by `+=`, each would cost several times what it holds. */
class LongText {
  #text = '';
  #pieces: string[] = [];
  length = 0;

  add(piece: string): void {
    this.length += piece.length;
    this.#pieces.push(piece);
    if (this.#pieces.length >= 4096) this.text();
  }

  text(): string {
    this.#text += this.#pieces.join('');
    this.#pieces = [];
    return this.#text;
  }
}

interface Match {
  /** Undefined where nothing matches. */
  readonly end?: number;
  /** What follows the first star is not to be found from any place up to this one: no use in looking again. */
  readonly hopelessUntil?: number;
}

// Each star takes as little as it can, the last one as much as it can where the longest match is wanted: what a segment leaves is
// never less useful to those behind it than what it would leave at a later place.
function match(pattern: Pattern, points: Points, start: number, longest: boolean, hopelessUntil = -1): Match {
  const first = pattern[0] ?? new Int32Array();
  let at = start + first.length;
  if (pattern.length > 1 && at <= hopelessUntil) return {};
  if (!matchesAt(first, points, start)) return {};
  if (pattern.length === 1) return { end: at };
  const firstLineEnd = lineEnd(points, at);
  let end = firstLineEnd;
  for (let index = 1; index < pattern.length; index++) {
    const segment = pattern[index] ?? new Int32Array();
    if (at > end) end = lineEnd(points, at);
    const place = findSegment(segment, points, { from: at, to: end, last: longest && index === pattern.length - 1 });
    if (place === undefined) return { hopelessUntil: firstLineEnd };
    at = place + segment.length;
  }
  return { end: at };
}

interface Reach {
  readonly from: number;
  /** The end of the line: a star goes no further. */
  readonly to: number;
  readonly last: boolean;
}

// The first (or last) place within reach where a segment matches.
function findSegment(segment: Points, points: Points, { from, to, last }: Reach): number | undefined {
  for (let step = 0; step <= to - from; step++) {
    const place = last ? to - step : from + step;
    if (matchesAt(segment, points, place)) return place;
  }
  return undefined;
}

function matchesAt(segment: Points, points: Points, at: number): boolean {
  if (at + segment.length > points.length) return false;
  for (let index = 0; index < segment.length; index++) {
    const point = points[at + index];
    if (segment[index] === any ? point === lineFeed : segment[index] !== point) return false;
  }
  return true;
}

function lineEnd(points: Points, from: number): number {
  const end = points.indexOf(lineFeed, from);
  return end < 0 ? points.length : end;
}

function pointsOf(chars: readonly string[]): Points {
  return Int32Array.from(chars, pointOf);
}

function pointOf(char: string): number {
  return char.codePointAt(0) ?? 0;
}
