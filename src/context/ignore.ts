// .dockerignore and --exclude: an ordered list of patterns of which the last that matches decides, a parent's match
// counting for all below it. Pure: nothing here touches a disk.
import { trim } from '../blanks.ts';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { compileGlobstar, hasWildcard, type PathMatcher } from './pattern.ts';

/** One line of an ignore file, or one --exclude. */
interface IgnoreRule {
  /** Cleaned: no `!`, no slash at either end. */
  readonly pattern: string;
  /** As the author wrote it, for messages. */
  readonly text: string;
  /** Counted from 1; 0 where the rule comes from no file. */
  readonly line: number;
  /** Written with `!`: takes matches back in. */
  readonly isException: boolean;
  readonly matches: PathMatcher;
}

export interface IgnoreRules {
  /** What the rules are called in messages: `.dockerignore`, `app.Dockerfile.dockerignore`, `--exclude`. */
  readonly name: string;
  readonly rules: readonly IgnoreRule[];
}

/** What the rules say of one path; needed again to judge what lies below it. */
export interface IgnoreVerdict {
  readonly isIgnored: boolean;
  /** The rule that decided, where one matched. */
  readonly rule?: IgnoreRule;
  /** Which rules matched here or above, in the order of the rules. */
  readonly matched: readonly boolean[];
}

/**
 * Reads an ignore file: `#` in the first column is a comment, blanks around a pattern don't count, `!` makes an exception.
 * @throws BuilderError ERR_CONTEXT naming file and line where a pattern is malformed.
 */
export function parseIgnoreFile(text: string, name: string): IgnoreRules {
  const rules: IgnoreRule[] = [];
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('#') || trim(line) === '') continue;
    const rule = compileRule(trim(line), index + 1, `${name}:${index + 1}`);
    if (rule !== undefined) rules.push(rule);
  }
  return { name, rules };
}

/** The same language for patterns that come from flags. @throws BuilderError ERR_CONTEXT for a malformed pattern. */
export function compileExcludes(patterns: readonly string[], name = '--exclude'): IgnoreRules {
  const rules = patterns.map((pattern) => compileRule(trim(pattern), 0, `${name}=${pattern}`));
  return { name, rules: rules.filter((rule) => rule !== undefined) };
}

/**
 * Judges `path` (as text, no leading slash) by what was found for its parent directory; without `parent`, the path is
 * at the top. A rule that could not change the verdict of the parent is not remembered for its children, as in BuildKit.
 */
export function judge({ rules }: IgnoreRules, path: string, parent?: IgnoreVerdict): IgnoreVerdict {
  const matched: boolean[] = [];
  let deciding: IgnoreRule | undefined;
  let isIgnored = false;
  for (const [index, rule] of rules.entries()) {
    const inherited = parent?.matched[index] === true;
    const isMatch = inherited || (rule.isException === isIgnored && rule.matches(path));
    matched.push(isMatch);
    if (!isMatch) continue;
    isIgnored = !rule.isException;
    deciding = rule;
  }
  return { isIgnored, matched, ...given({ rule: deciding }) };
}

/** Judges a path from the top, component by component. */
export function judgePath(rules: IgnoreRules, path: string): IgnoreVerdict {
  const components = path.split('/');
  let verdict: IgnoreVerdict | undefined;
  for (let depth = 1; depth <= components.length; depth += 1) verdict = judge(rules, components.slice(0, depth).join('/'), verdict);
  return verdict ?? { isIgnored: false, matched: [] };
}

/** False only where no exception can match below the ignored directory `path`, so that a walk need not enter it. */
export function mayTakeBack({ rules }: IgnoreRules, path: string): boolean {
  const components = path.split('/');
  return rules.some((rule) => rule.isException && couldReach(rule.pattern.split('/'), components));
}

function couldReach(pattern: readonly string[], directory: readonly string[]): boolean {
  for (const [index, component] of directory.entries()) {
    const wanted = pattern[index];
    if (wanted === undefined || hasWildcard(wanted) || wanted.includes('\\')) return true;
    if (wanted !== component) return false;
  }
  return true;
}

function compileRule(text: string, line: number, where: string): IgnoreRule | undefined {
  if (text === '') return undefined;
  const isException = text.startsWith('!');
  const written = isException ? trim(text.slice(1)) : text;
  if (written === '') throw new BuilderError('ERR_CONTEXT', `Cannot read pattern '!' (${where}): nothing follows the exclamation mark`);
  const pattern = cleanPattern(written);
  // `.` and `/` name the root, which is not ignored and not taken back.
  if (pattern === '') return undefined;
  try {
    return { pattern, text, line, isException, matches: compileGlobstar(pattern) };
  } catch (error) {
    if (!(error instanceof BuilderError)) throw error;
    throw new BuilderError(error.code, `${error.message} (${where})`, {
      cause: error,
      hint: error.hint,
    });
  }
}

// Go's path.Clean, then no slash in front: `./a/../b/` is `b`.
function cleanPattern(text: string): string {
  const isRooted = text.startsWith('/');
  const kept: string[] = [];
  for (const component of text.split('/')) {
    if (component === '' || component === '.') continue;
    if (component !== '..') kept.push(component);
    else if (kept.length > 0 && kept.at(-1) !== '..') kept.pop();
    else if (!isRooted) kept.push('..');
  }
  return kept.join('/');
}
