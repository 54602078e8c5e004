// What a flag is, and reading a command line by the flags of a command (`tables/`).
import { parseDuration } from '../dockerfile/duration.ts';
import { didYouMean } from '../suggest.ts';
import { BuilderError } from '../errors.ts';
import { foreignFlags } from './foreign-flags.ts';

/** A count is a number that is not negative. */
type FlagKind = 'text' | 'boolean' | 'number' | 'count' | 'duration' | 'list' | 'comma-list';

/**
 * What an empty value says, as a pipeline makes it of a variable that is not set: as if the flag were not there, nothing more on a
 * list, not one of those there are, or a mistake (as in kaniko, where the value is a number, a truth, or names what to do). Where a
 * flag changes what is there already, it takes that away.
 */
export type EmptyValue = 'not set' | 'no item' | 'none' | 'refused' | 'clears';

export interface FlagSpec {
  readonly name: string;
  readonly kind: FlagKind;
  readonly short?: string;
  /** Other spellings that kaniko took; they work and are not listed. */
  readonly aliases?: readonly string[];
  /** The variable that says the same; the flag wins unless `environmentWins`. */
  readonly environment?: string;
  readonly environmentWins?: true;
  readonly value?: string;
  /** The only values that it takes. */
  readonly choices?: readonly string[];
  /** The choice that another way of writing it stands for. */
  readonly reads?: (text: string) => string;
  /** One that others have, and that is refused by name. */
  readonly unsupportedChoice?: string;
  /** What it says without a value; then one is only taken that is attached, or among its choices. */
  readonly bare?: string;
  /** What it does, in one line. */
  readonly about: string;
  /** The same at length, where there is more to say than a line of `--help` has room for. */
  readonly details?: string;
  /** What kaniko's flag of this name does: `same`, or the difference; undefined where it has none. */
  readonly kaniko?: string;
  /** On the first page of `--help`. */
  readonly isCommon?: true;
  /** Of lists, and of a text that clears; else a kind has one meaning (`emptyValueOf`). */
  readonly empty?: 'no item' | 'refused' | 'clears';
  /** The switch without which it changes nothing, which is told then. */
  readonly needs?: string;
  /** The flag that wins where both are given, which is told then. */
  readonly overruledBy?: string;
  /** Accepted because pipelines pass it, and told as changing nothing. */
  readonly inert?: string;
  /** Honoured only in its "off" form: what to say to anything else. */
  readonly unsupported?: string;
}

/** Flags that belong together, as a heading of `--help`. */
export interface FlagGroup {
  readonly title: string;
  readonly flags: readonly FlagSpec[];
}

/** What was given: by canonical name, in order. */
export interface ParsedFlags {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
}

/** What an empty value of this flag says. */
export function emptyValueOf(spec: FlagSpec): EmptyValue {
  if (spec.kind === 'text') return spec.empty ?? 'not set';
  if (spec.kind === 'comma-list') return 'none';
  return spec.empty ?? 'refused';
}

/**
 * Reads flags by pflag's rules: `--name value`, `--name=value`, `--bool`, `--bool=false`, `-c value`, `-c=value`, `-cvalue`. The
 * value is the next word whatever that is, an empty one too; an empty word that is nobody's value is dropped. With `endsAtOperand`
 * all behind the first word that is no flag belongs to it.
 * @throws ERR_USAGE naming the flag.
 */
export function parseFlags(argv: readonly string[], table: readonly FlagSpec[], endsAtOperand = false): ParsedFlags {
  const values = new Map<string, string[]>();
  const positionals: string[] = [];
  const byName = new Map(table.flatMap((spec) => [spec.name, ...(spec.aliases ?? [])].map((name) => [name, spec])));
  const byShort = new Map(table.flatMap((spec) => (spec.short === undefined ? [] : [[spec.short, spec]])));
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '') continue;
    if (word === '--') {
      positionals.push(...rest.splice(0).filter((given) => given !== '' || endsAtOperand));
    } else if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const name = equals === -1 ? word.slice(2) : word.slice(2, equals);
      const spec = byName.get(name);
      if (spec === undefined) throw unknownFlag(`--${name}`, [...byName.keys()]);
      store(values, spec, `--${name}`, equals === -1 ? undefined : word.slice(equals + 1), rest);
    } else if (word.startsWith('-') && word.length > 1) {
      refuseSingleDash(word, byName);
      const spec = byShort.get(word.slice(1, 2));
      if (spec === undefined) throw unknownFlag(word.slice(0, 2), []);
      const attached = word.slice(2);
      store(values, spec, word.slice(0, 2), attached === '' ? undefined : attached.replace(/^=/, ''), rest);
    } else {
      positionals.push(word, ...(endsAtOperand ? rest.splice(0) : []));
    }
  }
  return { values, positionals };
}

