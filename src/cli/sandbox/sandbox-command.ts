// `yadokari build` outside a container: the same command line, its paths translated, in a throwaway root.
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { makeFolder } from '../../folders.ts';
import { BuilderError, systemReason } from '../../errors.ts';
import { given } from '../../given.ts';
import { runInSandbox } from '../../sandbox/launch.ts';
import { parseReference, withDefaultTag } from '../../oci/reference.ts';
import { heldPath, outFolder, sandboxPath, type VisiblePath } from '../../sandbox/plan.ts';
import type { CommandInput } from '../command.ts';
import { formatExport, parseExport, parseImageOutput } from '../requests/export-spec.ts';
import { builderOutputFile, isUrl } from '../../outputs/output-request.ts';
import { standardOutput } from '../../store/whole-file.ts';
import { readBuildArgFile } from '../requests/build-args.ts';
import { heldVariable } from './host-paths.ts';
import { askedContext } from '../requests/build-request.ts';
import { showCredentials } from './sandbox-credentials.ts';
import { deliverOutputs, prepareOutputs, type SandboxOutput } from './sandbox-outputs.ts';
import type { Settings } from '../settings.ts';
import { keyVariable } from '../requests/signing-request.ts';
import { storeOf } from '../requests/store-request.ts';

/** Variables that a build inside may need; the rest of the host's environment stays outside. */
const passedVariables =
  /^(?:(?:https?|ftp|all|no)_proxy|(?:FF_)?KANIKO_\w+|DOCKER_AUTH_CONFIG|CI_(?:REGISTRY|DEPENDENCY_PROXY)\w*|CI_JOB_TOKEN|SOURCE_DATE_EPOCH|UPSTREAM_CLIENT_TYPE|GIT_\w+|TZ|NO_COLOR|COSIGN_PASSWORD|(?:AWS|AZURE|S3|IDENTITY)_\w+|GCE_METADATA_HOST|STORAGE_EMULATOR_HOST|GOOGLE_APPLICATION_CREDENTIALS|(?:GITHUB|GITEA|FORGEJO)_ACTIONS|GITLAB_CI|BUILDKITE|TF_BUILD|TEAMCITY_VERSION)$/i;

/** Runs this very command in a sandbox and gives its status. @throws ERR_UNSUPPORTED where there can be none */
export async function runBuildInSandbox(
  input: CommandInput,
  around: { readonly mainPath: string; readonly form: 'executor' | 'build'; readonly reason: string },
): Promise<number> {
  const { report, env, signal } = input;
  if (input.settings.has('kaniko-dir')) {
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot honour --kaniko-dir here: a build outside a container has a folder of its own');
  }
  report.emit({ kind: 'note', level: 'debug', message: `building in a throwaway root: ${around.reason}` });
  // Before anything starts: a name that is none is told here, and once.
  const tag = layoutTag(input.settings);
  const translation = translate(input, process.cwd(), around.form === 'build' ? openStore(input) : undefined);
  try {
    return await runInSandbox(
      {
        nodePath: process.execPath,
        mainPath: around.mainPath,
        invocation: {
          argv: [...(around.form === 'build' ? ['build'] : []), ...translation.argv],
          env: { ...passedEnvironment(env, translation), ...translation.env },
        },
        visible: translation.visible,
        parentFolder: env['TMPDIR'] || '/var/tmp',
        outputs: {
          prepare: (outbox) => prepareOutputs(translation.outputs, outbox),
          deliver: async (outbox, isFailed) => await deliverOutputs(translation.outputs, outbox, { tag, signal, isFailed }),
        },
      },
      report.emit,
      signal,
    );
  } finally {
    report.close();
  }
}

interface Translation {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly visible: readonly VisiblePath[];
  readonly outputs: readonly SandboxOutput[];
}

