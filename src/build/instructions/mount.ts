// The value of RUN --mount: comma-separated `key=value`, as the Dockerfile reference and BuildKit read it.
import { posix } from 'node:path';
import type { Flag } from '../../dockerfile/instruction.ts';
import { didYouMean } from '../../suggest.ts';
import { DockerfileError } from '../../errors.ts';

interface FileAttributes {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
}

/** One mount with its defaults filled in; targets are absolute, sources begin with `/`. */
export type Mount =
  | {
      readonly type: 'bind';
      readonly target: string;
      readonly source: string;
      /** Undefined is the build context. */
      readonly from: string | undefined;
      readonly isReadOnly: boolean;
    }
  | ({
      readonly type: 'cache';
      readonly target: string;
      readonly id: string;
      readonly source: string;
      readonly from: string | undefined;
      readonly sharing: 'shared' | 'private' | 'locked';
      readonly isReadOnly: boolean;
      /** An owner or a mode is asked for: a cache for each, as BuildKit has it. */
      readonly hasAttributes: boolean;
    } & FileAttributes)
  | { readonly type: 'tmpfs'; readonly target: string; readonly sizeBytes: number | undefined }
  | ({
      readonly type: 'secret';
      readonly id: string;
      /** Undefined where only a variable is wanted. */
      readonly target: string | undefined;
      readonly env: string | undefined;
      readonly isRequired: boolean;
    } & FileAttributes)
  | ({ readonly type: 'ssh'; readonly id: string; readonly target: string | undefined; readonly isRequired: boolean } & FileAttributes);

type MountType = Mount['type'];

const types: readonly MountType[] = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'];
const aliases: ReadonlyMap<string, string> = new Map([
  ['src', 'source'],
  ['dst', 'target'],
  ['destination', 'target'],
  ['ro', 'readonly'],
  ['rw', 'readwrite'],
]);
/** Which mounts take which keys, apart from `type`. */
const takers: ReadonlyMap<string, readonly MountType[]> = new Map<string, readonly MountType[]>([
  ['target', types],
  ['source', ['bind', 'cache', 'secret']],
  ['from', ['bind', 'cache']],
  ['readonly', types],
  ['readwrite', types],
  ['id', ['cache', 'secret', 'ssh']],
  ['sharing', ['cache']],
  ['size', ['tmpfs']],
  ['mode', ['cache', 'secret', 'ssh']],
  ['uid', ['cache', 'secret', 'ssh']],
  ['gid', ['cache', 'secret', 'ssh']],
  ['env', ['secret']],
  ['required', ['secret', 'ssh']],
]);

/**
 * Reads one `--mount`. Variables expand in every value but that of `from`; a relative target begins at `workingDir`.
 * @throws DockerfileError that names the key
 */
export function parseMount(flag: Flag, expand: (word: string) => string, workingDir: string): Mount {
  const fail = (problem: string, hint?: string): never => {
    throw new DockerfileError(`Cannot use --mount=${flag.value ?? ''}: ${problem}`, flag.range, hint === undefined ? undefined : { hint });
  };
  const fields = readFields(flag, expand, fail);
  const type = readType(fields.get('type') ?? 'bind', fail);
  for (const key of fields.keys()) {
    if (key !== 'type' && takers.get(key)?.includes(type) !== true) fail(`a ${type} mount has no ${JSON.stringify(key)}`);
  }
  const values = new Values(fields, fail);
  const target = values.target(workingDir);
  switch (type) {
    case 'bind':
      return {
        type,
        target: target ?? values.folder(workingDir),
        source: values.source(),
        from: values.text('from'),
        isReadOnly: values.isReadOnly(true),
      };
    case 'cache': {
      const place = target ?? values.folder(workingDir);
      const sharing = values.sharing();
      const id = values.text('id') ?? place;
      const common = {
        type,
        target: place,
        id,
        sharing,
        source: values.source(),
        from: values.text('from'),
        isReadOnly: values.isReadOnly(false),
        hasAttributes: ['uid', 'gid', 'mode'].some((key) => values.text(key) !== undefined),
      };
      return { ...common, ...values.attributes(0o755) };
    }
    case 'tmpfs':
      return { type, target: target ?? values.folder(workingDir), sizeBytes: values.size() };
    case 'secret':
      return { type, ...secretOf(values, target, fail), ...values.attributes(0o400) };
    case 'ssh':
      return {
        type,
        id: values.text('id') ?? 'default',
        target,
        isRequired: values.flag('required') ?? false,
        ...values.attributes(0o600),
      };
    default:
      return type satisfies never;
  }
}

type Fail = (problem: string, hint?: string) => never;

function secretOf(
  values: Values,
  target: string | undefined,
  fail: Fail,
): { readonly id: string; readonly target: string | undefined; readonly env: string | undefined; readonly isRequired: boolean } {
  const [source, id, env] = [values.text('source'), values.text('id'), values.text('env')];
  if (source !== undefined && id !== undefined) fail('"source" is another word for "id": only one of them can be given');
  const name = id ?? source ?? (target === undefined ? '' : posix.basename(target));
  if (name === '') return fail('it says neither which secret nor where to', 'for example --mount=type=secret,id=token');
  const place = target ?? (env === undefined ? `/run/secrets/${posix.basename(name)}` : undefined);
  return { id: name, target: place, env, isRequired: values.flag('required') ?? false };
}

