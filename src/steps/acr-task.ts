// acr-task.yaml of Azure Container Registry Tasks. learn.microsoft.com/azure/container-registry/container-registry-tasks-reference-yaml
import { join } from 'node:path/posix';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { renderTemplate } from '../go/template.ts';
import type { Json } from '../oci/json.ts';
import { readPlacedYaml } from '../yaml.ts';
import { builderActions, builderOf, destinationOf } from './docker.ts';
import { Fields } from './fields.ts';
import { shellWords } from './shell-script.ts';
import { type Action, type Refuse, type Step, type StepsFile, homeVolume, orderSteps, plainStep, refuseIn } from './step.ts';

export interface AcrTaskOptions {
  readonly path: string;
  /** What is wrong with the file as YAML. */
  readonly fail: (why: string, cause?: unknown) => BuilderError;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly runId: string;
  readonly now: Date;
  /** Of `--set`. */
  readonly values: ReadonlyMap<string, string>;
  /** Values, or secrets, that no log has. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Its host; empty where none is told. */
  readonly registry: string;
}

const home = '/acb/home';

/** What a command may call shortly, as version v1.1.0 has them. */
const imageAliases: Readonly<Record<string, string>> = {
  acr: 'mcr.microsoft.com/acr/acr-cli:0.19',
  az: 'mcr.microsoft.com/acr/azure-cli:7fcc50e',
  bash: 'mcr.microsoft.com/acr/bash:7fcc50e',
  curl: 'mcr.microsoft.com/acr/curl:7fcc50e',
  cssc: 'mcr.microsoft.com/acr/cssc:7fcc50e',
};
const runFields = ['ID', 'SharedVolume', 'Registry', 'RegistryName', 'Date', 'OS', 'Architecture', 'Commit', 'Branch'];
const inertFields: Readonly<Record<string, string>> = {
  keep: 'containers are gone when their command is over',
  isolation: 'there is one kind',
  cpus: 'limits are those of the machine or pod',
  network: "steps have the machine's network",
  ports: "steps have the machine's network",
  expose: "steps have the machine's network",
};
const refusedFields: Readonly<Record<string, string>> = {
  detach: 'steps are done one after the other, each to its end',
  privileged: 'no step gets more rights than the builder has',
  exitedWith: 'ignoreErrors goes on whatever the status',
  exitedWithout: 'ignoreErrors goes on whatever the status',
  retryOnErrors: 'retries tries again whatever the error',
  volumeMounts: 'steps share /workspace, and their home',
  cache: 'write --cache and --cache-repo REPOSITORY into build',
};

/** @throws ERR_USAGE naming the line of what is wrong or can't be honoured */
export function readAcrTask(text: string, options: AcrTaskOptions): StepsFile {
  const refuse = refuseIn(options.path);
  const aliases = readAliases(text, options, refuse);
  const root = readPlacedYaml(fillIn(aliases.rest, aliases, options, refuse), options.fail);
  const file = new Fields(root, '', refuse);
  const version = file.text('version');
  if (version !== undefined && !['v1.0.0', 'v1.1.0', '1.0-preview-1'].includes(version.toLowerCase()))
    file.refuse('version', `is ${version}, and v1.0.0 and v1.1.0 are known`);
  const stepTimeout = file.count('stepTimeout');
  const workingDirectory = file.text('workingDirectory');
  for (const secret of file.list('secrets')) secret.get('id');
  const inert = new Map<string, string>();
  const scope: Scope = {
    file,
    options,
    inert,
    images: aliases.images,
    ...given({ stepTimeout, workingDirectory }),
  };
  const steps = file
    .list('steps')
    .map((fields, position, all) => readStep(fields, position, { ...scope, before: all.slice(0, position).map(nameOf) }));
  if (steps.length === 0) refuse(file.lineOf('steps'), 'it has no steps');
  file.variables('env');
  file.finish({ networks: "steps have the machine's network", volumes: refusedFields['volumeMounts'] ?? '' });
  return { path: options.path, steps: orderSteps(steps, refuse), inert, secrets: [...options.secrets.values()] };
}

interface Scope {
  readonly file: Fields;
  readonly options: AcrTaskOptions;
  readonly inert: Map<string, string>;
  readonly images: ReadonlyMap<string, string>;
  readonly stepTimeout?: number;
  readonly workingDirectory?: string;
}

