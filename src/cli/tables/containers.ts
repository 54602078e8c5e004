// The flags of commands that work with containers, by buildah's names.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { pullPolicies } from '../base-image.ts';
import { logFlags } from './log.ts';
import { configGroups } from './pieces.ts';
import { oldPullFlags } from './own-build.ts';
import { chunkSizeFlag } from './registry.ts';
import { storeFlags } from './store-root.ts';
import { copyGroups, sideFlags } from './transports.ts';
import { unsupportedFlags } from './unsupported.ts';

/** `-v` is a volume here, as with buildah. */
const plainLogFlags: readonly FlagSpec[] = logFlags.map(({ short, ...flag }) =>
  short === undefined || flag.name === 'verbosity' ? flag : { ...flag, short },
);

const historyFlag: FlagSpec = {
  name: 'add-history',
  kind: 'boolean',
  environment: 'BUILDAH_HISTORY',
  about: "an entry of its own in the image's history",
};

/** Taken in the form that says what is so anyway. */
function namespaceFlag(name: string): FlagSpec {
  const about = 'private: commands have a namespace of their own, and can not join others';
  return { name, kind: 'text', value: 'private', choices: ['private', ''], about };
}

const runtimeFlags: readonly FlagSpec[] = [
  { name: 'isolation', kind: 'text', about: '', inert: 'there is one kind: namespaces of our own making' },
  ...['ipc', 'pid', 'uts', 'cgroupns'].map(namespaceFlag),
  {
    name: 'network',
    kind: 'text',
    value: 'host|none',
    choices: ['host', 'none'],
    about: "this machine's (default), or none but loopback",
    aliases: ['net'],
  },
  { name: 'runtime', kind: 'text', about: '', unsupported: 'there is no other runtime here' },
  { name: 'runtime-flag', kind: 'list', about: '', unsupported: 'there is no other runtime here' },
  { name: 'no-pivot', kind: 'boolean', about: '', unsupported: 'commands are always confined to their root' },
];

const limitFlags: readonly FlagSpec[] = [
  { name: 'memory', short: 'm', kind: 'text', isCommon: true, value: 'SIZE', about: 'limit of memory, as 512m or 2g' },
  { name: 'pids-limit', kind: 'number', isCommon: true, value: 'N', about: 'limit of processes and threads' },
];

const volumeFlag: FlagSpec = {
  name: 'volume',
  short: 'v',
  kind: 'list',
  isCommon: true,
  empty: 'refused',
  value: 'PATH:TARGET[:ro]',
  about: 'show what is at a path of this machine',
  details: 'show a file or folder of this machine; may be repeated',
};

const registryFlags: FlagGroup = {
  title: 'Registry',
  flags: [
    ...sideFlags(''),
    { name: 'authfile', kind: 'text', value: 'FILE', about: 'read credentials from this file alone' },
    { name: 'retry', kind: 'count', about: '', inert: 'each request has tries of its own' },
    { name: 'retry-delay', kind: 'text', about: '', inert: 'each request has tries of its own' },
    { name: 'tmpdir', kind: 'text', value: 'FOLDER', about: 'for what has to wait on disk (default $TMPDIR, or /var/tmp)' },
  ],
};

const commonGroups: readonly FlagGroup[] = [
  { title: 'Store', flags: storeFlags },
  { title: 'What is told', flags: plainLogFlags },
];

const ofVirtualMachines = [
  'cpu-period',
  'cpu-quota',
  'cpu-shares',
  'cpuset-cpus',
  'cpuset-mems',
  'memory-swap',
  'cgroup-parent',
  'shm-size',
];

