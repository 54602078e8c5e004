// The flags of commands about the images of this machine, by buildah's, podman's and img's names.
import { pullPolicies } from '../base-image.ts';
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { logFlags } from './log.ts';
import { storeFlags } from './store-root.ts';
import { programFlags, sideFlags, signingFlags } from './transports.ts';

/** The last two groups of such a command. */
const closing: readonly FlagGroup[] = [
  { title: 'The store', flags: storeFlags },
  { title: 'What is told', flags: logFlags },
];

const formatFlags: readonly FlagSpec[] = [
  { name: 'json', kind: 'boolean', isCommon: true, about: 'print JSON' },
  { name: 'format', kind: 'text', isCommon: true, value: 'TEMPLATE', about: "a Go template, as '{{.ID}} {{.Size}}'" },
];
const noHeading: FlagSpec = { name: 'noheading', short: 'n', kind: 'boolean', isCommon: true, about: 'no heading above the columns' };
const noTrunc: FlagSpec = { name: 'no-trunc', kind: 'boolean', about: 'ids and commands at full length' };
const platformFlag: FlagSpec = { name: 'platform', kind: 'text', value: 'OS/ARCH', about: 'which image of an index' };
const force: FlagSpec = { name: 'force', short: 'f', kind: 'boolean', isCommon: true, about: '' };

export const imagesGroups: readonly FlagGroup[] = [
  {
    title: 'Which images',
    flags: [
      {
        name: 'filter',
        short: 'f',
        kind: 'list',
        isCommon: true,
        value: 'NAME=VALUE',
        about: 'only such as: dangling=true, label=KEY',
        details: 'only such as: dangling, label, before, since, reference, readonly or intermediate',
      },
      { name: 'all', short: 'a', kind: 'boolean', about: '', inert: 'no image here is an intermediate one' },
    ],
  },
  {
    title: 'What is printed',
    flags: [
      ...formatFlags,
      noHeading,
      { name: 'digests', kind: 'boolean', isCommon: true, about: 'digests of manifests, too' },
      noTrunc,
      { name: 'history', kind: 'boolean', about: "the image's other names" },
    ],
  },
  ...closing,
];

export const namingGroups: readonly FlagGroup[] = closing;

export const rmiGroups: readonly FlagGroup[] = [
  {
    title: 'Which images',
    flags: [
      { name: 'all', short: 'a', kind: 'boolean', isCommon: true, about: 'all of them' },
      { name: 'prune', short: 'p', kind: 'boolean', isCommon: true, about: 'those without a name' },
      { ...force, about: 'with all names, and though containers use it' },
    ],
  },
  ...closing,
];

export const pruneGroups: readonly FlagGroup[] = [
  {
    title: 'Which images',
    flags: [
      { name: 'all', short: 'a', kind: 'boolean', isCommon: true, about: 'named ones too, that no container uses' },
      { ...force, about: '', inert: 'nothing is asked' },
    ],
  },
  ...closing,
];

export const diskUsageGroups: readonly FlagGroup[] = [
  { title: 'What is printed', flags: [...formatFlags, noHeading, noTrunc] },
  ...closing,
];

/** How registries are asked, by buildah's names. */
export const storeHowFlags: readonly FlagSpec[] = [
  ...programFlags.filter(({ name }) => !/^(?:override-|retry|policy)/.test(name)),
  { name: 'retry', kind: 'count', value: 'N', about: 'tries more of the whole, besides those of each request (default 0)' },
  { name: 'retry-delay', kind: 'text', value: 'TIME', about: '', inert: 'each request waits by itself' },
];

