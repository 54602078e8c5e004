// cloudbuild.yaml and .json of Google Cloud Build. cloud.google.com/build/docs/build-config-file-schema
import { join } from 'node:path/posix';
import { parseDuration } from '../dockerfile/duration.ts';
import { given } from '../given.ts';
import type { Placed } from '../yaml.ts';
import { builderActions, builderOf } from './docker.ts';
import { Fields } from './fields.ts';
import { type Action, type Step, type StepsFile, homeVolume, orderSteps, plainStep, refuseIn } from './step.ts';
import { Substitutions } from './substitutions.ts';

export interface CloudBuildOptions {
  readonly path: string;
  readonly substitutions: ReadonlyMap<string, string>;
  readonly buildId: string;
  /** Values of built-in substitutions that nobody gave, and of secrets. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

const ofMachine = 'the machine is the one that this runs on';
const ofLogs = 'the log is standard error';
const inertFields: Readonly<Record<string, string>> = {
  tags: 'builds are in no list here',
  queueTtl: 'nothing is queued',
  logsBucket: ofLogs,
  serviceAccount: 'credentials are those of the machine or pod',
};
const inertOptions: Readonly<Record<string, string>> = {
  machineType: ofMachine,
  diskSizeGb: ofMachine,
  pool: ofMachine,
  workerPool: ofMachine,
  logging: ofLogs,
  logStreamingOption: ofLogs,
  defaultLogsBucketBehavior: ofLogs,
  dynamicSubstitutions: 'substitutions in substitutions are always replaced',
  requestedVerifyOption: 'no provenance is written',
  sourceProvenanceHash: 'no provenance is written',
  pubsubTopic: 'nobody is notified',
};
const refusedFields = {
  source: 'the source is the folder that is named on the command line',
  results: 'steps have no results here',
  dependencies: 'fetch them in a step',
  gitConfig: 'git is set up in a step',
};
/** What every step sees besides /workspace. */
const home = '/builder/home';

/** @throws ERR_USAGE naming the line of what is wrong or can't be honoured */
export function readCloudBuild(root: Placed, options: CloudBuildOptions): StepsFile {
  const refuse = refuseIn(options.path);
  const file = new Fields(root, '', refuse);
  const inert = new Map<string, string>();
  const note = (fields: Fields, reasons: Readonly<Record<string, string>>, prefix = ''): void => {
    for (const [name, reason] of Object.entries(reasons)) if (fields.has(name)) inert.set(`${prefix}${name}`, reason);
  };
  note(file, inertFields);
  const settings = new Fields(file.get('options') ?? { kind: 'map', line: 1, members: new Map() }, 'options', refuse);
  note(settings, inertOptions, 'options.');
  const isLoose = settings.text('substitutionOption') === 'ALLOW_LOOSE';
  const sources = {
    given: options.substitutions,
    defaults: file.pairs('substitutions'),
    env: options.env,
    buildId: options.buildId,
    isLoose,
  };
  const substitutions = new Substitutions(sources, refuse);
  const scope: Scope = {
    substitutions,
    secrets: secretsOf(file),
    env: options.env,
    shared: settings,
    isMapped: settings.boolean('automapSubstitutions') === true,
  };
  const steps = file
    .list('steps')
    .map((fields, position, all) => readStep(fields, position, { ...scope, names: all.slice(0, position).map(nameOf) }));
  if (steps.length === 0) refuse(file.lineOf('steps'), 'it has no steps');
  const artifacts = new Fields(file.get('artifacts') ?? { kind: 'map', line: 1, members: new Map() }, 'artifacts', refuse);
  const images = [...new Set([...file.texts('images'), ...artifacts.texts('images')])];
  artifacts.finish(
    Object.fromEntries(
      ['objects', 'mavenArtifacts', 'pythonPackages', 'npmPackages', 'goModules'].map((name) => [
        name,
        'files are uploaded by a step of yours (gsutil, npm publish, …)',
      ]),
    ),
  );
  const timeoutMs = milliseconds(file, 'timeout');
  settings.finish();
  file.finish(refusedFields);
  const pushes = images.length === 0 ? [] : [pushStep(images, file, scope, steps)];
  const unused = [...options.substitutions.keys()].find((name) => name.startsWith('_') && !substitutions.used.has(name));
  if (unused !== undefined && !isLoose)
    refuse(1, `it has no use for the substitution ${unused}`, 'options.substitutionOption: ALLOW_LOOSE allows that');
  const secrets = [...scope.secrets.keys()].flatMap((name) => options.env[name] ?? []);
  return { path: options.path, steps: orderSteps([...steps, ...pushes], refuse), secrets, inert, ...given({ timeoutMs }) };
}

interface Scope {
  readonly substitutions: Substitutions;
  readonly secrets: ReadonlyMap<string, string>;
  readonly env: CloudBuildOptions['env'];
  readonly shared: Fields;
  readonly isMapped: boolean;
}

function readStep(fields: Fields, position: number, scope: Scope & { readonly names: readonly string[] }): Step {
  const { substitutions, shared, names } = scope;
  const textOf = (name: string): string | undefined => applied(substitutions, fields.text(name), fields.lineOf(name));
  const image = textOf('name') ?? fields.refuse('name', 'is missing: it names the image of the step');
  const args = fields.texts('args').map((arg) => applied(substitutions, arg, fields.lineOf('args')));
  const [entrypoint, script] = [textOf('entrypoint'), fields.text('script')];
  if (script !== undefined && (entrypoint !== undefined || args.length > 0))
    fields.refuse('script', 'can not be combined with args or entrypoint');
  const isMapped = fields.boolean('automapSubstitutions') ?? scope.isMapped;
  const variables = (source: Fields): readonly [string, string][] =>
    [...source.variables('env')].map(([name, value]) => [name, applied(substitutions, value, source.lineOf('env'))]);
  const env = new Map([
    ...(isMapped ? substitutions.all() : []),
    ...variables(shared),
    ...variables(fields),
    ...secretValues(shared, scope),
    ...secretValues(fields, scope),
  ]);
  const builder = builderOf(image);
  const call = { args, env, ...given({ entrypoint, script }) };
  const actions: readonly Action[] =
    builder === undefined
      ? [{ kind: 'image', image, args, ...given({ script, entrypoint: entrypoint === undefined ? undefined : [entrypoint] }) }]
      : builderActions({ builder, ...call }, (why, hint) =>
          fields.refuse(script === undefined ? 'args' : 'script', `can't be done: ${why}`, hint),
        );
  const waits = fields.texts('waitFor');
  const timeoutMs = milliseconds(fields, 'timeout');
  const codes = fields.texts('allowExitCodes').map(Number);
  const mayFail = fields.boolean('allowFailure') === true;
  const later = waits.find((name) => name !== '-' && !names.includes(name));
  if (later !== undefined) fields.refuse('waitFor', `names ${later}, which no step before it is called`);
  const step: Step = {
    ...plainStep,
    name: nameOf(fields, position),
    line: fields.line,
    actions,
    folder: folderOf(textOf('dir') ?? '.', fields),
    env,
    volumes: new Map([[home, homeVolume], ...volumesOf(shared), ...volumesOf(fields)]),
    after: waits.length === 0 ? names : waits.filter((name) => name !== '-'),
    tolerates: codes.length > 0 ? codes : mayFail ? 'all' : 'none',
    ...given({ timeoutMs }),
  };
  fields.finish({ results: refusedFields.results, remoteConfig: 'steps are written out here' });
  return step;
}

function applied<Text extends string | undefined>(substitutions: Substitutions, text: Text, line: number): Text | string {
  return text === undefined ? text : substitutions.apply(text, line);
}

function nameOf(fields: Fields, position: number): string {
  return fields.text('id') ?? `#${position}`;
}

/** Images are pushed when all is done. */
function pushStep(images: readonly string[], file: Fields, { substitutions }: Scope, steps: readonly Step[]): Step {
  const line = file.lineOf(file.has('images') ? 'images' : 'artifacts');
  const names = images.map((name) => substitutions.apply(name, line));
  const refuse = (why: string, hint?: string): never => file.refuse('images', why, hint);
  const actions = names.flatMap((name) => builderActions({ builder: 'docker', args: ['push', name], env: new Map() }, refuse));
  return { ...plainStep, name: 'images', line, actions, folder: '.', after: steps.map(({ name }) => name) };
}

/** Relative to the workspace. */
function folderOf(dir: string, fields: Fields): string {
  const folder = dir.startsWith('/') ? dir.replace(/^\/workspace(?=\/|$)/, '.') : dir;
  const path = join('.', folder);
  if (folder.startsWith('/') || path === '..' || path.startsWith('../')) fields.refuse('dir', `is ${dir}, which is outside of /workspace`);
  return path;
}

function volumesOf(fields: Fields): readonly [string, string][] {
  return fields.list('volumes').map((volume) => {
    const [name, path] = [volume.text('name') ?? '', volume.text('path') ?? ''];
    if (!/^[\w.-]+$/.test(name)) volume.refuse('name', 'is missing, or no name of a volume');
    if (!path.startsWith('/')) volume.refuse('path', 'is missing, or not absolute');
    volume.finish();
    return [path, `volume-${name}`];
  });
}

/** By variable: what the service would take its value from. */
function secretsOf(file: Fields): ReadonlyMap<string, string> {
  const secrets = new Map<string, string>();
  for (const kms of file.list('secrets')) {
    for (const name of kms.pairs('secretEnv').keys()) secrets.set(name, kms.text('kmsKeyName') ?? 'a key of Cloud KMS');
    kms.finish();
  }
  const available = file.get('availableSecrets');
  if (available?.kind !== 'map') return secrets;
  const fields = new Fields(available, 'availableSecrets', (line, why, hint) =>
    file.refuse('availableSecrets', `${why} (line ${line})`, hint),
  );
  for (const secret of fields.list('secretManager')) {
    secrets.set(secret.text('env') ?? secret.refuse('env', 'is missing'), secret.text('versionName') ?? 'Secret Manager');
    secret.finish();
  }
  for (const secret of fields.list('inline')) {
    for (const name of secret.pairs('envMap').keys()) secrets.set(name, secret.text('kmsKeyName') ?? 'a key of Cloud KMS');
    secret.finish();
  }
  fields.finish();
  return secrets;
}

function secretValues(fields: Fields, { secrets, env }: Scope): readonly [string, string][] {
  return fields.texts('secretEnv').map((name) => {
    const source = secrets.get(name) ?? fields.refuse('secretEnv', `names ${name}, which availableSecrets does not`);
    const value =
      env[name] ??
      fields.refuse(
        'secretEnv',
        `names ${name}, and the environment has no such variable`,
        `${name}=… before the command, with what ${source} holds`,
      );
    return [name, value];
  });
}

function milliseconds(fields: Fields, name: string): number | undefined {
  const text = fields.text(name);
  if (text === undefined) return undefined;
  const nanoseconds = /^\d+(?:\.\d+)?s$/.test(text) ? parseDuration(text) : undefined;
  return nanoseconds === undefined
    ? fields.refuse(name, `is ${JSON.stringify(text)}, and no number of seconds as 600s`)
    : nanoseconds / 1e6;
}