interface Doors {
  readonly workingDirectory: string;
  /** The context comes by standard input, and the Dockerfile in it. */
  readonly hasInput: boolean;
  /** Makes a path of the host visible, and gives it as it is inside. */
  readonly show: (path: string, mode: VisiblePath['mode'], kind?: VisiblePath['kind']) => string;
  /** A folder for the builder alone, made where it is missing: no RUN can write there. */
  readonly hold: (path: string, kind?: 'folder' | 'file') => string;
  /** The same for what the build is to write. */
  readonly take: (path: string, kind: SandboxOutput['kind'], isReport?: true) => string;
}

type Rewrite = (value: string, doors: Doors) => string;

/** Flags that name a file which the build writes; reports are also written where it fails. */
const resultFlags =
  'tar-path digest-file image-name-with-digest-file image-name-tag-with-digest-file metadata-file iidfile cache-explain'.split(' ');
const reportFlags = ['events-file', 'report', 'junit-file', 'dotenv-file'];

/** How the value of each flag that names a path is rewritten; every other flag is passed as it is. */
const rewrites: Readonly<Record<string, Rewrite>> = {
  ...Object.fromEntries(resultFlags.map((name): [string, Rewrite] => [name, (value, { take }) => take(value, 'file')])),
  ...Object.fromEntries(reportFlags.map((name): [string, Rewrite] => [name, (value, { take }) => take(value, 'file', true)])),
  dockerfile: (value, doors) => rewriteDockerfile(value, doors),
  ignorefile: (value, { show }) => show(value, 'ro'),
  'oci-layout-path': (value, { take }) => take(value, 'layout'),
  output: (value, doors) => rewriteExport(value, doors),
  secret: (value, { show }) =>
    secretVariable(value) === undefined
      ? value.replace(/(^|,)(src|source)=([^,]+)/i, (_, comma: string, key: string, path: string) => `${comma}${key}=${show(path, 'copy')}`)
      : value,
  'sign-by-sigstore-private-key': (value, { show }) => (keyVariable(value) === undefined ? show(value, 'copy') : value),
  'sign-passphrase-file': (value, { show }) => show(value, 'copy'),
  ssh: (value, { show }) => value.replace(/=(.+)$/, (_, path: string) => `=${show(path, 'ro')}`),
  'cache-repo': (value, doors) => rewriteCache(value, doors),
  'cache-from': (value, doors) => rewriteCache(value, doors),
  'cache-dir': (value, { show }) => (existsSync(value) ? show(value, 'ro') : value),
  'cache-to': (value, doors) => rewriteCache(value, doors),
  'build-context': (value, doors) => value.replace(/=(.+)$/, (_, place: string) => `=${rewritePlace(place, doors)}`),
  'registry-certificate': (value, { show }) => value.replace(/=(.+)$/, (_, path: string) => `=${show(path, 'ro')}`),
  'registry-client-cert': (value, { show }) =>
    value.replace(
      /=(.+)$/,
      (_, paths: string) =>
        `=${paths
          .split(',')
          .map((path) => show(path, 'copy'))
          .join(',')}`,
    ),
};

