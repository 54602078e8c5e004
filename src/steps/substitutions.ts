// `$PROJECT_ID`, `${_NAME}`, `$$` and bash's forms in a Cloud Build file.
// cloud.google.com/build/docs/configuring-builds/substitute-variable-values
import { expandHeredoc } from '../dockerfile/words.ts';
import { BuilderError } from '../errors.ts';
import type { Refuse } from './step.ts';

/** Known to be empty or missing in builds that no trigger started. */
const builtIn: ReadonlySet<string> = new Set(
  (
    'PROJECT_ID BUILD_ID PROJECT_NUMBER LOCATION TRIGGER_NAME COMMIT_SHA REVISION_ID SHORT_SHA REPO_NAME REPO_FULL_NAME BRANCH_NAME ' +
    'TAG_NAME REF_NAME TRIGGER_BUILD_CONFIG_PATH SERVICE_ACCOUNT_EMAIL SERVICE_ACCOUNT'
  ).split(' '),
);

export interface SubstitutionSources {
  /** Of the command line. */
  readonly given: ReadonlyMap<string, string>;
  /** Defaults of the file, which may name others. */
  readonly defaults: ReadonlyMap<string, string>;
  /** For built-in ones that nobody gave. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly buildId: string;
  /** ALLOW_LOOSE: what has no value is empty. */
  readonly isLoose: boolean;
}

const expression = /\$\$|\$([A-Z_][A-Z0-9_]*)|\$\{([A-Z_][A-Z0-9_]*)((?:[^{}]|\$\{[^{}]*\})*)\}/g;
const depthLimit = 20;

/** Built-in ones that follow from others. */
const derived: ReadonlyMap<string, readonly string[]> = new Map([
  ['SHORT_SHA', ['COMMIT_SHA', 'REVISION_ID']],
  ['REVISION_ID', ['COMMIT_SHA']],
  ['REF_NAME', ['BRANCH_NAME', 'TAG_NAME']],
  ['PROJECT_ID', ['GOOGLE_CLOUD_PROJECT']],
]);

/** One reading of a file. */
export class Substitutions {
  /** Names that were asked for. */
  readonly used = new Set<string>();
  readonly #sources: SubstitutionSources;
  readonly #refuse: Refuse;

  constructor(sources: SubstitutionSources, refuse: Refuse) {
    this.#sources = sources;
    this.#refuse = refuse;
  }

  /** The text with their values; one that has none is refused with the line. */
  apply(text: string, line: number): string {
    return this.#replace(text, line, 0);
  }

  /** All that have a value, as automapSubstitutions wants them. */
  all(): ReadonlyMap<string, string> {
    const { defaults, given } = this.#sources;
    const names = [...builtIn, ...defaults.keys(), ...given.keys()];
    return new Map(
      names.flatMap((name): [string, string][] => {
        const value = this.#valueOf(name, 1, 0);
        return value === undefined ? [] : [[name, value]];
      }),
    );
  }

  #replace(text: string, line: number, depth: number): string {
    if (depth > depthLimit) return this.#refuse(line, 'substitutions contain each other');
    return text.replaceAll(expression, (whole, plain?: string, braced?: string, operation = '') => {
      const name = plain ?? braced;
      if (name === undefined) return '$';
      const lookup = (each: string): string | undefined => this.#valueOf(each, line, depth);
      if (operation === '') return lookup(name) ?? this.#missing(name, line);
      return operate(lookup(name) ?? '', operation) ?? this.#expand(whole, lookup, line);
    });
  }

  #valueOf(name: string, line: number, depth: number): string | undefined {
    this.used.add(name);
    const { given, defaults, env, buildId } = this.#sources;
    const own = defaults.get(name);
    const found = given.get(name) ?? (own === undefined ? undefined : this.#replace(own, line, depth + 1));
    if (found !== undefined || !builtIn.has(name)) return found;
    if (name === 'BUILD_ID') return buildId;
    if (env[name] !== undefined) return env[name];
    const value = derived
      .get(name)
      ?.map((from) => given.get(from) ?? env[from])
      .find((each) => each !== undefined);
    return name === 'SHORT_SHA' ? value?.slice(0, 7) : value;
  }

  #missing(name: string, line: number): string {
    const isBuiltIn = builtIn.has(name);
    if (!isBuiltIn && !name.startsWith('_'))
      return this.#refuse(
        line,
        `there is no substitution ${name}`,
        `$$${name} is a variable of the step; substitutions of your own begin with _`,
      );
    if (this.#sources.isLoose) return '';
    return this.#refuse(
      line,
      `the substitution ${name} has no value`,
      `--substitutions ${name}=VALUE${isBuiltIn ? `, or the variable ${name}` : ''}`,
    );
  }

  #expand(whole: string, lookup: (name: string) => string | undefined, line: number): string {
    try {
      return expandHeredoc(whole, lookup).value;
    } catch (error) {
      if (!(error instanceof BuilderError)) throw error;
      return this.#refuse(line, error.message, error.hint);
    }
  }
}

/** Forms of bash that a Dockerfile has not; undefined for others. */
function operate(value: string, operation: string): string | undefined {
  // `:-1` is a default, `: -1` counts from the end.
  const [, offset, length] = /^:(\d+|\s+-\d+)(?::(-?\d+))?$/.exec(operation) ?? [];
  if (offset !== undefined) return cut(value, Number(offset), length === undefined ? undefined : Number(length));
  if (operation === '^^') return value.toUpperCase();
  if (operation === ',,') return value.toLowerCase();
  if (operation === '^') return value.slice(0, 1).toUpperCase() + value.slice(1);
  return operation === ',' ? value.slice(0, 1).toLowerCase() + value.slice(1) : undefined;
}

/** `${name:offset:length}`, either of which may count from the end. */
function cut(value: string, offset: number, length: number | undefined): string {
  const start = offset < 0 ? Math.max(0, value.length + offset) : offset;
  return value.slice(start, length === undefined ? undefined : length < 0 ? length : start + length);
}
