// What every command takes: how much is told and how, and help.
import { ciNames } from '../../report/dialect.ts';
import { logFormats, verbosities } from '../../report/level.ts';
import type { FlagSpec } from '../flags.ts';
import { text, toggle } from './flag.ts';

export const logFlags: readonly FlagSpec[] = [
  text('verbosity', 'LEVEL', 'trace, debug, info (default), warn, error', {
    aliases: ['log-level'],
    short: 'v',
    choices: verbosities,
    reads: (level) => level.toLowerCase().replace(/^warning$/, 'warn'), // as logrus, kaniko's and skopeo's
    details: 'trace, debug, info (default), warn, error, fatal or panic; errors and the output of a RUN are always told',
    kaniko: 'same',
  }),
  text('log-format', 'text|color|json', 'how progress is told (default: a live view on a terminal, else lines)', {
    choices: logFormats,
    kaniko: 'color is the default everywhere',
  }),
  text('ci', 'NAME', 'fold and annotate the log as this CI system does (default: auto)', {
    choices: ciNames,
    details: `one of ${ciNames.join(', ')}`,
  }),
  toggle('log-timestamp', 'put the time before every line', { kaniko: 'same' }),
  toggle('quiet', 'tell errors only; a build prints its digest reference on stdout', { short: 'q' }),
  toggle('version', 'print the version'),
  toggle('help', 'print this', { short: 'h', kaniko: 'same' }),
];
