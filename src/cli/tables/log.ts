// What every command takes: how much is told and how, and help.
import { ciNames } from '../../report/dialect.ts';
import { logFormats, verbosities } from '../../report/level.ts';
import type { FlagSpec } from '../flags.ts';

export const logFlags: readonly FlagSpec[] = [
  {
    name: 'verbosity',
    aliases: ['log-level'],
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
  {
    name: 'ci',
    kind: 'text',
    value: 'NAME',
    choices: ciNames,
    about: 'fold and annotate the log as this CI system does (default: auto)',
    details: `one of ${ciNames.join(', ')}`,
  },
  { name: 'log-timestamp', kind: 'boolean', about: 'put the time before every line', kaniko: 'same' },
  { name: 'quiet', short: 'q', kind: 'boolean', about: 'tell errors only; a build prints its digest reference on stdout' },
  { name: 'version', kind: 'boolean', about: 'print the version' },
  { name: 'help', short: 'h', kind: 'boolean', about: 'print this', kaniko: 'same' },
];
