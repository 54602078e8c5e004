// `--targets-file`: docker-bake.json. What each target says becomes the flags that say the same; what has no flag is refused by name.
// docs.docker.com/build/bake/reference
import { join } from 'node:path';
import { didYouMean } from '../../suggest.ts';
import { BuilderError } from '../../errors.ts';
import { type Json, type JsonObject, parseJson } from '../../oci/json.ts';
import { readCacheSpec } from '../requests/cache-spec.ts';
import type { Environment } from '../settings.ts';

/** One image to build. */
export interface Target {
  readonly name: string;
  /** Flags with their values, in order. */
  readonly flags: readonly (readonly [name: string, value: string])[];
}

/** Names by groups, and what the file says of each target. */
export interface TargetsFile {
  /** Those that are named, each once, groups as what they stand for; without names the group default, else all. @throws ERR_USAGE */
  readonly choose: (names: readonly string[]) => readonly Target[];
}

const other = 'docker buildx bake --print > docker-bake.json makes one of it';
const depthLimit = 20;

/** Bake's fields that have no meaning for one build, or none here. */
const ignored: ReadonlySet<string> = new Set(['description', 'pull', 'inherits']);
const refused: Readonly<Record<string, string>> = {
  call: 'yadokari check does what call=check does',
  'dockerfile-inline': 'write the Dockerfile into a file',
  entitlements: 'there are none to give',
  'extra-hosts': "commands have the container's own /etc/hosts",
  matrix: other,
  name: other,
  'no-cache-filter': 'no-cache is for all stages',
  policy: 'policies are not looked at',
  'shm-size': "it is the container's",
  ulimits: "they are the container's",
};

/** @throws ERR_USAGE where the file is not one, ERR_UNSUPPORTED naming what can't be honoured of a chosen target */
export function parseTargetsFile(text: string, path: string, env: Environment): TargetsFile {
  const fail = (why: string, hint?: string): never => {
    throw new BuilderError('ERR_USAGE', `Cannot use --targets-file ${path}: ${why}`, { hint });
  };
  if (/\.(?:hcl|ya?ml)$/i.test(path)) return fail(`${path.endsWith('.hcl') ? 'HCL' : 'Compose'} is not read`, other);
  const root = readObject(text, fail);
  for (const key of root.keys())
    if (!['target', 'group', 'variable'].includes(key)) return fail(`there is no ${JSON.stringify(key)} in such a file`, other);
  const variables = variablesOf(objectAt(root, 'variable', fail), env, fail);
  const resolveText = (value: string, place: string): string => interpolate(value, variables, (why) => fail(`${place}: ${why}`, other));
  const [targets, groups] = [objectAt(root, 'target', fail), objectAt(root, 'group', fail)];
  const known = [...targets.keys(), ...groups.keys()];
  const expand = (name: string, depth: number): readonly string[] => {
    const group = groups.get(name);
    if (targets.has(name)) return [name];
    if (depth > depthLimit) return fail(`the group ${name} contains itself`);
    if (group instanceof Map) return texts(group.get('targets'), `group ${name}`, fail).flatMap((each) => expand(each, depth + 1));
    return fail(`there is no target ${JSON.stringify(name)}`, didYouMean(name, known) ?? `it has ${known.join(', ')}`);
  };
  return {
    choose: (names) => {
      const asked = names.length > 0 ? names : known.includes('default') ? ['default'] : [...targets.keys()];
      const chosen = [...new Set(asked.flatMap((name) => expand(name, 0)))];
      if (chosen.length === 0) return fail('it has no target');
      return chosen.map((name) => {
        const place = `target ${JSON.stringify(name)}`;
        const fields = inherit(targets, name, (why) => fail(`${place}: ${why}`), 0);
        return { name, flags: flagsOf(fields, { place, path, resolveText }) };
      });
    },
  };
}

type Fail = (why: string, hint?: string) => never;

function readObject(text: string, fail: Fail): JsonObject {
  try {
    const root = parseJson(text);
    return root instanceof Map ? root : fail('it is no JSON object');
  } catch (error) {
    if (error instanceof BuilderError && error.code === 'ERR_USAGE') throw error;
    return fail(`it is no JSON (${error instanceof Error ? error.message : 'malformed'})`, other);
  }
}

function objectAt(root: JsonObject, key: string, fail: Fail): JsonObject {
  const value = root.get(key) ?? new Map<string, Json>();
  return value instanceof Map ? value : fail(`${key} is no object`);
}

/** Defaults, for which the environment may have others. */
function variablesOf(declared: JsonObject, env: Environment, fail: Fail): ReadonlyMap<string, string> {
  return new Map(
    [...declared].map(([name, variable]) => {
      const value = variable instanceof Map ? (variable.get('default') ?? '') : fail(`variable ${name} is no object`);
      if (value === null || typeof value === 'object') return fail(`the default of variable ${name} is no text`);
      return [name, env[name] ?? String(value)];
    }),
  );
}

/** `${NAME}`; `$${` is `${`. Bake knows functions, too. */
function interpolate(text: string, variables: ReadonlyMap<string, string>, fail: Fail): string {
  return text.replaceAll(/\$\$\{|\$\{([^}]*)\}/g, (whole, expression: string | undefined) => {
    if (expression === undefined) return '${';
    const value = variables.get(expression.trim());
    return (
      value ?? fail(/^\s*\w+\s*$/.test(expression) ? `no variable is called ${expression.trim()}` : `${whole} is no name of a variable`)
    );
  });
}

