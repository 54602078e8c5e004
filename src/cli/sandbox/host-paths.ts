// Inside a sandbox the host's files are below a folder of ours; people are shown the paths that they wrote.
import type { BuildEvent } from '../../events.ts';
import { hostPathsIn } from '../../sandbox/plan.ts';
import type { Report } from '../../report/report.ts';
import type { Environment } from '../settings.ts';

/** In the environment of the builder inside: the folders that are held, as a JSON list. */
export const heldVariable = 'YADOKARI_HELD';

/** The same report, its own texts with the host's paths; what a RUN prints is left alone. */
export function withHostPaths(report: Report, env: Environment): Report {
  const held = JSON.parse(env[heldVariable] ?? '[]') as readonly string[]; // written by the launcher
  const onHost = (text: string): string => hostPathsIn(text, held);
  return {
    emit: (event) => report.emit(translated(event, onHost)),
    line: (level, text) => report.line(level, onHost(text)),
    close: report.close,
  };
}

function translated(event: BuildEvent, onHost: (text: string) => string): BuildEvent {
  if (event.kind === 'image.written') return { ...event, destination: onHost(event.destination) };
  if (event.kind === 'warning' || event.kind === 'note' || event.kind === 'plan') return { ...event, message: onHost(event.message) };
  if (event.kind === 'build.started') return { ...event, dockerfile: onHost(event.dockerfile) };
  if ('step' in event && event.step !== undefined) return { ...event, step: { ...event.step, dockerfile: onHost(event.step.dockerfile) } };
  if (event.kind === 'phase' && event.detail !== undefined) return { ...event, detail: onHost(event.detail) };
  return event;
}