export const fromGroups: readonly FlagGroup[] = [
  {
    title: 'The container',
    flags: [
      {
        name: 'name',
        kind: 'text',
        isCommon: true,
        value: 'NAME',
        about: 'its name',
        details: 'its name (default: IMAGE-working-container)',
      },
      { name: 'cidfile', kind: 'text', value: 'FILE', about: 'write its id here' },
      {
        name: 'pull',
        kind: 'text',
        isCommon: true,
        value: 'POLICY',
        bare: 'true',
        choices: pullPolicies,
        about: 'missing (default), newer, always or never',
        details: 'when to ask the registry: missing (default), newer (or true), always, never; false is missing',
      },
      ...oldPullFlags,
      { name: 'platform', kind: 'text', isCommon: true, value: 'OS/ARCH', about: 'which image of an index' },
      { name: 'os', kind: 'text', value: 'OS', about: 'which image of an index' },
      { name: 'arch', kind: 'text', value: 'ARCH', about: 'which image of an index' },
      { name: 'variant', kind: 'text', value: 'VARIANT', about: 'which image of an index' },
      { name: 'format', short: 'f', kind: 'text', about: '', inert: 'commit --format says which format the image gets' },
    ],
  },
  {
    title: 'Its commands',
    flags: [
      volumeFlag,
      { name: 'add-host', kind: 'list', empty: 'refused', value: 'NAME:ADDRESS', about: 'a line of /etc/hosts; may be repeated' },
      ...limitFlags,
      ...runtimeFlags,
      ...unsupportedFlags('list', ['cap-add', 'cap-drop'], 'give it to run'),
      ...unsupportedFlags('text', ofVirtualMachines, 'there are limits on memory and processes only'),
      ...unsupportedFlags('list', ['dns', 'dns-option', 'dns-search'], 'names are resolved as on this machine'),
      ...unsupportedFlags('list', ['device', 'security-opt', 'ulimit'], 'it is not for here'),
      ...unsupportedFlags(
        'list',
        ['userns', 'userns-uid-map', 'userns-gid-map', 'userns-uid-map-user', 'userns-gid-map-group'],
        'ids are those of /etc/subuid and /etc/subgid',
      ),
      { name: 'http-proxy', kind: 'boolean', about: '', inert: 'run passes the variables of proxies on' },
      { name: 'decryption-key', kind: 'list', about: '', unsupported: 'encrypted layers are not part of this version' },
    ],
  },
  registryFlags,
  ...commonGroups,
];

export const runGroups: readonly FlagGroup[] = [
  {
    title: 'The command',
    flags: [
      { name: 'user', kind: 'text', isCommon: true, value: 'USER[:GROUP]', about: "who it runs as (default: the config's)" },
      { name: 'workingdir', kind: 'text', isCommon: true, value: 'FOLDER', about: "where it runs (default: the config's)" },
      {
        name: 'env',
        short: 'e',
        kind: 'list',
        isCommon: true,
        empty: 'refused',
        value: 'NAME[=VALUE]',
        about: 'a variable; may be repeated',
      },
      volumeFlag,
      {
        name: 'mount',
        kind: 'list',
        empty: 'refused',
        value: 'type=bind|tmpfs,…',
        about: 'the same at length: source=, target=, ro',
      },
      { name: 'hostname', kind: 'text', value: 'NAME', about: "the host's name inside" },
      { name: 'no-hosts', kind: 'boolean', about: "leave the image's /etc/hosts alone" },
      { name: 'cap-add', kind: 'comma-list', value: 'NAME,…', about: 'capabilities besides the usual ones' },
      { name: 'cap-drop', kind: 'comma-list', value: 'NAME,…', about: 'capabilities that it does without' },
      { name: 'terminal', short: 't', aliases: ['tty'], kind: 'boolean', about: 'fail unless there is a terminal to pass on' },
      { name: 'contextdir', kind: 'text', about: '', unsupported: 'sources of mounts are paths of this machine' },
      historyFlag,
    ],
  },
  { title: 'Limits and namespaces', flags: [...limitFlags, ...runtimeFlags] },
  ...commonGroups,
];

const copyIntoFlags: FlagGroup = {
  title: 'Into a container',
  flags: [
    { name: 'chown', kind: 'text', isCommon: true, value: 'USER[:GROUP]', about: 'whose it becomes (default: root)' },
    { name: 'chmod', kind: 'text', isCommon: true, value: 'MODE', about: 'the mode that it gets' },
    { name: 'from', kind: 'text', isCommon: true, value: 'NAME', about: 'read from this container or image' },
    { name: 'contextdir', kind: 'text', isCommon: true, value: 'FOLDER', about: 'sources are paths in this folder' },
    { name: 'ignorefile', kind: 'text', value: 'FILE', about: 'leave out what these patterns name' },
    historyFlag,
  ],
};

