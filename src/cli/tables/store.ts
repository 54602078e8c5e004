// The flags of commands about the images of this machine, by buildah's, podman's and img's names.
import { pullPolicies } from '../images/obtain-image.ts';
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { logFlags } from './log.ts';
import { storeFlags } from './store-root.ts';
import { policyFlags } from './signing.ts';
import { programFlags, sideFlags, signingFlags } from './transports.ts';
import { commaList, count, group, inert, list, text, toggle } from './flag.ts';

/** The last two groups of such a command. */
const closing: readonly FlagGroup[] = [group('The store', storeFlags), group('What is told', logFlags)];

const formatFlags: readonly FlagSpec[] = [
  toggle('json', 'print JSON', { isCommon: true }),
  text('format', 'TEMPLATE', "a Go template, as '{{.ID}} {{.Size}}'", { isCommon: true }),
];
const noHeading: FlagSpec = toggle('noheading', 'no heading above the columns', { short: 'n', isCommon: true });
const noTrunc: FlagSpec = toggle('no-trunc', 'ids and commands at full length');
const platformFlag: FlagSpec = text('platform', 'OS/ARCH', 'which image of an index');
const force: FlagSpec = toggle('force', '', { short: 'f', isCommon: true });

export const imagesGroups: readonly FlagGroup[] = [
  group('Which images', [
    list('filter', 'NAME=VALUE', 'only such as: dangling=true, label=KEY', {
      short: 'f',
      isCommon: true,
      details: 'only such as: dangling, label, before, since, reference, readonly or intermediate',
    }),
    inert('boolean', 'all', 'no image here is an intermediate one', { short: 'a' }),
  ]),
  group('What is printed', [
    ...formatFlags,
    noHeading,
    toggle('digests', 'digests of manifests, too', { isCommon: true }),
    noTrunc,
    toggle('history', "the image's other names"),
  ]),
  ...closing,
];

export const namingGroups: readonly FlagGroup[] = closing;

export const rmiGroups: readonly FlagGroup[] = [
  group('Which images', [
    toggle('all', 'all of them', { short: 'a', isCommon: true }),
    toggle('prune', 'those without a name', { short: 'p', isCommon: true }),
    { ...force, about: 'with all names, and though containers use it' },
  ]),
  ...closing,
];

export const pruneGroups: readonly FlagGroup[] = [
  group('Which images', [
    toggle('all', 'named ones too, that no container uses', { short: 'a', isCommon: true }),
    { ...force, about: '', inert: 'nothing is asked' },
  ]),
  ...closing,
];

export const diskUsageGroups: readonly FlagGroup[] = [group('What is printed', [...formatFlags, noHeading, noTrunc]), ...closing];

/** How registries are asked, by buildah's names. */
export const storeHowFlags: readonly FlagSpec[] = [
  ...programFlags.filter(({ name }) => !/^(?:override-|retry)|policy$/.test(name)),
  // Without skopeo's word for it, which podman has for something else.
  ...policyFlags,
  count('retry', 'N', 'tries more of the whole, besides those of each request (default 0)'),
  inert('text', 'retry-delay', 'each request waits by itself', { value: 'TIME' }),
];

export const pullGroups: readonly FlagGroup[] = [
  group('What to pull', [
    text('policy', 'WHEN', 'missing (default), always, newer or never', {
      isCommon: true,
      choices: pullPolicies,
      details: 'when to ask the registry: for what is missing (default), always, newer (and do without an answer) or never',
    }),
    commaList('platform', 'OS/ARCH', 'the image for this platform', { isCommon: true }),
    text('os', 'OS', 'the image for this system'),
    text('arch', 'ARCH', 'the image for this architecture'),
    text('variant', 'VARIANT', 'the image for this variant of it'),
    toggle('all-platforms', 'the whole index, instead of one image', { isCommon: true }),
    toggle('all-tags', 'every tag of the repository', { short: 'a', isCommon: true }),
    ...signingFlags.filter(({ name }) => ['remove-signatures', 'decryption-key'].includes(name)),
  ]),
  group('Registry', sideFlags('')),
  group('How', storeHowFlags),
  ...closing,
];

export const historyGroups: readonly FlagGroup[] = [
  group('What is printed', [
    ...formatFlags,
    noHeading,
    noTrunc,
    toggle('human', 'false: times and sizes as they are', { short: 'H' }),
    platformFlag,
  ]),
  ...closing,
];

export const diffGroups: readonly FlagGroup[] = [
  group('What is printed', [
    toggle('json', 'print JSON', { isCommon: true }),
    text('format', 'json', 'the same', { choices: ['json'] }),
    platformFlag,
  ]),
  ...closing,
];

export const unpackGroups: readonly FlagGroup[] = [
  group('Where it goes', [text('output', 'FOLDER', 'here (default: rootfs)', { short: 'o', isCommon: true }), platformFlag]),
  ...closing,
];

export const saveFormats = ['docker-archive', 'oci-archive', 'docker-dir', 'oci-dir', 'docker', 'oci'] as const;

const severalFlag: FlagSpec = inert('boolean', 'multi-image-archive', 'every image that is named is saved', { short: 'm' });

export const saveGroups: readonly FlagGroup[] = [
  group('What is written', [
    text('output', 'FILE', 'write it here (default: stdout)', { short: 'o', isCommon: true }),
    text('format', 'FORM', 'docker-archive (default), oci-archive, …', {
      isCommon: true,
      choices: saveFormats,
      details: 'docker-archive (default) or oci-archive; docker-dir or oci-dir, a folder for one image',
    }),
    commaList('platform', 'OS/ARCH,…', 'of an index the images for these', {
      isCommon: true,
      details: "of an index the images for these (default: all in the OCI formats, the one for this machine in Docker's)",
    }),
    severalFlag,
    inert('boolean', 'uncompressed', 'layers are plain in a docker archive, and as they are elsewhere'),
  ]),
  group(
    'How',
    programFlags.filter(({ name }) => name === 'tmpdir' || name.startsWith('override-')),
  ),
  ...closing,
];

export const loadGroups: readonly FlagGroup[] = [
  group('What is read', [
    text('input', 'FILE', 'read this archive (default: stdin)', { short: 'i', isCommon: true }),
    commaList('platform', 'OS/ARCH,…', 'of an index the images for these (default: all)', { isCommon: true }),
  ]),
  group(
    'How',
    programFlags.filter(({ name }) => name === 'tmpdir' || name.startsWith('override-')),
  ),
  ...closing,
];
