// Blanks as Go's unicode.IsSpace and strings.TrimSpace have them, which Dockerfiles and ignore files are read with. JavaScript's
// `\s` and trim() differ by two: they take U+FEFF for a blank, and U+0085 for none.

const blanks = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const one = new RegExp(`^${blanks}$`);
const leading = new RegExp(`^${blanks}+`);

/** True for one character that is a blank. */
export function isBlank(character: string): boolean {
  return one.test(character);
}

/** The text without the blanks it begins with. */
export function trimStart(text: string): string {
  return text.replace(leading, '');
}

/** The text without the blanks it ends in. */
export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}

/** The text without the blanks around it. */
export function trim(text: string): string {
  return trimEnd(trimStart(text));
}
