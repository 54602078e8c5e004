// What every command takes: how much is told and how, and help.
import type { FlagSpec } from '../flags.ts';

export const logFormats = ['text', 'color', 'json'] as const;
export const verbosities = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'panic'] as const;

export const logFlags: readonly FlagSpec[] = [
  {
    name: 'verbosity',
    short: 'v',
    kind: 'text',
    isCommon: true,
    value: 'LEVEL',
    choices: verbosities,
    about: 'trace, debug, info (default), warn, error',
    details: 'trace, debug, info (default), warn, error, fatal or panic; errors and the output of a RUN are always told',
    kaniko: 'same',
  },
  {
    name: 'log-format',
    kind: 'text',
    value: 'text|color|json',
    choices: logFormats,
    about: 'how progress is told (default: a live view on a terminal, else lines)',
    kaniko: 'color is the default everywhere',
  },
  { name: 'log-timestamp', kind: 'boolean', about: 'put the time before every line', kaniko: 'same' },
  { name: 'version', kind: 'boolean', about: 'print the version' },
  { name: 'help', short: 'h', kind: 'boolean', about: 'print this', kaniko: 'same' },
];
