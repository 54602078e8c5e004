// argv and env → BuildRequest: validated once, at the door.
import { resolve } from 'node:path';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import type { BuildRequest, NamedContextSpec, SecretSpec } from '../../build/request.ts';
import type { OutputRequest } from '../../outputs/output-request.ts';
import { leftOutBy, varRun } from '../../build/ignored-paths.ts';
import { standardOutput } from '../../store/whole-file.ts';
import { type Platform, formatPlatform, hostPlatform, parsePlatform } from '../../oci/platform.ts';
import { oldPullPolicy, platformOf } from '../images/obtain-image.ts';
import { attestationRequest } from './attestation-request.ts';
import { parseBuildArgs, readBuildArgFile } from './build-args.ts';
import { hasCache, makeBaseFolder, makeCacheRequest } from './cache-request.ts';
import { compressionLevel } from './compression-level.ts';
import { makeOutputRequest } from './output-request.ts';
import type { Environment, Settings } from '../settings.ts';
import { pullChoices } from '../tables/own-build.ts';

export interface RequestSurroundings {
  readonly env: Environment;
  readonly workingDirectory: string;
  readonly nodeArch: string;
  /** Default of --kaniko-dir. */
  readonly builderFolder: string;
  /** Default of --context where neither flag nor argument gives one. */
  readonly defaultContext: string;
  /** kaniko's command line, with kaniko's rules where BuildKit has others. */
  readonly isKanikos?: boolean;
  /** Somebody sits in front of it. */
  readonly hasTerminal?: boolean;
  /** False for commands that only look; true where left out. */
  readonly needsOutput?: boolean;
}

/** @throws ERR_USAGE, ERR_REFERENCE for values and combinations that can't be. */
export function makeBuildRequest(settings: Settings, positionals: readonly string[], around: RequestSurroundings): BuildRequest {
  const output = makeOutputRequest(settings, around);
  const dockerfile = settings.text('dockerfile') ?? 'Dockerfile';
  const context = askedContext(settings, positionals) ?? around.defaultContext;
  refuseTwoFromInput(dockerfile, context);
  const ofFiles = settings.list('build-arg-file').flatMap((path) => readBuildArgFile(path, around.workingDirectory));
  const buildArgsGiven = parseBuildArgs([...ofFiles, ...settings.list('build-arg')], around.env);
  const buildArgs = withEpochOf(around.env, buildArgsGiven);
  const host = hostPlatform(around.nodeArch);
  const platforms = platformsOf(settings, host);
  refuseSeveralInOne(platforms, output);
  const ignoreFile = settings.text('ignorefile');
  const shape = shapeOf(settings, buildArgsGiven, around.env, output);
  const attestations = attestationRequest(settings, around.env, output);
  return {
    dockerfile,
    context,
    ...given({ contextSubPath: settings.text('context-sub-path'), baseFolder: makeBaseFolder(settings, around.workingDirectory) }),
    ...(ignoreFile === undefined ? {} : { ignoreFile: resolve(around.workingDirectory, ignoreFile) }),
    appliesUnpackedRules: around.isKanikos === true,
    namedContexts: namedContexts(settings),
    git: gitSettings(settings),
    targets: settings.list('target'),
    buildArgs,
    secrets: settings.list('secret').map((item) => parseSecret(item, around)),
    ssh: sshSockets(settings.list('ssh'), around),
    labels: settings.pairs('label'),
    env: parseBuildArgs(settings.list('env'), around.env),
    unsetEnv: settings.list('unsetenv'),
    annotations: settings.pairs('annotation'),
    platforms,
    platform: platforms[0] ?? host,
    buildPlatform: host,
    ...shape,
    ...attestations,
    ...(attestations.provenance !== undefined && shape.imageFormat === 'inherit' ? { imageFormat: 'oci' } : {}),
    alwaysUnpack: settings.boolean('materialize'),
    borrowsContext: settings.boolean('borrow-context') || around.hasTerminal !== true,
    ignorePaths: ignoredPaths(settings),
    network: settings.choice('network', ['default', 'host', 'none'], 'default'),
    cleanup: settings.boolean('cleanup'),
    preCleanup: settings.boolean('pre-cleanup'),
    preservesRoot: settings.boolean('preserve-context'),
    ...(hasCache(settings) ? { cache: makeCacheRequest(settings, output, around.workingDirectory) } : {}),
    ...storeRequest(settings, around.workingDirectory),
    tellsContents: settings.has('report') || settings.has('events-file'),
    printChecks: !settings.boolean('no-check'),
    printsPlan: settings.boolean('print-plan'),
    planOnly: settings.boolean('dryrun'),
    downloadRetries: settings.number('image-download-retry') ?? 0,
    builderFolder: settings.text('kaniko-dir') ?? around.builderFolder,
    rootPath: '/',
    output,
  };
}