export const pullGroups: readonly FlagGroup[] = [
  {
    title: 'What to pull',
    flags: [
      {
        name: 'policy',
        kind: 'text',
        isCommon: true,
        value: 'WHEN',
        choices: pullPolicies,
        about: 'missing (default), always, newer or never',
        details: 'when to ask the registry: for what is missing (default), always, newer (and do without an answer) or never',
      },
      { name: 'platform', kind: 'comma-list', isCommon: true, value: 'OS/ARCH', about: 'the image for this platform' },
      { name: 'os', kind: 'text', value: 'OS', about: 'the image for this system' },
      { name: 'arch', kind: 'text', value: 'ARCH', about: 'the image for this architecture' },
      { name: 'variant', kind: 'text', value: 'VARIANT', about: 'the image for this variant of it' },
      { name: 'all-platforms', kind: 'boolean', isCommon: true, about: 'the whole index, instead of one image' },
      { name: 'all-tags', short: 'a', kind: 'boolean', isCommon: true, about: 'every tag of the repository' },
      ...signingFlags.filter(({ name }) => ['remove-signatures', 'decryption-key'].includes(name)),
    ],
  },
  { title: 'Registry', flags: sideFlags('') },
  { title: 'How', flags: storeHowFlags },
  ...closing,
];

export const historyGroups: readonly FlagGroup[] = [
  {
    title: 'What is printed',
    flags: [
      ...formatFlags,
      noHeading,
      noTrunc,
      { name: 'human', short: 'H', kind: 'boolean', about: 'false: times and sizes as they are' },
      platformFlag,
    ],
  },
  ...closing,
];

export const diffGroups: readonly FlagGroup[] = [
  {
    title: 'What is printed',
    flags: [
      { name: 'json', kind: 'boolean', isCommon: true, about: 'print JSON' },
      { name: 'format', kind: 'text', value: 'json', choices: ['json'], about: 'the same' },
      platformFlag,
    ],
  },
  ...closing,
];

export const unpackGroups: readonly FlagGroup[] = [
  {
    title: 'Where it goes',
    flags: [{ name: 'output', short: 'o', kind: 'text', isCommon: true, value: 'FOLDER', about: 'here (default: rootfs)' }, platformFlag],
  },
  ...closing,
];

export const saveFormats = ['docker-archive', 'oci-archive', 'docker-dir', 'oci-dir', 'docker', 'oci'] as const;

const severalFlag: FlagSpec = {
  name: 'multi-image-archive',
  short: 'm',
  kind: 'boolean',
  about: '',
  inert: 'every image that is named is saved',
};

export const saveGroups: readonly FlagGroup[] = [
  {
    title: 'What is written',
    flags: [
      { name: 'output', short: 'o', kind: 'text', isCommon: true, value: 'FILE', about: 'write it here (default: stdout)' },
      {
        name: 'format',
        kind: 'text',
        isCommon: true,
        value: 'FORM',
        choices: saveFormats,
        about: 'docker-archive (default), oci-archive, …',
        details: 'docker-archive (default) or oci-archive; docker-dir or oci-dir, a folder for one image',
      },
      {
        name: 'platform',
        kind: 'comma-list',
        isCommon: true,
        value: 'OS/ARCH,…',
        about: 'of an index the images for these',
        details: "of an index the images for these (default: all in the OCI formats, the one for this machine in Docker's)",
      },
      severalFlag,
      { name: 'uncompressed', kind: 'boolean', about: '', inert: 'layers are plain in a docker archive, and as they are elsewhere' },
    ],
  },
  { title: 'How', flags: programFlags.filter(({ name }) => name === 'tmpdir' || name.startsWith('override-')) },
  ...closing,
];

export const loadGroups: readonly FlagGroup[] = [
  {
    title: 'What is read',
    flags: [
      { name: 'input', short: 'i', kind: 'text', isCommon: true, value: 'FILE', about: 'read this archive (default: stdin)' },
      {
        name: 'platform',
        kind: 'comma-list',
        isCommon: true,
        value: 'OS/ARCH,…',
        about: 'of an index the images for these (default: all)',
      },
    ],
  },
  { title: 'How', flags: programFlags.filter(({ name }) => name === 'tmpdir' || name.startsWith('override-')) },
  ...closing,
];