function readStep(fields: Fields, position: number, scope: Scope & { readonly before: readonly string[] }): Step {
  const { file, inert } = scope;
  for (const [name, reason] of Object.entries(inertFields)) if (fields.has(name)) inert.set(name, reason);
  const env = new Map([...file.variables('env'), ...fields.variables('env')]);
  const seconds = fields.count('timeout') ?? scope.stepTimeout;
  const waits = fields.texts('when');
  const isOwnFolder = fields.boolean('disableWorkingDirectoryOverride') === true;
  const folder = folderOf(fields, scope);
  const step: Step = {
    ...plainStep,
    name: nameOf(fields, position),
    line: fields.line,
    actions: actionsOf(fields, env, scope),
    folder: isOwnFolder ? undefined : folder,
    env,
    volumes: new Map([[home, homeVolume]]),
    after: waits.length === 0 ? scope.before : waits.filter((name) => name !== '-'),
    tolerates: fields.boolean('ignoreErrors') === true ? 'all' : 'none',
    retries: fields.count('retries') ?? 0,
    retryDelayMs: (fields.count('retryDelay') ?? 5) * 1000,
    repeats: fields.count('repeat') ?? 0,
    startDelayMs: (fields.count('startDelay') ?? 0) * 1000,
    ...(seconds === undefined || seconds === 0 ? {} : { timeoutMs: seconds * 1000 }),
  };
  for (const name of ['detach', 'privileged'])
    if (fields.has(name) && fields.boolean(name) === true) fields.refuse(name, `can't be honoured: ${refusedFields[name] ?? ''}`);
  if (fields.text('cache')?.toLowerCase() === 'enabled') fields.refuse('cache', `can't be honoured: ${refusedFields['cache'] ?? ''}`);
  fields.finish(refusedFields);
  return step;
}

function actionsOf(fields: Fields, env: ReadonlyMap<string, string>, { options, images }: Scope): readonly Action[] {
  const kinds = ['build', 'push', 'cmd'].filter((name) => fields.has(name));
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1)
    return fields.refuse(kind ?? 'id', `: a step has one of build, push and cmd, and this one ${kinds.length}`);
  const refuse = (why: string, hint?: string): never => fields.refuse(kind, `can't be done: ${why}`, hint);
  const isPulled = fields.boolean('pull') === true;
  if (kind === 'push') {
    const names = fields.texts('push');
    return names.map((name): Action => ({
      kind: 'command',
      argv: ['push', name, ...pushPlace(name, options.registry, refuse)],
      mayFail: false,
    }));
  }
  const words = shellWords(fields.text(kind) ?? '', env, refuse);
  if (kind === 'build')
    return builderActions({ builder: 'docker', args: ['build', ...(isPulled ? ['--pull'] : []), ...words], env }, refuse);
  const [first = '', ...args] = words;
  const operator = words.find((word) => /^(?:[|&;<>]+|\d?>&?\d?)$/.test(word));
  if (operator !== undefined) refuse(`${operator} has no meaning there`, `bash -c "…" runs a shell, which knows it`);
  if (first.startsWith('-'))
    refuse(`${first} is a flag of docker run`, 'cmd begins with the image; env, entryPoint, user and workingDirectory are fields');
  if (first === '') refuse('it names no image');
  const image = images.get(first) ?? first;
  const builder = builderOf(image);
  const [entrypoint, user] = [fields.text('entryPoint'), fields.text('user')];
  if (builder !== undefined) return builderActions({ builder, args, env, ...given({ entrypoint }) }, refuse);
  const entry = entrypoint === undefined ? undefined : shellWords(entrypoint, env, refuse);
  return [{ kind: 'image', image, args, ...given({ entrypoint: entry, user }), ...(isPulled ? { isPulled } : {}) }];
}

/** As the service has it, a name without a registry is one of the task's. */
function pushPlace(name: string, registry: string, refuse: (why: string, hint?: string) => never): readonly string[] {
  const isWhole = destinationOf(name).length === 0;
  if (!isWhole && registry === '') return refuse(`${name} names no registry`, '--registry HOST');
  return isWhole ? [] : destinationOf(name, registry);
}

function nameOf(fields: Fields, position: number): string {
  return fields.text('id') ?? `#${position}`;
}

function folderOf(fields: Fields, { workingDirectory }: Scope): string {
  const asked = fields.text('workingDirectory') ?? workingDirectory ?? '.';
  const path = join('.', asked.replace(/^\/workspace(?=\/|$)/, '.').replace(/^\$HOME$/, '.'));
  if (path.startsWith('/') || path === '..' || path.startsWith('../'))
    fields.refuse('workingDirectory', `is ${asked}, which is outside of /workspace`);
  return path;
}

