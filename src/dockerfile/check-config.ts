// Which checks run: `# check=skip=A,B;error=true;experimental=C`, and the comment that skips some for one instruction.
import { trim } from '../blanks.ts';
import { BuilderError, DockerfileError, type SourceRange } from '../errors.ts';
import { type RuleName, ruleOf } from './check-rules.ts';

/** Names of rules, or all of them. */
type RuleSet = 'all' | ReadonlySet<string>;

export interface CheckConfig {
  readonly skip: RuleSet;
  readonly experimental: RuleSet;
  /** Any violation fails the build. */
  readonly isError: boolean;
}

const nothing: CheckConfig = { skip: new Set(), experimental: new Set(), isError: false };

/**
 * Reads the value of a check directive or of BUILDKIT_DOCKERFILE_CHECK. Names of rules that don't exist are accepted:
 * newer versions have more.
 * @throws ERR_DOCKERFILE, a DockerfileError when `range` is given
 */
export function parseCheckConfig(text: string, range?: SourceRange): CheckConfig {
  let config = nothing;
  for (const part of trim(text) === '' ? [] : text.split(';')) {
    const equals = part.indexOf('=');
    const key = trim(part.slice(0, equals < 0 ? undefined : equals));
    const value = equals < 0 ? undefined : trim(part.slice(equals + 1));
    if (key === 'skip' && value !== undefined) config = { ...config, skip: parseRules(value) };
    else if (key === 'experimental' && value !== undefined) config = { ...config, experimental: parseRules(value) };
    else if (key === 'error' && value !== undefined && /^(?:true|false|0|1|t|f)$/i.test(value))
      config = { ...config, isError: /^[t1]/i.test(value) };
    else throw refuse(trim(part), range);
  }
  return config;
}

/** The config for one instruction: a `# check=` comment right above it adds to what is skipped, and to nothing else. */
export function mergeComments(config: CheckConfig, comments: readonly string[], range: SourceRange): CheckConfig {
  let merged = config;
  for (const comment of comments) {
    const value = /^check[\t\f\r ]*=[\t\f\r ]*(.+)$/.exec(comment)?.[1];
    if (value === undefined) continue;
    const own = parseCheckConfig(value, range);
    merged = { ...merged, skip: union(merged.skip, own.skip), experimental: union(merged.experimental, own.experimental) };
  }
  return merged;
}

/** True when a rule's findings count under this config. */
export function isEnabled(config: CheckConfig, rule: RuleName): boolean {
  const has = (set: RuleSet): boolean => set === 'all' || set.has(rule);
  return ruleOf(rule).isExperimental === true ? has(config.experimental) : !has(config.skip);
}

function parseRules(value: string): RuleSet {
  return value === 'all' ? 'all' : new Set(value.split(',').map((name) => trim(name)));
}

function union(a: RuleSet, b: RuleSet): RuleSet {
  return a === 'all' || b === 'all' ? 'all' : a.union(b);
}

function refuse(part: string, range: SourceRange | undefined): BuilderError {
  const message = `Cannot use check option ${JSON.stringify(part)}: it is none of skip=, error=true and experimental=`;
  const options = { hint: 'for example check=skip=StageNameCasing,UndefinedVar;error=true' };
  return range === undefined ? new BuilderError('ERR_DOCKERFILE', message, options) : new DockerfileError(message, range, options);
}