function ignoredPaths(settings: Settings): readonly string[] {
  const paths = [...settings.list('ignore-path'), ...(settings.boolean('ignore-var-run') ? [varRun] : [])];
  leftOutBy(paths);
  return paths;
}

/** kaniko's flag names one, BuildKit's one or more. @throws ERR_USAGE */
function platformsOf(settings: Settings, host: Platform): readonly Platform[] {
  const [single, list] = [settings.text('custom-platform'), settings.list('platform')];
  if (single !== undefined && list.length > 0)
    throw new BuilderError('ERR_USAGE', 'Cannot combine --custom-platform with --platform: both say what to build for');
  if (single?.includes(',') === true)
    throw new BuilderError('ERR_USAGE', `Cannot use --custom-platform=${single}: it is one platform`, { hint: `--platform=${single}` });
  const parts = ['os', 'arch', 'variant'].find((flag) => settings.has(flag));
  if (parts !== undefined && (single !== undefined || list.length > 0))
    throw new BuilderError('ERR_USAGE', `Cannot combine --${parts} with --platform: both say what to build for`);
  if (parts !== undefined) return [platformOf(settings)];
  const named = [...list, ...(single === undefined ? [] : [single])].map((text) => parsePlatform(text, host));
  const distinct = new Map((named.length === 0 ? [host] : named).map((platform) => [formatPlatform(platform), platform]));
  return [...distinct.values()];
}

/** @throws ERR_UNSUPPORTED where the image goes to a place for one */
function refuseSeveralInOne(platforms: readonly Platform[], { tarPath, exports }: OutputRequest): void {
  if (platforms.length === 1) return;
  const single = exports.find(({ type }) => type === 'docker' || type === 'tar');
  const flag = tarPath === undefined ? single && `--output type=${single.type}` : '--tar-path';
  if (flag === undefined) return;
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot write ${flag} for ${platforms.length} platforms: such an archive holds one image`, {
    hint: '--oci-layout-path, or --output type=oci, holds them all',
  });
}

/** @throws ERR_USAGE for a policy that needs a store where there is none */
function storeRequest(settings: Settings, workingDirectory: string): Pick<BuildRequest, 'store'> {
  const folder = settings.text('root');
  const asked = oldPullPolicy(settings) ?? settings.choice('pull', pullChoices, folder === undefined ? 'always' : 'missing');
  const pull =
    asked === 'true' ? 'always' : asked === 'false' ? 'missing' : asked === 'ifmissing' ? 'missing' : asked === 'ifnewer' ? 'newer' : asked;
  if (folder !== undefined) return { store: { folder: resolve(workingDirectory, folder), pull } };
  if (pull !== 'never') return {};
  throw new BuilderError('ERR_USAGE', 'Cannot honour --pull=never: a container has no store of images', {
    hint: '--root FOLDER, or YADOKARI_ROOT, names one in a volume',
  });
}

/** The place that --context, the operand or --bucket names. @throws ERR_USAGE for more than one */
export function askedContext(settings: Pick<Settings, 'text'>, positionals: readonly string[]): string | undefined {
  const flag = settings.text('context');
  const [positional, stray = flag === undefined ? undefined : positional] = positionals;
  if (stray !== undefined)
    throw new BuilderError('ERR_USAGE', `Cannot use argument ${JSON.stringify(stray)}: one context at most`, { hint: 'see --help' });
  return flag ?? positional ?? bucketContext(settings.text('bucket'));
}

/** kaniko's rule: a bucket without a scheme is Google's. */
function bucketContext(bucket: string | undefined): string | undefined {
  return bucket === undefined || bucket.includes('://') ? bucket : `gs://${bucket}`;
}