/** True/false as pflag reads it. @throws ERR_USAGE */
export function parseBoolean(flag: string, text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  throw new BuilderError('ERR_USAGE', `Cannot use ${flag}=${text}: expected true or false`);
}

function store(values: Map<string, string[]>, spec: FlagSpec, written: string, attached: string | undefined, rest: string[]): void {
  const given = values.get(spec.name) ?? [];
  const text = attached ?? bareValue(spec, rest) ?? rest.shift();
  if (text === undefined) {
    throw new BuilderError('ERR_USAGE', `Cannot use ${written}: it needs a value`, { hint: `${written}=${spec.value ?? 'VALUE'}` });
  }
  const value = spec.reads?.(text) ?? text;
  if (value === '' && spec.kind !== 'boolean' && takesEmpty(values, spec, written)) return;
  checkValue(spec, written, value);
  const items = spec.kind === 'comma-list' ? value.split(',').filter((item) => item !== '') : [value];
  values.set(spec.name, spec.kind === 'list' || spec.kind === 'comma-list' ? [...given, ...items] : items);
}

function bareValue({ kind, bare, choices = [] }: FlagSpec, rest: string[]): string | undefined {
  if (kind === 'boolean') return 'true';
  return bare !== undefined && choices.includes(rest[0] ?? '') ? rest.shift() : bare;
}

function checkValue(spec: FlagSpec, written: string, value: string): void {
  const fail = (expected: string): never => {
    const hint = `${written} is --${spec.name} here`; // another builder's letter may be another flag
    throw new BuilderError('ERR_USAGE', `Cannot use ${written}=${value}: expected ${expected}`, written.startsWith('--') ? {} : { hint });
  };
  if (spec.kind === 'boolean') parseBoolean(written, value);
  if (spec.kind === 'number' && !/^-?\d{1,9}$/.test(value)) fail('a whole number');
  if (spec.kind === 'count' && !/^\d{1,9}$/.test(value)) fail('a whole number, 0 or more');
  if (spec.kind === 'duration' && (parseDuration(value) ?? -1) < 0) fail('a duration with its unit, such as 6h or 336h');
  if (spec.unsupportedChoice === value)
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot honour ${written}=${value}: it is not written here`, {
      hint: `use ${spec.choices?.join(' or ') ?? ''}`,
    });
  if (spec.choices !== undefined && !spec.choices.includes(value)) fail(spec.choices.join(', '));
}

/** True where an empty value is all dealt with. @throws ERR_USAGE where it is a mistake */
function takesEmpty(values: Map<string, string[]>, spec: FlagSpec, written: string): boolean {
  const meaning = emptyValueOf(spec);
  if (meaning === 'refused') {
    throw new BuilderError('ERR_USAGE', `Cannot use an empty ${written}: it needs a value`, {
      hint: `${written}=${spec.value ?? 'VALUE'}, or leave it out; a variable may be unset where this command line was made`,
    });
  }
  if (meaning === 'not set') values.delete(spec.name); // the last value counts
  return meaning !== 'none' && meaning !== 'clears'; // a list of nothing is a list
}

/** To pflag `-cache` is `-c` with the value `ache`: what nobody means, and what only fails later, as something else. */
function refuseSingleDash(word: string, byName: ReadonlyMap<string, FlagSpec>): void {
  const [name = ''] = word.slice(1).split('=', 1);
  if (name.length < 2 || !byName.has(name)) return;
  throw new BuilderError('ERR_USAGE', `Cannot use -${name}: whole names of flags have two dashes`, { hint: `-${word}` });
}

function unknownFlag(written: string, names: readonly string[]): BuilderError {
  const hint = /\s/.test(written)
    ? 'the argument has a blank in it: pass flags as separate arguments'
    : (foreignFlags.get(written) ?? didYouMean(written.slice(2), names, (name) => `--${name}`) ?? 'see --help');
  return new BuilderError('ERR_USAGE', `Cannot use ${written}: there is no such flag`, { hint });
}
