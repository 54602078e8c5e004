// The flags of `push` and `login`.
import type { FlagGroup } from '../flags.ts';
import { logFlags } from './log.ts';
import { destinationFlags, pushFlags, resultFileFlags } from './output.ts';
import { directRegistryFlags } from './registry.ts';

export const pushGroups: readonly FlagGroup[] = [
  { title: 'Where it goes', flags: [...destinationFlags, ...resultFileFlags, ...pushFlags] },
  { title: 'Registries', flags: directRegistryFlags },
  { title: 'What is told', flags: logFlags },
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
    flags: [{ name: 'all', short: 'a', kind: 'boolean', isCommon: true, about: 'from every registry' }],
  },
  { title: 'What is told', flags: logFlags },
];