function readType(word: string, fail: Fail): MountType {
  const lower = word.toLowerCase();
  return types.find((type) => type === lower) ?? fail(`there is no mount type ${JSON.stringify(word)}`, didYouMean(lower, types));
}

/** Keys in lower case and without aliases, to expanded values; a bare key has an empty one. */
function readFields(flag: Flag, expand: (word: string) => string, fail: Fail): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const field of splitFields(flag.value ?? '', fail)) {
    const equals = field.indexOf('=');
    const written = (equals === -1 ? field : field.slice(0, equals)).trim().toLowerCase();
    const key = aliases.get(written) ?? written;
    if (key !== 'type' && !takers.has(key)) {
      fail(`there is no key ${JSON.stringify(written)}`, didYouMean(written, [...takers.keys(), ...aliases.keys(), 'type']));
    }
    if (equals === -1 && !['readonly', 'readwrite', 'required'].includes(key))
      fail(`${JSON.stringify(key)} has no value`, `write ${key}=…`);
    const value = field.slice(equals + 1);
    if (key === 'from' && /\$./.test(value))
      fail('variables are not expanded in "from"', 'give the stage a fixed name: FROM ${IMAGE} AS name');
    fields.set(key, equals === -1 ? 'true' : key === 'from' ? value : expand(value));
    // The last of two opposites counts.
    if (key === 'readonly' || key === 'readwrite') fields.delete(key === 'readonly' ? 'readwrite' : 'readonly');
  }
  return fields;
}

/** Splits at commas, but for those inside of `"…"`, where `""` is one quote (RFC 4180). */
function splitFields(text: string, fail: Fail): readonly string[] {
  const fields: string[] = [];
  let rest = text;
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"(,|$)/.exec(rest);
    if (quoted === null && rest.startsWith('"')) fail('a quoted field must end in a quote');
    const [whole = '', field = ''] = quoted ?? /^([^,]*),?/.exec(rest) ?? [];
    fields.push(quoted === null ? field : field.replaceAll('""', '"'));
    if (!whole.endsWith(',')) return fields;
    rest = rest.slice(whole.length);
  }
}

class Values {
  readonly #fields: ReadonlyMap<string, string>;
  readonly #fail: Fail;

  constructor(fields: ReadonlyMap<string, string>, fail: Fail) {
    this.#fields = fields;
    this.#fail = fail;
  }

  text(key: string): string | undefined {
    const value = this.#fields.get(key);
    return value === '' ? undefined : value;
  }

  flag(key: string): boolean | undefined {
    const value = this.#fields.get(key);
    if (value === undefined) return undefined;
    if (/^(?:1|t|true)$/i.test(value)) return true;
    if (/^(?:0|f|false)$/i.test(value)) return false;
    return this.#fail(`"${key}" is ${JSON.stringify(value)}, which is neither true nor false`);
  }

  isReadOnly(otherwise: boolean): boolean {
    const writable = this.flag('readwrite');
    return this.flag('readonly') ?? (writable === undefined ? otherwise : !writable);
  }

  target(workingDir: string): string | undefined {
    const target = this.text('target');
    if (target === undefined) return undefined;
    const path = posix.resolve('/', workingDir, target);
    return path === '/' ? this.#fail('the target is the root itself') : path;
  }

  folder(workingDir: string): string {
    const path = posix.resolve('/', workingDir);
    return path === '/' ? this.#fail('it has no target', 'for example target=/src') : path;
  }

  source(): string {
    return posix.resolve('/', this.text('source') ?? '/');
  }

  sharing(): 'shared' | 'private' | 'locked' {
    const ways = ['shared', 'private', 'locked'] as const;
    const word = this.text('sharing') ?? 'shared';
    return (
      ways.find((way) => way === word.toLowerCase()) ?? this.#fail(`there is no sharing ${JSON.stringify(word)}`, didYouMean(word, ways))
    );
  }

  attributes(mode: number): FileAttributes {
    return { uid: this.#number('uid', 10) ?? 0, gid: this.#number('gid', 10) ?? 0, mode: this.#number('mode', 8) ?? mode };
  }

  size(): number | undefined {
    const word = this.text('size');
    if (word === undefined) return undefined;
    const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?$/i.exec(word) ?? [];
    if (number === undefined) return this.#fail(`${JSON.stringify(word)} is no size`, 'for example size=64m');
    return Math.floor(Number(number) * 1024 ** ' kmgtp'.indexOf(unit.toLowerCase() || ' '));
  }

  #number(key: string, base: 8 | 10): number | undefined {
    const word = this.text(key);
    if (word === undefined) return undefined;
    const largest = key === 'mode' ? 0o7777 : 4_294_967_294;
    const number = (base === 8 ? /^[0-7]+$/ : /^\d+$/).test(word) ? Number.parseInt(word, base) : Number.NaN;
    return number <= largest ? number : this.#fail(`"${key}" is ${JSON.stringify(word)}, which is no ${key}`);
  }
}
