// The flags of `push` and `login`.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { logFlags } from './log.ts';
import { destinationFlags, pushFlags, resultFileFlags } from './output.ts';
import { chunkSizeFlag, directRegistryFlags, hostFlags } from './registry.ts';
import { storeFlags } from './store-root.ts';
import { storeHowFlags } from './store.ts';
import { compressFormats, formatFlag, sideFlags, signingFlags } from './transports.ts';

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
  {
    name: 'compress-format',
    kind: 'text',
    aliases: ['compression-format'],
    value: 'FORM',
    choices: compressFormats,
    about: 'gzip, zstd or none',
  },
  { name: 'compress-level', kind: 'number', aliases: ['compression-level'], value: 'N', about: 'gzip 0 to 9, zstd 1 to 19' },
  { name: 'disable-compression', short: 'D', kind: 'boolean', about: 'plain layers' },
  { name: 'all', kind: 'boolean', about: 'false: of an index the image for this machine (default: all)' },
  { name: 'digestfile', kind: 'text', isCommon: true, value: 'FILE', about: "write the copy's digest here" },
  { name: 'rm', kind: 'boolean', about: '', unsupported: 'yadokari rmi removes an image afterwards' },
  ...signingFlags,
  ...sideFlags(''),
  ...storeHowFlags.filter((spec) => !hostFlags.includes(spec)),
];

export const pushGroups: readonly FlagGroup[] = [
  {
    title: 'An archive, a layout or an image, to registries (kaniko)',
    flags: [...destinationFlags, ...registryOnlyFlags, ...bothFormsFlags],
  },
  { title: 'An image of the store, to any place (buildah)', flags: placeFlags },
  { title: 'The store', flags: storeFlags },
  { title: 'What is told', flags: logFlags },
];

const authFileFlag: FlagSpec = {
  name: 'authfile',
  kind: 'text',
  value: 'FILE',
  about: 'this file (default: config.json in $DOCKER_CONFIG or ~/.docker)',
};

/** What other tools have because they ask the registry whether it knows you. */
export const askingFlags: readonly FlagSpec[] = [
  { name: 'tls-verify', kind: 'boolean', about: '', inert: 'nothing is asked of the registry' },
  { name: 'cert-dir', kind: 'text', about: '', inert: 'nothing is asked of the registry' },
];

export const loginGroups: readonly FlagGroup[] = [
  {
    title: 'Who you are',
    flags: [
      { name: 'username', short: 'u', kind: 'text', isCommon: true, value: 'NAME', about: 'user name', kaniko: 'same' },
      {
        name: 'password-stdin',
        kind: 'boolean',
        isCommon: true,
        about: 'read the password from standard input',
        kaniko: 'same',
      },
      {
        name: 'password',
        short: 'p',
        kind: 'text',
        isCommon: true,
        value: 'PASSWORD',
        about: 'the password itself, for all to see',
        kaniko: 'same',
      },
      authFileFlag,
      ...askingFlags,
    ],
  },
  {
    title: 'In an init container',
    flags: [
      {
        name: 'from-file',
        kind: 'text',
        isCommon: true,
        value: 'FILE',
        about: 'copy this config.json: no registry, no password',
        details:
          'a Secret of the type kubernetes.io/dockerconfigjson, mounted into an init container alone; what was kept before is replaced',
      },
      {
        name: 'secret-file',
        kind: 'list',
        empty: 'refused',
        isCommon: true,
        value: 'FILE=COPY',
        about: 'copy a file for --secret; may be repeated',
      },
      {
        name: 'once',
        kind: 'boolean',
        isCommon: true,
        about: 'the build deletes the copies before its first RUN',
        details: 'a file COPY.once beside each copy says so; the build keeps in memory what it has read',
      },
    ],
  },
  { title: 'What is told', flags: logFlags },
];

export const logoutGroups: readonly FlagGroup[] = [
  {
    title: 'Where from',
    flags: [{ name: 'all', short: 'a', kind: 'boolean', isCommon: true, about: 'from every registry' }, authFileFlag],
  },
  { title: 'What is told', flags: logFlags },
];
