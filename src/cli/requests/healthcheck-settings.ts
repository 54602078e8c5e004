// The flags of a health check, applied to the one that was there.
import { parseDuration } from '../../dockerfile/duration.ts';
import { BuilderError } from '../../errors.ts';
import { type Healthcheck } from '../../oci/run-config.ts';
import { commandOf } from './command-words.ts';
import type { Settings } from '../settings.ts';

/** What buildah writes down for a new one; they are the engines' own defaults. */
const usual = { intervalNs: 30e9, timeoutNs: 30e9, retries: 3 } as const;

/** The health check as it becomes; undefined for none. An empty `--healthcheck` takes it away. @throws ERR_USAGE */
export function changedHealthcheck(before: Healthcheck | undefined, settings: Settings): Healthcheck | undefined {
  const test = settings.has('healthcheck') ? testOf(settings.text('healthcheck') ?? '') : before?.test;
  const times = {
    ...timeOf('intervalNs', 'healthcheck-interval', settings),
    ...timeOf('timeoutNs', 'healthcheck-timeout', settings),
    ...timeOf('startPeriodNs', 'healthcheck-start-period', settings),
    ...timeOf('startIntervalNs', 'healthcheck-start-interval', settings),
    ...retriesOf(settings),
  };
  if (test !== undefined) return { ...(before ?? usual), ...times, test };
  if (Object.keys(times).length === 0) return undefined;
  throw new BuilderError('ERR_USAGE', 'Cannot use the times of a health check: there is none', { hint: '--healthcheck "CMD /bin/true"' });
}

function testOf(text: string): readonly string[] | undefined {
  const [kind = '', rest = ''] = /^\s*(\S*)\s*(.*?)\s*$/s.exec(text)?.slice(1) ?? [];
  if (kind === '') return undefined;
  if (kind === 'NONE' && rest === '') return ['NONE'];
  if (kind === 'CMD-SHELL' && rest !== '') return ['CMD-SHELL', rest];
  const words = kind === 'CMD' ? commandOf('healthcheck', rest, 'words') : undefined;
  if (words !== undefined && words.length > 0) return ['CMD', ...words];
  throw new BuilderError('ERR_USAGE', `Cannot use --healthcheck ${text}: expected CMD and words, CMD-SHELL and a line, or NONE`, {
    hint: '--healthcheck "CMD curl -f http://localhost/"',
  });
}

function timeOf(key: keyof Healthcheck, flag: string, settings: Settings): Partial<Record<keyof Healthcheck, number>> {
  const text = settings.text(flag);
  if (text === undefined) return {};
  const time = text === '' ? 0 : parseDuration(text);
  if (time !== undefined && (time === 0 || time >= 1e6)) return { [key]: time };
  throw new BuilderError('ERR_USAGE', `Cannot use --${flag} ${text}: expected a time of at least 1ms`, {
    hint: 'for example 500ms, 30s or 1m30s',
  });
}

function retriesOf(settings: Settings): Partial<Record<keyof Healthcheck, number>> {
  const retries = settings.number('healthcheck-retries');
  if (retries === undefined) return {};
  if (retries >= 0) return { retries };
  throw new BuilderError('ERR_USAGE', `Cannot use --healthcheck-retries ${retries}: expected 0 or more`);
}
