// Every flag of `executor`, in one table, from which the parser and `--help` are made.
import { didYouMean } from '../dockerfile/suggest.ts';
import { BuilderError } from '../errors.ts';

export type FlagKind = 'text' | 'boolean' | 'number' | 'list' | 'comma-list';

/**
 * What an empty value says, as a pipeline makes it of a variable that is not set: as if the flag were not there, nothing more on a
 * list, not one of those there are, or a mistake (as in kaniko, where the value is a number, a truth, or names what to do).
 */
export type EmptyValue = 'not set' | 'no item' | 'none' | 'refused';

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
  readonly about: string;
  /** Of lists; every other kind has one meaning (`emptyValueOf`). */
  readonly empty?: 'no item' | 'refused';
  /** The switch without which it changes nothing, which is told then. */
  readonly needs?: string;
  /** Accepted because pipelines pass it, and told as changing nothing. */
  readonly inert?: string;
  /** Honoured only in its "off" form: what to say to anything else. */
  readonly unsupported?: string;
}

export const buildFlags: readonly FlagSpec[] = [
  {
    name: 'context',
    short: 'c',
    kind: 'text',
    value: 'PLACE',
    about: 'build context: a folder, dir://, tar://FILE, tar://stdin, git://, https:// (default /workspace/)',
  },
  { name: 'context-sub-path', kind: 'text', value: 'PATH', about: 'folder inside the context to build from' },
  { name: 'dockerfile', short: 'f', kind: 'text', value: 'FILE', about: 'Dockerfile, or - for standard input (default Dockerfile)' },
  { name: 'destination', short: 'd', kind: 'list', empty: 'refused', value: 'IMAGE', about: 'name to push to; may be repeated' },
  { name: 'target', kind: 'comma-list', value: 'STAGE', about: 'stage to build; of several the first is pushed' },
  {
    name: 'build-arg',
    kind: 'list',
    empty: 'no item',
    value: 'NAME=VALUE',
    about: 'value of an ARG; a bare NAME takes it from the environment',
  },
  {
    name: 'build-context',
    kind: 'list',
    empty: 'refused',
    value: 'NAME=PLACE',
    about: 'a named context: folder, docker-image://, oci-layout://, git, https',
  },
  {
    name: 'secret',
    kind: 'list',
    empty: 'refused',
    value: 'id=ID[,src=FILE|env=NAME]',
    about: 'secret for RUN --mount=type=secret, or for fetching',
  },
  {
    name: 'ssh',
    kind: 'list',
    empty: 'refused',
    value: 'default[=SOCKET|KEY]',
    about: 'agent socket for RUN --mount=type=ssh and git, or a private key for git',
  },
  { name: 'label', kind: 'list', empty: 'refused', value: 'KEY=VALUE', about: 'label of the image' },
  { name: 'annotation', kind: 'list', empty: 'refused', value: 'KEY=VALUE', about: 'annotation of the manifest' },
  {
    name: 'custom-platform',
    kind: 'text',
    aliases: ['customPlatform', 'platform'],
    value: 'OS/ARCH',
    about: 'platform to build for (default: this machine)',
  },
  { name: 'no-push', kind: 'boolean', environment: 'KANIKO_NO_PUSH', environmentWins: true, about: 'build only' },
  { name: 'oci-layout-path', kind: 'text', value: 'FOLDER', about: 'also write the image as an OCI layout' },
  { name: 'tar-path', kind: 'text', aliases: ['tarPath'], value: 'FILE', about: 'also write the image as a docker archive' },
  { name: 'digest-file', kind: 'text', value: 'FILE', about: 'write the digest of the pushed image here' },
  { name: 'image-name-with-digest-file', kind: 'text', value: 'FILE', about: 'write NAME@DIGEST of every destination here' },
  { name: 'image-name-tag-with-digest-file', kind: 'text', value: 'FILE', about: 'write NAME:TAG@DIGEST of every destination here' },
  { name: 'compression', kind: 'text', value: 'gzip|zstd', about: 'compression of new layers (default gzip)' },
  {
    name: 'compression-level',
    kind: 'number',
    value: 'N',
    about: 'level of that compression; -1 (default): as fast as it can, for gzip by ISA-L',
  },
  {
    name: 'image-format',
    kind: 'text',
    value: 'inherit|docker|oci',
    about: 'media types of the image (default inherit: the base decides)',
  },
  { name: 'reproducible', kind: 'boolean', about: 'times of new files and history set to 1970, so that equal builds give equal digests' },
  { name: 'single-snapshot', kind: 'boolean', about: 'one layer for the whole last stage' },
  { name: 'ignore-path', kind: 'list', empty: 'no item', value: 'PATH', about: 'path that is never part of the image' },
  {
    name: 'ignore-var-run',
    kind: 'boolean',
    aliases: ['whitelist-var-run'],
    about: '',
    inert: 'what is mounted there is left out by itself, the rest belongs to the image',
  },
  { name: 'ignorefile', kind: 'text', value: 'FILE', about: 'use this instead of .dockerignore' },
  { name: 'insecure', kind: 'boolean', about: 'push over plain HTTP where the registry speaks no TLS' },
  { name: 'insecure-pull', kind: 'boolean', about: 'the same for pulling' },
  { name: 'insecure-registry', kind: 'list', empty: 'no item', value: 'HOST', about: 'the same for one registry' },
  { name: 'skip-tls-verify', kind: 'boolean', about: 'accept any certificate when pushing' },
  { name: 'skip-tls-verify-pull', kind: 'boolean', about: 'accept any certificate when pulling' },
  { name: 'skip-tls-verify-registry', kind: 'list', empty: 'no item', value: 'HOST', about: 'accept any certificate of one registry' },
  { name: 'registry-certificate', kind: 'list', empty: 'refused', value: 'HOST=FILE', about: 'CA certificate for one registry' },
  { name: 'registry-client-cert', kind: 'list', empty: 'refused', value: 'HOST=CERT,KEY', about: 'client certificate for one registry' },
  {
    name: 'registry-mirror',
    kind: 'list',
    empty: 'no item',
    environment: 'KANIKO_REGISTRY_MIRROR',
    value: 'HOST',
    about: 'mirror of Docker Hub, asked first',
  },
  {
    name: 'registry-map',
    kind: 'list',
    empty: 'no item',
    environment: 'KANIKO_REGISTRY_MAP',
    value: 'HOST=MIRROR;…',
    about: 'mirrors of other registries',
  },
  { name: 'skip-default-registry-fallback', kind: 'boolean', about: 'do not fall back to the registry itself when its mirrors fail' },
  { name: 'push-retry', kind: 'number', value: 'N', about: 'tries more for a push that failed' },
  { name: 'image-download-retry', kind: 'number', value: 'N', about: 'tries more for a pull that failed' },
  { name: 'image-fs-extract-retry', kind: 'number', value: 'N', about: '', inert: 'unpacking is checked and is not tried again' },
  { name: 'skip-push-permission-check', kind: 'boolean', about: 'do not try out the right to push before the build' },
  { name: 'push-ignore-immutable-tag-errors', kind: 'boolean', about: 'an immutable tag that exists already is no error' },
  {
    name: 'verbosity',
    short: 'v',
    kind: 'text',
    value: 'LEVEL',
    about: 'trace, debug, info, warn, error, fatal or panic (default info); errors and the output of a RUN are always told',
  },
  {
    name: 'log-format',
    kind: 'text',
    value: 'text|color|json',
    about: 'how progress is told (default: a live view on a terminal, else lines)',
  },
  { name: 'log-timestamp', kind: 'boolean', about: 'put the time before every line' },
  { name: 'kaniko-dir', kind: 'text', environment: 'KANIKO_DIR', value: 'FOLDER', about: 'folder for layers and stages (default /kaniko)' },
  { name: 'force', kind: 'boolean', about: "build on the image's own root though nothing looks like a container" },
  { name: 'network', kind: 'text', value: 'default|host|none', about: "network of RUN; only the container's own can be given" },
  { name: 'no-check', kind: 'boolean', about: 'do not print build-check warnings' },
  {
    name: 'snapshot-mode',
    kind: 'text',
    aliases: ['snapshotMode'],
    value: 'MODE',
    about: '',
    inert: 'there is one way to snapshot, which is right and fast',
  },
  { name: 'use-new-run', kind: 'boolean', about: '', inert: 'there is one way to snapshot, which is right and fast' },
  { name: 'skip-unused-stages', kind: 'boolean', about: '', inert: 'stages that nothing needs are always skipped' },
  { name: 'force-build-metadata', kind: 'boolean', about: '', inert: 'every instruction is in the history anyway' },
  { name: 'compressed-caching', kind: 'boolean', about: '', inert: 'layers are never held in memory' },
  { name: 'cache', kind: 'boolean', about: 'take results of steps from the cache, and keep new ones there' },
  {
    name: 'cache-repo',
    kind: 'text',
    needs: 'cache',
    value: 'REPOSITORY',
    about: 'where the cache is, or oci:FOLDER (default DESTINATION/cache)',
  },
  { name: 'cache-from', kind: 'list', empty: 'no item', needs: 'cache', value: 'REPOSITORY', about: 'further caches, only read' },
  { name: 'cache-to', kind: 'text', needs: 'cache', value: 'REPOSITORY', about: 'where new results go, if not to --cache-repo' },
  { name: 'cache-ttl', kind: 'text', needs: 'cache', value: 'DURATION', about: 'older results are not taken (default 336h)' },
  { name: 'cache-run-layers', kind: 'boolean', needs: 'cache', about: 'cache RUN and WORKDIR (default true)' },
  { name: 'cache-copy-layers', kind: 'boolean', needs: 'cache', about: 'cache COPY and ADD, too' },
  { name: 'no-push-cache', kind: 'boolean', needs: 'cache', about: 'take from the cache and keep nothing' },
  {
    name: 'cache-explain',
    kind: 'text',
    needs: 'cache',
    value: 'FILE',
    about: 'write the keys of all steps, and what they are made of, as JSON',
  },
  { name: 'cache-dir', kind: 'text', about: '', inert: 'base images are not kept in a folder' },
  { name: 'cleanup', kind: 'boolean', environment: 'KANIKO_CLEANUP', environmentWins: true, about: 'empty the root after the build' },
  {
    name: 'pre-cleanup',
    kind: 'boolean',
    environment: 'KANIKO_PRE_CLEANUP',
    environmentWins: true,
    about: '',
    unsupported: 'emptying the root before a build is not part of this version',
  },
  {
    name: 'preserve-context',
    kind: 'boolean',
    environment: 'KANIKO_PRESERVE_CONTEXT',
    environmentWins: true,
    about: '',
    unsupported: 'restoring the root after a build is not part of this version',
  },
  {
    name: 'borrow-context',
    kind: 'boolean',
    about:
      "move the context's files out of the way until the end of the build where the image works in their folder; without a terminal that is so anyway",
  },
  { name: 'materialize', kind: 'boolean', about: 'unpack every stage, so that the root holds the last one at the end' },
  { name: 'dryrun', kind: 'boolean', about: 'print the plan and build nothing' },
  { name: 'print-plan', kind: 'boolean', environment: 'KANIKO_PRINT_PLAN', about: 'print the plan, then build' },
  {
    name: 'git',
    kind: 'list',
    empty: 'refused',
    value: 'KEY=VALUE',
    about: 'branch, single-branch, depth, recurse-submodules, insecure-skip-tls of a git context',
  },
  { name: 'credential-helpers', kind: 'comma-list', value: 'NAMES', about: 'which built-in credential helpers to ask: env, gitlab' },
  { name: 'bucket', short: 'b', kind: 'text', about: '', unsupported: 'bucket contexts are not part of this version' },
  { name: 'format', kind: 'text', value: 'text|json|sarif|gitlab', about: 'of check: how findings are written (default text)' },
  { name: 'help', short: 'h', kind: 'boolean', about: 'print this' },
  { name: 'version', kind: 'boolean', about: 'print the version' },
];