function refuseTwoFromInput(dockerfile: string, context: string): void {
  if (dockerfile !== '-' || !['-', 'tar://stdin', 'tar://-'].includes(context)) return;
  throw new BuilderError('ERR_USAGE', 'Cannot read both the Dockerfile and the context from standard input', {
    hint: 'an archive can hold the Dockerfile: --dockerfile names it there',
  });
}

/** As buildx has it, the variable of the environment counts where no --build-arg of that name is given. */
function withEpochOf({ SOURCE_DATE_EPOCH: epoch = '' }: Environment, buildArgs: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  if (epoch === '' || buildArgs.has('SOURCE_DATE_EPOCH')) return buildArgs;
  return new Map([...buildArgs, ['SOURCE_DATE_EPOCH', epoch]]);
}

/** Seconds since 1970. @throws ERR_USAGE */
function timestampOf(settings: Settings, buildArgs: ReadonlyMap<string, string>): number | undefined {
  const text = settings.text('timestamp');
  if (text === undefined) return undefined;
  if (!/^\d{1,11}$/.test(text)) throw new BuilderError('ERR_USAGE', `Cannot use --timestamp=${text}: expected whole seconds since 1970`);
  const other = settings.boolean('reproducible') ? '--reproducible' : buildArgs.has('SOURCE_DATE_EPOCH') ? 'SOURCE_DATE_EPOCH' : undefined;
  if (other !== undefined) throw new BuilderError('ERR_USAGE', `Cannot combine --timestamp with ${other}: both say what time it is`);
  return Number(text);
}

/** @throws ERR_USAGE */
function mergingOf(settings: Settings): Pick<BuildRequest, 'merges'> {
  const isOne = settings.boolean('single-snapshot') || !settings.boolean('layers', true);
  if (!settings.boolean('squash')) return isOne ? { merges: 'new' } : {};
  if (settings.has('layers') && settings.boolean('layers'))
    throw new BuilderError('ERR_USAGE', 'Cannot combine --squash with --layers: one layer, or one for each step');
  return { merges: 'all' };
}

type Shape = 'compression' | 'compressionLevel' | 'imageFormat' | 'reproducible' | 'timestamp' | 'omitsHistory' | 'merges';

/** What the image is like, whatever is in it. @throws ERR_USAGE for values and combinations that can't be */
function shapeOf(
  settings: Settings,
  buildArgs: ReadonlyMap<string, string>,
  env: Environment,
  output: OutputRequest,
): Pick<BuildRequest, Shape> {
  const compression = compressionOf(settings, env);
  const imageFormat = settings.choice('image-format', ['inherit', 'docker', 'oci'], 'inherit');
  refuseContradictions(output, compression, imageFormat);
  return {
    compression,
    ...given({ compressionLevel: compressionLevel(settings, 'compression-level', compression) }),
    imageFormat,
    reproducible: settings.boolean('reproducible'),
    ...given({ timestamp: timestampOf(settings, buildArgs) }),
    omitsHistory: settings.boolean('omit-history'),
    ...mergingOf(settings),
  };
}

function refuseContradictions(output: OutputRequest, compression: string, imageFormat: string): void {
  const fail = (what: string): never => {
    throw new BuilderError('ERR_USAGE', `Cannot combine ${what}`);
  };
  if (compression === 'zstd' && imageFormat === 'docker')
    fail('--compression=zstd with --image-format=docker: docker media types know no zstd');
  const archive =
    output.tarPath === undefined
      ? output.exports.some(({ type }) => type === 'docker')
        ? '--output type=docker'
        : undefined
      : '--tar-path';
  if (archive !== undefined && imageFormat === 'oci') fail(`${archive} with --image-format=oci: a docker archive has docker media types`);
  if (archive !== undefined && compression === 'zstd') fail(`${archive} with --compression=zstd: a docker archive knows no zstd`);
  if (output.exports.filter(({ path }) => path === standardOutput).length > 1) fail('two --output that both go to standard output');
}

