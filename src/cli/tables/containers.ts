// The flags of commands that work with containers, by buildah's names.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { pullPolicies } from '../images/obtain-image.ts';
import { logFlags } from './log.ts';
import { configGroups } from './pieces.ts';
import { manifestFlag, oldPullFlags } from './own-build.ts';
import { chunkSizeFlag } from './registry.ts';
import { storeFlags } from './store-root.ts';
import { policyFlags } from './signing.ts';
import { copyGroups, sideFlags } from './transports.ts';
import { commaList, group, inert, list, number, text, toggle, unsupported, unsupportedFlags } from './flag.ts';

/** `-v` is a volume here, as with buildah. */
const plainLogFlags: readonly FlagSpec[] = logFlags.map(({ short, ...flag }) =>
  short === undefined || flag.name === 'verbosity' ? flag : { ...flag, short },
);

const historyFlag: FlagSpec = toggle('add-history', "an entry of its own in the image's history", { environment: 'BUILDAH_HISTORY' });

/** Taken in the form that says what is so anyway. */
function namespaceFlag(name: string): FlagSpec {
  const about = 'private: commands have a namespace of their own, and can not join others';
  return text(name, 'private', about, { choices: ['private', ''] });
}

const runtimeFlags: readonly FlagSpec[] = [
  inert('text', 'isolation', 'there is one kind: namespaces of our own making'),
  ...['ipc', 'pid', 'uts', 'cgroupns'].map(namespaceFlag),
  text('network', 'host|none', "this machine's (default), or none but loopback", { choices: ['host', 'none'], aliases: ['net'] }),
  unsupported('text', 'runtime', 'there is no other runtime here'),
  unsupported('list', 'runtime-flag', 'there is no other runtime here'),
  unsupported('boolean', 'no-pivot', 'commands are always confined to their root'),
];

const limitFlags: readonly FlagSpec[] = [
  text('memory', 'SIZE', 'limit of memory, as 512m or 2g', { short: 'm', isCommon: true }),
  number('pids-limit', 'N', 'limit of processes and threads', { isCommon: true }),
];

const volumeFlag: FlagSpec = list('volume', 'PATH:TARGET[:ro]', 'show what is at a path of this machine', {
  short: 'v',
  isCommon: true,
  empty: 'refused',
  details: 'show a file or folder of this machine; may be repeated',
});

const registryFlags: FlagGroup = group('Registry', [
  ...sideFlags(''),
  text('authfile', 'FILE', 'read credentials from this file alone'),
  ...policyFlags,
  inert('count', 'retry', 'each request has tries of its own'),
  inert('text', 'retry-delay', 'each request has tries of its own'),
  text('tmpdir', 'FOLDER', 'for what has to wait on disk (default $TMPDIR, or /var/tmp)'),
]);

const commonGroups: readonly FlagGroup[] = [group('Store', storeFlags), group('What is told', plainLogFlags)];

const ofVirtualMachines = 'cpu-period cpu-quota cpu-shares cpuset-cpus cpuset-mems memory-swap cgroup-parent shm-size'.split(' ');

export const fromGroups: readonly FlagGroup[] = [
  group('The container', [
    text('name', 'NAME', 'its name', { isCommon: true, details: 'its name (default: IMAGE-working-container)' }),
    text('cidfile', 'FILE', 'write its id here'),
    text('pull', 'POLICY', 'missing (default), newer, always or never', {
      isCommon: true,
      bare: 'true',
      choices: pullPolicies,
      details: 'when to ask the registry: missing (default), newer (or true), always, never; false is missing',
    }),
    ...oldPullFlags,
    text('platform', 'OS/ARCH', 'which image of an index', { isCommon: true }),
    text('os', 'OS', 'which image of an index'),
    text('arch', 'ARCH', 'which image of an index'),
    text('variant', 'VARIANT', 'which image of an index'),
    inert('text', 'format', 'commit --format says which format the image gets', { short: 'f' }),
  ]),
  group('Its commands', [
    volumeFlag,
    list('add-host', 'NAME:ADDRESS', 'a line of /etc/hosts; may be repeated', { empty: 'refused' }),
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
    inert('boolean', 'http-proxy', 'run passes the variables of proxies on'),
    unsupported('list', 'decryption-key', 'encrypted layers are not part of this version'),
  ]),
  registryFlags,
  ...commonGroups,
];

