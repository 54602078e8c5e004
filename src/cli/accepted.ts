// What pipelines written for kaniko pass along and what changes nothing here: told once, never dropped in silence.
import type { Emit } from '../events.ts';
import { hasCache } from './requests/cache-request.ts';
import type { FlagSpec } from './flags.ts';
import type { Environment, Settings } from './settings.ts';

/** One line that names the flags without an effect, grouped by the reason; kaniko's feature variables at debug. */
export function tellAccepted(settings: Settings, table: readonly FlagSpec[], env: Environment, emit: Emit): void {
  const byReason = new Map<string, string[]>();
  for (const spec of table) {
    const reason = spec.inert ?? missingSwitch(spec, settings) ?? overruling(spec, settings);
    if (reason === undefined || !(spec.inert === undefined ? isOn(spec, settings) : settings.has(spec.name))) continue;
    byReason.set(reason, [...(byReason.get(reason) ?? []), `--${spec.name}`]);
  }
  const reasons = [...byReason].map(([reason, names]) => `${names.join(', ')} (${reason})`);
  if (reasons.length > 0) emit({ kind: 'note', level: 'info', message: `without effect here: ${reasons.join('; ')}` });
  const features = Object.keys(env).filter((name) => name.startsWith('FF_KANIKO_'));
  if (features.length > 0)
    emit({
      kind: 'note',
      level: 'debug',
      message: `no feature is switched by ${features.toSorted().join(', ')}: the right behaviour is always on`,
    });
}

function missingSwitch({ needs }: FlagSpec, settings: Settings): string | undefined {
  const isMet = needs === 'cache' ? hasCache(settings) : needs === undefined || settings.boolean(needs);
  return isMet ? undefined : `it only matters with --${needs}`;
}

function overruling({ overruledBy }: FlagSpec, settings: Settings): string | undefined {
  return overruledBy === undefined || !settings.has(overruledBy) ? undefined : `--${overruledBy} says it already`;
}

function isOn(spec: FlagSpec, settings: Settings): boolean {
  return spec.kind === 'boolean' ? settings.boolean(spec.name) : settings.text(spec.name) !== undefined;
}