/** The command line as the process inside must get it, and what of the host it must see. @throws ERR_CONTEXT for a missing path */
export function translate(
  input: Pick<CommandInput, 'flags' | 'positionals' | 'env'>,
  workingDirectory: string,
  storeFolder?: string,
): Translation {
  const visible: VisiblePath[] = [];
  const outputs: SandboxOutput[] = [];
  let flag = '';
  const show: Doors['show'] = (path, mode, kind) => {
    const absolute = resolve(workingDirectory, path);
    if (kind === undefined && !existsSync(absolute)) throw new BuilderError('ERR_CONTEXT', `Cannot use ${flag}${path}: it does not exist`);
    visible.push({ path: absolute, mode, kind: kind ?? (statSync(absolute).isDirectory() ? 'folder' : 'file') });
    return sandboxPath(absolute);
  };
  const held: string[] = [];
  const hold: Doors['hold'] = (path, kind = 'folder') => {
    const absolute = resolve(workingDirectory, path);
    if (!held.includes(absolute)) {
      held.push(absolute);
      visible.push({ path: absolute, mode: 'held', kind });
    }
    return heldPath(held.indexOf(absolute));
  };
  const take: Doors['take'] = (path, kind, isReport) => {
    if (isUrl(path)) return path;
    const absolute = resolve(workingDirectory, path);
    // A pipe or a device is written to as it is; the streams are inherited.
    if (/^\/(?:dev\/(?:stdout|stderr|null|fd\/\d+)|proc\/self\/fd\/\d+)$/.test(absolute)) return absolute;
    if (isSpecialFile(absolute)) return show(absolute, 'rw', 'file');
    outputs.push({ path: absolute, kind, ...given({ isReport }) });
    return `${outFolder}${absolute}`;
  };
  const context = askedContext({ text: (name) => input.flags.get(name)?.at(-1) }, input.positionals) ?? '.';
  const doors = { show, hold, take, workingDirectory, hasInput: context === '-' };
  const argv: string[] = [];
  for (const [name, values] of input.flags) {
    if (['context', 'bucket', 'root', 'authfile', 'signature-policy', 'insecure-policy'].includes(name)) continue;
    if (name === 'build-arg-file') {
      argv.unshift(...values.flatMap((path) => readBuildArgFile(path, workingDirectory)).map((item) => `--build-arg=${item}`));
      continue;
    }
    flag = `--${name} `;
    // An empty list says something, too: --credential-helpers= switches all of them off.
    for (const value of values.length === 0 ? [''] : values) argv.push(`--${name}=${rewrites[name]?.(value, doors) ?? value}`);
  }
  flag = '';
  argv.push(`--context=${doors.hasInput ? context : rewritePlace(context, doors)}`);
  if (storeFolder !== undefined) argv.push(`--root=${hold(storeFolder)}`);
  const knownHosts = join(input.env['HOME'] || homedir(), '.ssh/known_hosts');
  // git over ssh: the servers that this user knows, unless others are named.
  if (input.flags.has('ssh') && !argv.some((word) => word.startsWith('--secret=id=GIT_KNOWN_HOSTS,')) && existsSync(knownHosts))
    argv.push(`--secret=id=GIT_KNOWN_HOSTS,src=${show(knownHosts, 'copy')}`);
  const env = {
    YADOKARI_WORKING_DIRECTORY: sandboxPath(workingDirectory),
    ...translateEnvironment(input.env, doors),
    ...(held.length === 0 ? {} : { [heldVariable]: JSON.stringify(held) }),
  };
  return { argv, env, visible, outputs };
}

/** The folder of the store; undefined, with a warning, where there can be none and nobody asked for it. @throws ERR_USAGE */
function openStore({ settings, env, report }: CommandInput): string | undefined {
  const { folder } = storeOf(settings, env);
  try {
    makeFolder(folder, 0o700);
    accessSync(folder, constants.W_OK);
    return folder;
  } catch (error) {
    const message = `the image store ${folder} can't be used: ${systemReason(error)}`;
    if (settings.has('root') || settings.has('tag') || settings.boolean('load'))
      throw new BuilderError('ERR_USAGE', `Cannot keep images: ${message}`, { cause: error, hint: '--root DIR names another folder' });
    report.emit({ kind: 'warning', code: 'store', message });
    return undefined;
  }
}

/** Variables that name files of the host. */
function translateEnvironment(before: CommandInput['env'], { show, take, hold }: Doors): Readonly<Record<string, string>> {
  const env: Record<string, string> = {};
  const results = before['BUILDER_OUTPUT'];
  if (results !== undefined && results !== '') env['BUILDER_OUTPUT'] = dirname(take(join(results, builderOutputFile), 'file'));
  const agent = before['SSH_AUTH_SOCK'];
  if (agent !== undefined && agent !== '' && existsSync(agent)) env['SSH_AUTH_SOCK'] = show(agent, 'ro');
  // What others have written there stays: the build adds to it.
  for (const name of ['GITHUB_STEP_SUMMARY', 'GITHUB_OUTPUT']) {
    const path = before[name];
    if (path !== undefined && existsSync(path)) env[name] = hold(path, 'file');
  }
  return { ...env, ...showCredentials(before, show) };
}

