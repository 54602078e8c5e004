// The files that tell of a build. They are opened before anything else: afterwards their paths may lead into the image.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { BuildEvent } from '../../events.ts';
import { realPlace } from '../../files/real-place.ts';
import { given } from '../../given.ts';
import { BuildRecord } from '../../report/build-record.ts';
import { sandboxVariable } from '../../sandbox/detect.ts';
import { ciNames, detectCi } from '../../report/dialect.ts';
import { jobSummary, resultVariables } from '../../report/job-summary.ts';
import { jsonReport } from '../../report/json.ts';
import { junitReport } from '../../report/junit.ts';
import { buildPage } from '../../report/page.ts';
import { Timeline } from '../../report/timeline.ts';
import { openUsage } from '../../linux/usage.ts';
import type { Report } from '../../report/report.ts';
import { openReportFile, type ReportFile } from '../../report/report-file.ts';
import type { Environment, Settings } from '../settings.ts';

const sampleMs = 1000;

export interface ReportFiles extends Disposable {
  readonly emit: (event: BuildEvent) => void;
  readonly line: Report['line'];
  /** What is known of the whole build so far. */
  readonly totals: () => Pick<Extract<BuildEvent, { readonly kind: 'build.finished' }>, 'savedMs' | 'peakMemoryBytes'>;
}

const flags = ['events-file', 'report', 'junit-file', 'dotenv-file'] as const;

/** Where the files are. */
export function reportPaths(settings: Settings, workingDirectory: string): readonly string[] {
  return flags.flatMap((flag) => settings.text(flag) ?? []).map((path) => realPlace(resolve(workingDirectory, path)));
}

/** @throws ERR_USAGE for a file that can't be written */
export function openReportFiles(
  settings: Settings,
  around: { readonly env: Environment; readonly workingDirectory: string; readonly now: () => number },
): ReportFiles {
  const { env, workingDirectory, now } = around;
  using stack = new DisposableStack();
  const open = (flag: (typeof flags)[number]): ReportFile | undefined => {
    const path = settings.text(flag);
    if (path === undefined) return undefined;
    const file = stack.use(openReportFile(resolve(workingDirectory, path), `--${flag}`));
    file.empty();
    return file;
  };
  const events = open('events-file');
  // One moment for each event: a page that is made of the events later has the same times.
  let at = now();
  const json = events === undefined ? undefined : jsonReport({ verbosity: 'trace', now: () => at, write: events.write });
  const page = open('report');
  const junit = open('junit-file');
  const dotenv = open('dotenv-file');
  const github = openGithubFiles(settings, env, stack);
  const record = new BuildRecord();
  const timeline = new Timeline();
  const receive = (event: BuildEvent): void => {
    at = now();
    record.add(event);
    if (page !== undefined) timeline.add(event, at);
    json?.emit(event);
  };
  const memory = watchUsage(page === undefined && events === undefined ? undefined : receive, stack);
  const files = stack.move();
  const end = (): void => {
    if (record.finished === undefined) return; // a plan, or nothing at all
    const variables = resultVariables(record);
    page?.write(buildPage(record, timeline));
    junit?.write(junitReport(record));
    github.summary?.write(jobSummary(record));
    if (variables === undefined) return;
    const { digest, image } = variables;
    dotenv?.write(`IMAGE_DIGEST=${digest}\n${image === undefined ? '' : `IMAGE=${image}\n`}`);
    github.output?.write(`digest=${digest}\n${image === undefined ? '' : `image=${image}\n`}`);
  };
  return {
    emit: receive,
    line: (level, text) => json?.line(level, text),
    totals: () => {
      const savedMs = record.steps.reduce((sum, step) => sum + (step.end?.recalled?.savedMs ?? 0), 0);
      // In a sandbox the control group is that of more than the build.
      const peakMemoryBytes = env[sandboxVariable] === '1' ? undefined : memory.peakBytes();
      return { ...(savedMs === 0 ? {} : { savedMs }), ...given({ peakMemoryBytes }) };
    },
    [Symbol.dispose]: () => {
      end();
      files.dispose();
    },
  };
}

/** A sample each second, until the stack is disposed of, for `receive`; and the most memory among them, undefined where nobody counts. */
function watchUsage(
  receive: ((event: BuildEvent) => void) | undefined,
  stack: DisposableStack,
): { readonly peakBytes: () => number | undefined } {
  const usage = stack.use(openUsage());
  let peak: number | undefined;
  const take = (): void => {
    const sample = usage.read();
    if (sample === undefined) return;
    peak = Math.max(peak ?? 0, sample.memoryBytes);
    receive?.({ kind: 'sample', ...sample });
  };
  take();
  const timer = setInterval(take, sampleMs).unref();
  stack.defer(() => clearInterval(timer));
  return {
    peakBytes: () => {
      take();
      return peak;
    },
  };
}

/** GitHub, Gitea and Forgejo make these files for each step. Where a container has the variables alone, there is nobody to read them. */
function openGithubFiles(
  settings: Settings,
  env: Environment,
  stack: DisposableStack,
): { readonly summary?: ReportFile; readonly output?: ReportFile } {
  const name = settings.choice('ci', ciNames, 'auto');
  if ((name === 'auto' ? detectCi(env) : name) !== 'github') return {};
  const open = (variable: 'GITHUB_STEP_SUMMARY' | 'GITHUB_OUTPUT'): ReportFile | undefined => {
    const path = env[variable];
    return path === undefined || !existsSync(path) ? undefined : stack.use(openReportFile(path, `$${variable}`));
  };
  const [summary, output] = [open('GITHUB_STEP_SUMMARY'), open('GITHUB_OUTPUT')];
  return given({ summary, output });
}

/** A report that the files get, too. */
export function withReportFiles(report: Report, files: ReportFiles): Report {
  return {
    emit: (event) => {
      const told = event.kind === 'build.finished' ? { ...event, ...files.totals() } : event;
      files.emit(told);
      report.emit(told);
    },
    line: (level, text) => {
      files.line(level, text);
      report.line(level, text);
    },
    close: report.close,
  };
}