/** A target's fields over those it inherits, in their order; objects are merged, everything else is replaced. */
function inherit(targets: JsonObject, name: string, fail: Fail, depth: number): JsonObject {
  const own = targets.get(name);
  if (!(own instanceof Map)) return fail(targets.has(name) ? 'it is no object' : `it inherits ${name}, which is not there`);
  if (depth > depthLimit) return fail('it inherits itself');
  const merged = new Map<string, Json>();
  const layers = [...texts(own.get('inherits'), 'inherits', fail).map((parent) => inherit(targets, parent, fail, depth + 1)), own];
  for (const layer of layers) {
    for (const [key, value] of layer) {
      const before = merged.get(key);
      merged.set(key, before instanceof Map && value instanceof Map ? new Map([...before, ...value]) : value);
    }
  }
  return merged;
}

interface FlagScope {
  readonly place: string;
  readonly path: string;
  readonly resolveText: (text: string, place: string) => string;
}

/** What a field of a target is read with. */
interface Field {
  readonly value: Json;
  /** A text, with the values of variables. */
  readonly text: (value: Json) => string;
  /** @throws ERR_UNSUPPORTED */
  readonly refuse: (what: string, hint?: string) => never;
}

const list = ({ value, text, refuse }: Field): readonly string[] =>
  Array.isArray(value) ? value.map((item: Json) => itemText(item, text)) : refuse('its value');

/** `NAME=VALUE` of an object; a name alone where its value is null. */
const pairs = ({ value, text, refuse }: Field): readonly string[] =>
  value instanceof Map
    ? [...value].map(([name, item]: [string, Json]) => (item === null ? name : `${name}=${text(item)}`))
    : refuse('its value');

const each =
  (flag: string, read: (field: Field) => readonly string[]) =>
  (field: Field): Target['flags'] =>
    read(field).map((value) => [flag, value]);

const caches = (field: Field): readonly string[] => list(field).map(readCacheSpec);

/** By bake's names: the flags that say the same. */
const converters: Readonly<Record<string, (field: Field) => Target['flags']>> = {
  args: each('build-arg', pairs),
  labels: each('label', pairs),
  contexts: each('build-context', (field) => pairs(field).map((pair) => (pair.includes('=target:') ? field.refuse(pair) : pair))),
  tags: each('destination', list),
  platforms: each('platform', list),
  // `index:KEY=VALUE` and the like
  annotations: each('annotation', (field) => list(field).map((item) => (/^[\w,[\]/-]+:.*=/.test(item) ? field.refuse(item) : item))),
  secret: each('secret', list),
  ssh: each('ssh', list),
  attest: each('attest', list),
  'cache-from': each('cache-from', caches),
  'cache-to': each('cache-to', caches),
  output: (field) => outputFlags(list(field)),
  target: each('target', ({ value, text }) => [text(value)]),
  network: each('network', ({ value, text }) => [text(value)]),
  'no-cache': each('cache', ({ value }) => (value === true ? ['false'] : [])),
  call: ({ value, refuse }) => (value === 'build' ? [] : refuse('its value', refused['call'])),
};

function flagsOf(fields: JsonObject, { place, path, resolveText }: FlagScope): Target['flags'] {
  const fieldOf = (key: string, value: Json): Field => {
    const refuse = (what: string, hint?: string): never => {
      const message = `Cannot build ${place} of ${path}: ${what === '' ? key : `${key} (${what})`} can't be honoured`;
      throw new BuilderError('ERR_UNSUPPORTED', message, { hint });
    };
    const text = (item: Json): string =>
      item === null || typeof item === 'object' ? refuse('its value') : resolveText(String(item), `${place}.${key}`);
    return { value, text, refuse };
  };
  const textOf = (key: string, otherwise: string): string => {
    const value = fields.get(key) ?? otherwise;
    return fieldOf(key, value).text(value);
  };
  const context = textOf('context', '.');
  const others = [...fields].flatMap(([key, value]): Target['flags'] => {
    if (key === 'context' || key === 'dockerfile' || ignored.has(key) || value === null) return [];
    const field = fieldOf(key, value);
    return converters[key]?.(field) ?? field.refuse('', refused[key]);
  });
  return [['context', context], ['dockerfile', inContext(context, textOf('dockerfile', 'Dockerfile'))], ...others];
}

/** A list's item: text, or the object form of `key=value,key=value`. */
function itemText(item: Json, text: (value: Json) => string): string {
  return item instanceof Map ? [...item].map(([name, value]: [string, Json]) => `${name}=${text(value)}`).join(',') : text(item);
}

/** Where the Dockerfile is: bake's are in the context, ours may be in the working directory, too. */
function inContext(context: string, dockerfile: string): string {
  const isLocal = !/^[a-z][a-z\d+.-]*:\/\/|^[\w.-]+@[\w.-]+:/.test(context);
  return isLocal && !dockerfile.startsWith('/') ? join(context, dockerfile) : dockerfile;
}

/** As with bake nothing is pushed where outputs are named and none of them pushes. */
function outputFlags(outputs: readonly string[]): Target['flags'] {
  const pushes = outputs.some((text) => /(?:^|,)type=registry(?:,|$)/.test(text) || /(?:^|,)push=true(?:,|$)/.test(text));
  const files = outputs.filter((text) => !/(?:^|,)type=(?:registry|image|cacheonly)(?:,|$)/.test(text));
  return [...(pushes ? [] : [['no-push', 'true'] as const]), ...files.map((text) => ['output', text] as const)];
}

function texts(value: Json | undefined, place: string, fail: Fail): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return fail(`${place} is no list`);
  return value.map((item: Json) => (typeof item === 'string' ? item : fail(`${place} has something that is no text`)));
}