function rewritePlace(place: string, { show }: Doors): string {
  const match = /^(dir|tar|oci-layout):\/\/(.+)$/.exec(place);
  if (match !== null) {
    const [, scheme = '', rest = ''] = match;
    if (rest === 'stdin') return place;
    if (scheme !== 'oci-layout') return `${scheme}://${show(rest, 'ro')}`;
    const suffix = /(?::[\w.-]+|@sha\d+:[0-9a-f]+)$/.exec(rest)?.[0] ?? '';
    return `oci-layout://${show(rest.slice(0, rest.length - suffix.length), 'ro')}${suffix}`;
  }
  const isLocal = !/^[a-z][a-z\d+.-]*:\/\/|^[\w.-]+@[\w.-]+:|^github\.com\/[^/]+\/[^/]/.test(place);
  return isLocal ? show(place, 'ro') : place;
}

/** A folder of entries outlives the sandbox; one that is not named is told inside. */
function rewriteCache(value: string, { hold }: Doors): string {
  return /^oci:./.test(value) ? `oci:${hold(value.slice('oci:'.length))}` : value;
}

/** Files go straight into their folder, which no RUN sees; images wait, as they would be seen half written. */
function rewriteExport(value: string, { take, hold, workingDirectory }: Doors): string {
  if (parseImageOutput(value) !== undefined) return value;
  const { type, path } = parseExport(value, workingDirectory);
  if (path === standardOutput) return value;
  if (type !== 'local') return formatExport({ type, path: take(path, type === 'layout' ? 'layout' : 'file') });
  // It is made in the end: until then it may lie in the context, and is not to be seen there.
  const folder = nearestFolder(path);
  return formatExport({ type, path: join(hold(folder), relative(folder, path)) });
}

function nearestFolder(path: string): string {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  return isFolder || path === '/' ? path : nearestFolder(dirname(path));
}

function rewriteDockerfile(value: string, { show, workingDirectory, hasInput }: Doors): string {
  const path = resolve(workingDirectory, value);
  if (hasInput || value === '-' || !existsSync(path)) return value;
  if (existsSync(`${path}.dockerignore`)) show(`${path}.dockerignore`, 'ro');
  return show(value, 'ro');
}

function isSpecialFile(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && !found.isFile() && !found.isDirectory();
}

/** What the image is called in a layout, as the build inside calls it. */
function layoutTag(settings: Settings): string {
  const [first] = [...settings.list('destination'), ...settings.list('tag')];
  return (first === undefined ? undefined : withDefaultTag(parseReference(first)).tag) ?? 'latest';
}

/** The variable that a --secret takes its value from; undefined where that is a file. */
function secretVariable(item: string): string | undefined {
  const field = (names: string): string | undefined => new RegExp(`(?:^|,)(?:${names})=([^,]*)`, 'i').exec(item)?.[1];
  const source = field('src|source');
  if (field('type') === 'env') return field('env') ?? source ?? field('id');
  return source === undefined ? (field('env') ?? field('id')) : undefined;
}

const keyWord = '--sign-by-sigstore-private-key=';

/** What of the host's environment a build inside gets to see: what such a build is for, and what its flags name. */
export function passedEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  translation: Pick<Translation, 'argv'>,
): Readonly<Record<string, string>> {
  const passed: Record<string, string> = {};
  // --build-arg NAME and --secret id=…,env=NAME take their values from the environment of the command.
  const named = translation.argv.flatMap((word) => {
    if (word.startsWith('--secret=')) return secretVariable(word.slice('--secret='.length)) ?? [];
    return (
      /^--build-arg=([^=]+)$/.exec(word)?.[1] ?? (word.startsWith(keyWord) ? keyVariable(word.slice(keyWord.length)) : undefined) ?? []
    );
  });
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (passedVariables.test(name) || named.includes(name))) passed[name] = value;
  }
  return passed;
}
