// What the flags and the environment say together: each setting once, with kaniko's order of precedence.
import { BuilderError } from '../errors.ts';
import { type FlagSpec, type ParsedFlags, parseBoolean } from './flags.ts';
import { parseDuration } from '../dockerfile/duration.ts';
import { quietFormat } from '../report/level.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads values by flag name; kaniko lets a few variables win over their flag (`environmentWins`). */
export class Settings {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly #table: readonly FlagSpec[];

  /** @throws ERR_USAGE for a flag that can't be honoured. */
  constructor(flags: ParsedFlags, table: readonly FlagSpec[], env: Environment) {
    const values = new Map(flags.values);
    for (const spec of table) {
      const variable = spec.environment === undefined ? undefined : env[spec.environment];
      if (variable !== undefined && variable !== '' && (spec.environmentWins === true || !values.has(spec.name))) {
        if (spec.kind === 'boolean') parseBoolean(`the variable ${spec.environment ?? ''}`, variable);
        values.set(spec.name, spec.kind === 'list' ? variable.split(',').filter((item) => item !== '') : [variable]);
      }
      refuseUnsupported(spec, values.get(spec.name));
    }
    this.#values = values;
    this.#table = table;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  list(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** The last value. */
  text(name: string): string | undefined {
    return this.list(name).at(-1);
  }

  boolean(name: string, otherwise = false): boolean {
    const value = this.list(name).at(-1);
    return value === undefined ? otherwise : parseBoolean(`--${name}`, value);
  }

  number(name: string): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : Number(value);
  }

  /** Of a flag that takes a duration, which was checked when it was read. */
  durationMs(name: string): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : (parseDuration(value) ?? 0) / 1e6;
  }

  /** `KEY=VALUE` items as a map, later ones winning. @throws ERR_USAGE for an item without `=`. */
  pairs(name: string): ReadonlyMap<string, string> {
    const pairs = new Map<string, string>();
    for (const item of this.list(name)) {
      const equals = item.indexOf('=');
      if (equals <= 0) {
        const shape = this.#table.find((spec) => spec.name === name)?.value ?? 'KEY=VALUE';
        throw new BuilderError('ERR_USAGE', `Cannot use --${name} ${JSON.stringify(item)}: expected ${shape}`);
      }
      pairs.set(item.slice(0, equals), item.slice(equals + 1));
    }
    return pairs;
  }

  /** One of `choices`. @throws ERR_USAGE listing them. */
  choice<Choice extends string>(name: string, choices: readonly Choice[], otherwise: Choice): Choice {
    const value = this.text(name);
    if (value === undefined) return otherwise;
    const chosen = choices.find((choice) => choice === value);
    if (chosen === undefined) throw new BuilderError('ERR_USAGE', `Cannot use --${name}=${value}: expected ${choices.join(', ')}`);
    return chosen;
  }
}

/** `--quiet`, or as docker build has it too, `--progress=quiet`. */
export function isQuiet(settings: Settings): boolean {
  return settings.boolean('quiet') || settings.text('log-format') === quietFormat;
}

function refuseUnsupported(spec: FlagSpec, given: readonly string[] | undefined): void {
  const value = given?.at(-1);
  if (spec.unsupported === undefined || value === undefined || value === '') return;
  if (spec.kind === 'boolean' && !parseBoolean(`--${spec.name}`, value)) return;
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot honour --${spec.name}: ${spec.unsupported}`, {
    hint: spec.kind === 'boolean' ? `leave it out, or pass --${spec.name}=false` : 'leave it out',
  });
}