function compressionOf(settings: Settings, env: Environment): 'gzip' | 'zstd' {
  if (env['GGCR_EXPERIMENT_ESTARGZ'] === '1')
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot honour GGCR_EXPERIMENT_ESTARGZ=1: no estargz is written here', { hint: 'unset it' });
  return settings.choice('compression', ['gzip', 'zstd'], 'gzip');
}

function parseSecret(item: string, around: RequestSurroundings): SecretSpec {
  const fields = new Map<string, string>();
  const fail = (why: string): never => {
    // The item may hold a path, never the secret itself; only the id is repeated all the same.
    throw new BuilderError('ERR_USAGE', `Cannot use --secret: ${why}`, { hint: '--secret id=ID,src=FILE or --secret id=ID,env=NAME' });
  };
  for (const field of item.split(',')) {
    const equals = field.indexOf('=');
    if (equals <= 0) return fail(`${JSON.stringify(field)} is not KEY=VALUE`);
    const key = field.slice(0, equals).toLowerCase();
    fields.set(key === 'source' ? 'src' : key, field.slice(equals + 1));
  }
  const unknown = [...fields.keys()].find((key) => !['id', 'src', 'env', 'type'].includes(key));
  if (unknown !== undefined) return fail(`there is no field ${JSON.stringify(unknown)}`);
  const type = fields.get('type');
  if (type !== undefined && type !== 'file' && type !== 'env') return fail(`type must be file or env, not ${JSON.stringify(type)}`);
  const variable = fields.get('env') ?? (type === 'env' ? (fields.get('src') ?? fields.get('id')) : undefined);
  const path = type === 'env' ? undefined : fields.get('src');
  const id = fields.get('id') ?? variable ?? path?.split('/').at(-1);
  if (id === undefined || id === '') return fail('it has no id');
  if (path === '') return fail(`secret ${id}: its src is empty`);
  if (path !== undefined) return { id, source: { kind: 'file', path: resolve(around.workingDirectory, path) } };
  const name = variable ?? id;
  const value = around.env[name];
  if (value === undefined) return fail(`secret ${id}: the environment has no ${name}`);
  return { id, source: { kind: 'value', value } };
}

function sshSockets(items: readonly string[], around: RequestSurroundings): ReadonlyMap<string, string> {
  const sockets = new Map<string, string>();
  for (const item of items) {
    const equals = item.indexOf('=');
    const id = equals === -1 ? item : item.slice(0, equals);
    const socket = equals === -1 ? around.env['SSH_AUTH_SOCK'] : item.slice(equals + 1);
    if (id === '' || socket === undefined || socket === '') {
      throw new BuilderError('ERR_USAGE', `Cannot use --ssh ${item}: there is no agent socket`, {
        hint: 'set SSH_AUTH_SOCK, or give --ssh default=/path/to/socket',
      });
    }
    sockets.set(id, resolve(around.workingDirectory, socket));
  }
  return sockets;
}

function namedContexts(settings: Settings): readonly NamedContextSpec[] {
  return [...settings.pairs('build-context')].map(([name, place]) => {
    if (place === '') throw new BuilderError('ERR_USAGE', `Cannot use --build-context ${name}=: it names no place`);
    if (['scratch', 'context'].includes(name))
      throw new BuilderError('ERR_USAGE', `Cannot name a build context "${name}": the name has a meaning of its own`);
    return { name, place };
  });
}

function gitSettings(settings: Settings): ReadonlyMap<string, string> {
  const known = ['branch', 'single-branch', 'depth', 'recurse-submodules', 'insecure-skip-tls'];
  const pairs = new Map<string, string>();
  for (const item of settings.list('git').flatMap((value) => value.split(','))) {
    const [key = '', ...values] = item.split('=');
    if (!known.includes(key)) throw new BuilderError('ERR_USAGE', `Cannot use --git ${JSON.stringify(item)}: expected ${known.join(', ')}`);
    if (values.length === 0 && ['branch', 'depth'].includes(key))
      throw new BuilderError('ERR_USAGE', `Cannot use --git ${key}: expected ${key}=VALUE`);
    pairs.set(key, values.length === 0 ? 'true' : values.join('='));
  }
  return pairs;
}
