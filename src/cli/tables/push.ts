// The flags of `push` and `login`.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { logFlags } from './log.ts';
import { destinationFlags, pushFlags, resultFileFlags } from './output.ts';
import { chunkSizeFlag, directRegistryFlags, hostFlags } from './registry.ts';
import { storeFlags } from './store-root.ts';
import { storeHowFlags } from './store.ts';
import { identityFlag, keyFlags } from './signing.ts';
import { compressFormats, formatFlag, sideFlags, signingFlags } from './transports.ts';
import { group, inert, list, number, text, toggle, unsupported } from './flag.ts';

const bothFormsFlags: readonly FlagSpec[] = [...hostFlags, chunkSizeFlag];

/** Of kaniko's form alone. */
export const registryOnlyFlags: readonly FlagSpec[] = [
  ...resultFileFlags,
  ...pushFlags,
  ...directRegistryFlags.filter((spec) => !bothFormsFlags.includes(spec)),
];

/** Of buildah's form alone. */
export const placeFlags: readonly FlagSpec[] = [
  formatFlag,
  text('compress-format', 'FORM', 'gzip, zstd or none', { aliases: ['compression-format'], choices: compressFormats }),
  number('compress-level', 'N', 'gzip 0 to 9, zstd 1 to 19', { aliases: ['compression-level'] }),
  toggle('disable-compression', 'plain layers', { short: 'D' }),
  toggle('all', 'false: of an index the image for this machine (default: all)'),
  text('digestfile', 'FILE', "write the copy's digest here", { isCommon: true }),
  unsupported('boolean', 'rm', 'yadokari rmi removes an image afterwards'),
  ...signingFlags.filter((spec) => !keyFlags.includes(spec)),
  ...sideFlags(''),
  ...storeHowFlags.filter((spec) => !hostFlags.includes(spec)),
];

/** Of both. */
const signFlags: readonly FlagSpec[] = [...keyFlags, identityFlag];

export const pushGroups: readonly FlagGroup[] = [
  group('An archive, a layout or an image, to registries (kaniko)', [...destinationFlags, ...registryOnlyFlags, ...bothFormsFlags]),
  group('An image of the store, to any place (buildah)', placeFlags),
  group('Signatures', signFlags),
  group('The store', storeFlags),
  group('What is told', logFlags),
];

const authFileFlag: FlagSpec = text('authfile', 'FILE', 'this file (default: config.json in $DOCKER_CONFIG or ~/.docker)');

/** How the registry is asked whether it knows you. */
const askingFlags: readonly FlagSpec[] = [
  ...sideFlags('').filter(({ name }) => name === 'tls-verify' || name === 'cert-dir'),
  ...hostFlags,
  inert('boolean', 'verbose', '--verbosity debug tells more'),
];

export const loginGroups: readonly FlagGroup[] = [
  group('Who you are', [
    text('username', 'NAME', 'user name', { short: 'u', isCommon: true, kaniko: 'same' }),
    toggle('password-stdin', 'read the password from standard input', { isCommon: true, kaniko: 'same' }),
    text('password', 'PASSWORD', 'the password itself, for all to see', { short: 'p', isCommon: true, kaniko: 'same' }),
    toggle('get-login', 'print who is logged in, and log nobody in'),
    authFileFlag,
    ...askingFlags,
  ]),
  group('In an init container', [
    text('from-file', 'FILE', 'copy this config.json: no registry, no password', {
      isCommon: true,
      details:
        'a Secret of the type kubernetes.io/dockerconfigjson, mounted into an init container alone; what was kept before is replaced',
    }),
    list('secret-file', 'FILE=COPY', 'copy a file for --secret; may be repeated', { empty: 'refused', isCommon: true }),
    toggle('once', 'the build deletes the copies before its first RUN', {
      isCommon: true,
      details: 'a file COPY.once beside each copy says so; the build keeps in memory what it has read',
    }),
  ]),
  group('What is told', logFlags),
];

export const logoutGroups: readonly FlagGroup[] = [
  group('Where from', [toggle('all', 'from every registry', { short: 'a', isCommon: true }), authFileFlag, ...askingFlags]),
  group('What is told', logFlags),
];