export const addGroups: readonly FlagGroup[] = [copyIntoFlags, registryFlags, ...commonGroups];

/** `copy` from place to place, and into a container. */
export const copyBothGroups: readonly FlagGroup[] = [
  ...copyGroups.slice(0, -1),
  copyIntoFlags,
  { title: 'Registry, for --from', flags: sideFlags('') },
  ...commonGroups,
];

export const commitGroups: readonly FlagGroup[] = [
  {
    title: 'The image',
    flags: [
      {
        name: 'format',
        short: 'f',
        kind: 'text',
        isCommon: true,
        environment: 'BUILDAH_FORMAT',
        value: 'oci|docker',
        choices: ['oci', 'docker', 'v2s2'],
        about: 'of manifest and config (default oci)',
      },
      { name: 'squash', kind: 'boolean', isCommon: true, about: 'one layer of everything' },
      { name: 'timestamp', kind: 'number', isCommon: true, value: 'SECONDS', about: 'the time of all that is new, since 1970' },
      { name: 'omit-history', kind: 'boolean', about: 'no history' },
      { name: 'identity-label', kind: 'boolean', about: 'false: no label io.yadokari.version' },
      { name: 'unsetenv', kind: 'list', empty: 'no item', value: 'NAME', about: 'leave this variable out; may be repeated' },
      { name: 'disable-compression', short: 'D', kind: 'boolean', about: 'store the new layer as a plain archive' },
      { name: 'manifest', kind: 'text', about: '', unsupported: 'indexes are made by: yadokari index' },
      ...unsupportedFlags('list', ['sign-by', 'encryption-key', 'encrypt-layer'], 'images are signed and encrypted by tools of their own'),
    ],
  },
  {
    title: 'Afterwards',
    flags: [
      { name: 'rm', kind: 'boolean', isCommon: true, about: 'remove the container' },
      { name: 'iidfile', kind: 'text', isCommon: true, value: 'FILE', about: "write the image's id here" },
    ],
  },
  { ...registryFlags, flags: [...registryFlags.flags, chunkSizeFlag] },
  ...commonGroups,
];

/** `config` of a piece, and of a container. */
export const configBothGroups: readonly FlagGroup[] = [
  ...configGroups.slice(0, -1),
  { title: 'Of a container', flags: [historyFlag] },
  ...commonGroups,
];

const allFlag = (about: string): FlagSpec => ({ name: 'all', short: 'a', kind: 'boolean', isCommon: true, about });

export const removeGroups: readonly FlagGroup[] = [{ title: 'Which', flags: [allFlag('all containers')] }, ...commonGroups];
export const unmountGroups: readonly FlagGroup[] = [{ title: 'Which', flags: [allFlag('all that are mounted')] }, ...commonGroups];
export const renameGroups: readonly FlagGroup[] = commonGroups;

export const mountGroups: readonly FlagGroup[] = [
  { title: 'What is printed', flags: [{ name: 'json', kind: 'boolean', about: 'as JSON' }] },
  ...commonGroups,
];

export const listGroups: readonly FlagGroup[] = [
  {
    title: 'What is printed',
    flags: [
      { name: 'json', kind: 'boolean', isCommon: true, about: 'as JSON' },
      { name: 'format', kind: 'text', isCommon: true, value: 'TEMPLATE', about: "a Go template for each, as '{{.ContainerName}}'" },
      { name: 'noheading', short: 'n', kind: 'boolean', about: 'no heads of columns' },
      { name: 'notruncate', kind: 'boolean', about: 'whole ids' },
      { name: 'filter', short: 'f', kind: 'list', empty: 'refused', value: 'KEY=VALUE', about: 'id, name or ancestor; may be repeated' },
      { ...allFlag(''), inert: 'there are no others here' },
    ],
  },
  ...commonGroups,
];
