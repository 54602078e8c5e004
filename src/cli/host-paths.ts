// Inside a sandbox the host's files are below a folder of ours; people are shown the paths that they wrote.
import type { BuildEvent } from '../events.ts';
import { hostPathsIn } from '../sandbox/plan.ts';
import type { Report } from '../report/report.ts';

/** The same report, its own texts with the host's paths; what a RUN prints is left alone. */
export function withHostPaths(report: Report): Report {
  return {
    emit: (event) => report.emit(translated(event)),
    line: (level, text) => report.line(level, hostPathsIn(text)),
    close: report.close,
  };
}

function translated(event: BuildEvent): BuildEvent {
  if (event.kind === 'image.written') return { ...event, destination: hostPathsIn(event.destination) };
  if (event.kind === 'warning' || event.kind === 'note') return { ...event, message: hostPathsIn(event.message) };
  if (event.kind === 'phase' && event.detail !== undefined) return { ...event, detail: hostPathsIn(event.detail) };
  return event;
}