export const runGroups: readonly FlagGroup[] = [
  group('The command', [
    text('user', 'USER[:GROUP]', "who it runs as (default: the config's)", { isCommon: true }),
    text('workingdir', 'FOLDER', "where it runs (default: the config's)", { isCommon: true }),
    list('env', 'NAME[=VALUE]', 'a variable; may be repeated', { short: 'e', isCommon: true, empty: 'refused' }),
    volumeFlag,
    list('mount', 'type=bind|cache|tmpfs,…', 'the same at length: source=, target=, ro, id=', { empty: 'refused' }),
    text('hostname', 'NAME', "the host's name inside"),
    toggle('no-hosts', "leave the image's /etc/hosts alone"),
    commaList('cap-add', 'NAME,…', 'capabilities besides the usual ones'),
    commaList('cap-drop', 'NAME,…', 'capabilities that it does without'),
    toggle('terminal', 'fail unless there is a terminal to pass on', { short: 't', aliases: ['tty'] }),
    unsupported('text', 'contextdir', 'sources of mounts are paths of this machine'),
    historyFlag,
  ]),
  group('Limits and namespaces', [...limitFlags, ...runtimeFlags]),
  ...commonGroups,
];

const copyIntoFlags: FlagGroup = group('Into a container', [
  text('chown', 'USER[:GROUP]', 'whose it becomes (default: root)', { isCommon: true }),
  text('chmod', 'MODE', 'the mode that it gets', { isCommon: true }),
  text('from', 'NAME', 'read from this container or image', { isCommon: true }),
  text('contextdir', 'FOLDER', 'sources are paths in this folder', { isCommon: true }),
  list('exclude', 'PATTERN', 'leave out what this matches; may be repeated', { empty: 'no item' }),
  text('ignorefile', 'FILE', 'leave out what these patterns name'),
  historyFlag,
]);

export const addGroups: readonly FlagGroup[] = [copyIntoFlags, registryFlags, ...commonGroups];

/** `copy` from place to place, and into a container. */
export const copyBothGroups: readonly FlagGroup[] = [
  ...copyGroups.slice(0, -1),
  copyIntoFlags,
  group('Registry, for --from', sideFlags('')),
  ...commonGroups,
];

export const commitGroups: readonly FlagGroup[] = [
  group('The image', [
    text('format', 'oci|docker', 'of manifest and config (default oci)', {
      short: 'f',
      isCommon: true,
      environment: 'BUILDAH_FORMAT',
      choices: ['oci', 'docker', 'v2s2'],
    }),
    toggle('squash', 'one layer of everything', { isCommon: true }),
    number('timestamp', 'SECONDS', 'the time of all that is new, since 1970', { isCommon: true }),
    toggle('omit-history', 'no history'),
    toggle('identity-label', 'false: no label io.yadokari.version'),
    list('unsetenv', 'NAME', 'leave this variable out; may be repeated', { empty: 'no item' }),
    toggle('disable-compression', 'store the new layer as a plain archive', { short: 'D' }),
    manifestFlag,
    ...unsupportedFlags('list', ['sign-by', 'encryption-key', 'encrypt-layer'], 'images are signed and encrypted by tools of their own'),
  ]),
  group('Afterwards', [
    toggle('rm', 'remove the container', { isCommon: true }),
    text('iidfile', 'FILE', "write the image's id here", { isCommon: true }),
  ]),
  { ...registryFlags, flags: [...registryFlags.flags, chunkSizeFlag] },
  ...commonGroups,
];

/** `config` of a piece, and of a container. */
export const configBothGroups: readonly FlagGroup[] = [
  ...configGroups.slice(0, -1),
  group('Of a container', [historyFlag]),
  ...commonGroups,
];

const allFlag = (about: string): FlagSpec => toggle('all', about, { short: 'a', isCommon: true });

export const removeGroups: readonly FlagGroup[] = [group('Which', [allFlag('all containers')]), ...commonGroups];
export const unmountGroups: readonly FlagGroup[] = [group('Which', [allFlag('all that are mounted')]), ...commonGroups];
export const renameGroups: readonly FlagGroup[] = commonGroups;

export const mountGroups: readonly FlagGroup[] = [group('What is printed', [toggle('json', 'as JSON')]), ...commonGroups];

export const listGroups: readonly FlagGroup[] = [
  group('What is printed', [
    toggle('json', 'as JSON', { isCommon: true }),
    text('format', 'TEMPLATE', "a Go template for each, as '{{.ContainerName}}'", { isCommon: true }),
    toggle('noheading', 'no heads of columns', { short: 'n' }),
    toggle('notruncate', 'whole ids'),
    list('filter', 'KEY=VALUE', 'id, name or ancestor; may be repeated', { short: 'f', empty: 'refused' }),
    { ...allFlag(''), inert: 'there are no others here' },
  ]),
  ...commonGroups,
];