interface Aliases {
  /** The text without them, line by line as before. */
  readonly rest: string;
  readonly directive: string;
  readonly values: ReadonlyMap<string, string>;
  /** What the first word of a command may be. */
  readonly images: ReadonlyMap<string, string>;
}

/** `alias:` with its `values`, besides those that the service has. */
function readAliases(text: string, { fail }: AcrTaskOptions, refuse: Refuse): Aliases {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => /^alias\s*:/.test(line));
  const next = lines.findIndex((line, position) => position > start && /^[^\s#-]/.test(line));
  const end = start === -1 ? start : next === -1 ? lines.length : next;
  const block = lines.map((line, position) => (position >= start && position < end ? line : '')).join('\n');
  const run = runFields.map((name): [string, string] => [name, `{{.Run.${name}}}`]);
  const builtIn = [...run, ...Object.entries(imageAliases)];
  if (start === -1) return { rest: text, directive: '$', values: new Map(builtIn), images: new Map(Object.entries(imageAliases)) };
  const alias = new Fields(readPlacedYaml(block, fail), '', refuse).get('alias');
  const fields = new Fields(alias ?? { kind: 'map', line: start + 1, members: new Map() }, 'alias', refuse);
  const directive = fields.text('directive') ?? '$';
  if (!/^[^a-zA-Z0-9]$/.test(directive))
    fields.refuse('directive', `is ${JSON.stringify(directive)}, and one sign that is no letter is needed`);
  const own = fields.pairs('values');
  fields.finish({ src: 'write its aliases into values' });
  const values = new Map([...builtIn, ...own]);
  const rest = lines.map((line, position) => (position >= start && position < end ? '' : line)).join('\n');
  return { rest, directive, values, images: new Map([...Object.entries(imageAliases), ...own]) };
}

/** Aliases, then templates; `$$` is a dollar sign, and what no alias is called stays. */
function fillIn(text: string, { directive, values }: Aliases, options: AcrTaskOptions, refuse: Refuse): string {
  const value = valuesOf(options);
  const lines = text.split('\n').map((line, position) => {
    if (/^\s*#/.test(line)) return line;
    const isEscaped = directive.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    const named = line.replaceAll(new RegExp(`${isEscaped}(${isEscaped}|[a-zA-Z0-9]+)`, 'g'), (whole, name: string) =>
      name === directive ? directive : (values.get(name) ?? whole),
    );
    return named.replaceAll(/\{\{.*?\}\}/g, (template) => {
      const fail = (why: string, hint?: string): never => refuse(position + 1, `${template} ${why}`, hint);
      const [, family, name] = /^\{\{-?\s*\.(Run|Values|Secrets)\.(\w+)\s*-?\}\}$/.exec(template) ?? [];
      if (family === 'Secrets' && name !== undefined && !options.secrets.has(name))
        fail('has no value', `--set-secret ${name}=VALUE, or --set-secret ${name} with that variable`);
      if (family === 'Values' && name !== undefined && !options.values.has(name) && !options.secrets.has(name))
        fail('has no value', `--set ${name}=VALUE`);
      if (family === 'Run' && name === 'Registry' && options.registry === '') fail('has no value', '--registry HOST');
      try {
        return renderTemplate(template, value);
      } catch (error) {
        if (!(error instanceof BuilderError)) throw error;
        return fail(`has no value: ${error.message}`, 'values of .Run, .Values and .Secrets are there, each {{…}} on its own');
      }
    });
  });
  return lines.join('\n');
}

/** What templates may name. */
function valuesOf({ env, runId, now, values, secrets, registry }: AcrTaskOptions): Json {
  const date = now
    .toISOString()
    .replace(/\.\d+Z$/, 'z')
    .replaceAll(/[-:]/g, '')
    .replace('T', '-');
  const known: readonly [string, string | undefined][] = [
    ['ID', runId],
    ['SharedVolume', 'workspace'],
    ['Registry', registry],
    ['RegistryName', registry.replace(/\..*/, '')],
    ['Date', date],
    ['OS', 'linux'],
    ['Architecture', process.arch === 'x64' ? 'amd64' : process.arch],
    ['Commit', env['COMMIT_SHA']],
    ['Branch', env['BRANCH_NAME']],
    ['TaskName', 'task'],
  ];
  const run = known.flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]));
  return new Map<string, Json>([
    ['Run', new Map<string, Json>(run)],
    ['Values', new Map<string, Json>([...values, ...secrets])],
    ['Secrets', new Map<string, Json>(secrets)],
  ]);
}
