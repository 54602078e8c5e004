// Wildcards with the rules of Go's path/filepath.Match, which is what a Dockerfile means by them. minimatch does the
// matching; where its language is wider than Go's (`[!a]`, POSIX classes, braces, unclosed brackets), the pattern is checked and spelled out first.
import { Minimatch, type MinimatchOptions } from 'minimatch';
import { BuilderError } from '../errors.ts';

/** Answers for a path without leading slash, as text. */
export type PathMatcher = (path: string) => boolean;

/** Comments, braces, negation and extended globs need no switch: whatever could begin one is escaped (see `literal`). */
const goRules = {
  dot: true,
  platform: 'linux',
  optimizationLevel: 0,
} as const;

/** A piece of a pattern: `text` as minimatch has to read it, and whether it is a wildcard at all. */
interface Token {
  readonly kind: 'literal' | 'star' | 'any' | 'class' | 'slash';
  readonly text: string;
}

/** True where the word holds an unescaped `*`, `?` or `[`, so that it is a pattern and not a name. */
export function hasWildcard(word: string): boolean {
  return /^(?:[^\\*?[]|\\[^])*[*?[]/.test(word);
}

/**
 * Compiles one pattern; `*` and `?` stop at slashes and match dot files, `**` is nothing special.
 * @throws BuilderError ERR_CONTEXT for what Go calls a bad pattern: an unclosed or empty class, a last backslash.
 */
export function compileWildcard(pattern: string): PathMatcher {
  return compileForm(tokenize(pattern), { ...goRules, noglobstar: true });
}

/**
 * As `compileWildcard`, with `**` for any number of components wherever it stands (the rules of .dockerignore).
 * @throws BuilderError ERR_CONTEXT as compileWildcard, and for more `**` inside names than can be spelled out.
 */
export function compileGlobstar(pattern: string): PathMatcher {
  const tokens = tokenize(pattern);
  if (tokens.every((token) => token.kind === 'literal' || token.kind === 'slash') && !pattern.includes('\\')) {
    return (path) => path === pattern;
  }
  const forms = globstarForms(tokens).map((form) => compileForm(form, goRules));
  const [first, ...others] = forms;
  if (first !== undefined && others.length === 0) return first;
  return (path) => forms.some((form) => form(path));
}

const star: Token = { kind: 'star', text: '*' };
const slash: Token = { kind: 'slash', text: '/' };
const globstar: Token = { kind: 'literal', text: '**' };
const maxForms = 64;

// minimatch knows `**` as a whole component only, so a `**` inside a name becomes two patterns: `a**b` is `ab` or `a*/**/b`.
function globstarForms(tokens: readonly Token[]): Token[][] {
  let forms: Token[][] = [[]];
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token === undefined) break;
    if (token.kind !== 'star' || tokens[at + 1]?.kind !== 'star') {
      forms = forms.map((form) => [...form, token]);
      continue;
    }
    const isFirst = at === 0;
    at += tokens[at + 2]?.kind === 'slash' ? 2 : 1;
    const rest = tokens.slice(at + 1);
    const isSuffix = isFirst && at === 1 && rest.every((next) => next.kind === 'literal' || next.kind === 'slash');
    forms = forms.flatMap((form) => extendForm(form, rest.length === 0, isSuffix));
    if (forms.length > maxForms) throw badPattern(tokens.map((part) => part.text).join(''), "has too many '**' inside names");
  }
  return forms;
}

function extendForm(form: readonly Token[], isLast: boolean, isSuffix: boolean): Token[][] {
  const opensName = form.length === 0 || form.at(-1)?.kind === 'slash';
  const anyDepth = [globstar, slash];
  // At the end, `**` is everything below, and not the directory itself.
  if (isLast)
    return opensName
      ? [[...form, ...anyDepth, star]]
      : [
          [...form, star],
          [...form, star, slash, ...anyDepth, star],
        ];
  // `**.md`, at the start with nothing but plain letters behind, is "ends with .md", and so matches `a.md`.
  if (isSuffix) return [[...anyDepth, star]];
  return opensName ? [[...form, ...anyDepth]] : [[...form], [...form, star, slash, ...anyDepth]];
}

function compileForm(tokens: readonly Token[], rules: MinimatchOptions): PathMatcher {
  const text = tokens.map((token) => token.text).join('');
  const matcher = new Minimatch(text, rules);
  return (path) => matcher.match(path);
}

function tokenize(pattern: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < pattern.length) {
    const character = pattern.charAt(at);
    if (character === '[') {
      const end = readClass(pattern, at);
      tokens.push({ kind: 'class', text: end.text });
      at = end.next;
      continue;
    }
    if (character === '\\') {
      if (at + 1 >= pattern.length) throw badPattern(pattern, 'ends in a backslash');
      tokens.push({ kind: 'literal', text: literal(pattern.charAt(at + 1)) });
      at += 2;
      continue;
    }
    tokens.push(plainToken(character));
    at += 1;
  }
  return tokens;
}

function plainToken(character: string): Token {
  if (character === '*') return star;
  if (character === '?') return { kind: 'any', text: '?' };
  if (character === '/') return slash;
  return { kind: 'literal', text: literal(character) };
}

function literal(character: string): string {
  return /[\\*?[\]{}()!+@|#^-]/.test(character) ? `\\${character}` : character;
}

// Go: '[' [ '^' ] { c | '\' c | lo '-' hi } ']', with at least one member; '-' and ']' as members need a backslash.
function readClass(pattern: string, start: number): { readonly text: string; readonly next: number } {
  let at = start + 1;
  const isNegated = pattern.charAt(at) === '^';
  if (isNegated) at += 1;
  let members = '';
  while (pattern.charAt(at) !== ']' || members === '') {
    const low = readMember(pattern, at);
    at = low.next;
    if (pattern.charAt(at) !== '-') {
      members += literal(low.character);
      continue;
    }
    const high = readMember(pattern, at + 1);
    at = high.next;
    members += `${literal(low.character)}-${literal(high.character)}`;
  }
  return { text: `[${isNegated ? '^' : ''}${members}]`, next: at + 1 };
}

function readMember(pattern: string, at: number): { readonly character: string; readonly next: number } {
  const character = pattern.charAt(at);
  if (character === '' || character === '-' || character === ']')
    throw badPattern(pattern, "has a '[' that is not closed, or an empty class");
  if (character !== '\\') return { character, next: at + 1 };
  if (at + 1 >= pattern.length) throw badPattern(pattern, "has a '[' that is not closed");
  return { character: pattern.charAt(at + 1), next: at + 2 };
}

function badPattern(pattern: string, state: string): BuilderError {
  return new BuilderError('ERR_CONTEXT', `Cannot read pattern '${pattern}': it ${state}`, {
    hint: "In a pattern '*' stands for any characters but '/', '?' for one, '[a-z]' for one of a range, and '\\' makes the next character plain.",
  });
}