/** What was given: by canonical name, in order. */
export interface ParsedFlags {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
}

/** What an empty value of this flag says. */
export function emptyValueOf(spec: FlagSpec): EmptyValue {
  if (spec.kind === 'text') return 'not set';
  if (spec.kind === 'comma-list') return 'none';
  return spec.empty ?? 'refused';
}

/**
 * Reads flags by pflag's rules: `--name value`, `--name=value`, `--bool`, `--bool=false`, `-c value`, `-c=value`, `-cvalue`. The
 * value is the next word whatever that is, an empty one too; an empty word that is nobody's value is dropped.
 * @throws ERR_USAGE naming the flag.
 */
export function parseFlags(argv: readonly string[], table: readonly FlagSpec[]): ParsedFlags {
  const values = new Map<string, string[]>();
  const positionals: string[] = [];
  const byName = new Map(table.flatMap((spec) => [spec.name, ...(spec.aliases ?? [])].map((name) => [name, spec])));
  const byShort = new Map(table.flatMap((spec) => (spec.short === undefined ? [] : [[spec.short, spec]])));
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '') continue;
    if (word === '--') {
      positionals.push(...rest.splice(0).filter((given) => given !== ''));
    } else if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const name = equals === -1 ? word.slice(2) : word.slice(2, equals);
      const spec = byName.get(name);
      if (spec === undefined) throw unknownFlag(`--${name}`, [...byName.keys()]);
      store(values, spec, `--${name}`, equals === -1 ? undefined : word.slice(equals + 1), rest);
    } else if (word.startsWith('-') && word.length > 1) {
      const spec = byShort.get(word.slice(1, 2));
      if (spec === undefined) throw unknownFlag(word.slice(0, 2), []);
      const attached = word.slice(2);
      store(values, spec, word.slice(0, 2), attached === '' ? undefined : attached.replace(/^=/, ''), rest);
    } else {
      positionals.push(word);
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
  const value = attached ?? (spec.kind === 'boolean' ? 'true' : rest.shift());
  if (value === undefined) {
    throw new BuilderError('ERR_USAGE', `Cannot use ${written}: it needs a value`, { hint: `${written}=${spec.value ?? 'VALUE'}` });
  }
  if (spec.kind === 'boolean') parseBoolean(written, value);
  if (value === '' && takesEmpty(values, spec, written)) return;
  if (spec.kind === 'number' && !/^-?\d{1,9}$/.test(value))
    throw new BuilderError('ERR_USAGE', `Cannot use ${written}=${value}: expected a whole number`);
  const items = spec.kind === 'comma-list' ? value.split(',').filter((item) => item !== '') : [value];
  values.set(spec.name, spec.kind === 'list' || spec.kind === 'comma-list' ? [...given, ...items] : items);
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
  return meaning !== 'none'; // a list of nothing is a list
}

function unknownFlag(written: string, names: readonly string[]): BuilderError {
  const hint = /\s/.test(written)
    ? 'the argument has a blank in it: pass flags as separate arguments'
    : (didYouMean(written.slice(2), names, (name) => `--${name}`) ?? 'see --help');
  return new BuilderError('ERR_USAGE', `Cannot use ${written}: there is no such flag`, { hint });
}
