// Does the steps of a file, one after the other.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BuilderError, systemReason } from '../../errors.ts';
import { appFolder } from '../../sandbox/detect.ts';
import type { Action, Step, StepsFile } from '../../steps/step.ts';
import type { CommandInput } from '../command.ts';
import { describeFailure, exitStatusOf } from '../exit.ts';
import { runImageAction } from './step-container.ts';
import { type CommandOf, type StepPlace, argvOf, environmentOf, workspaceName } from './step-place.ts';

/** As timeout(1) ends. */
const timeoutStatus = 124;

export interface StepScope {
  readonly place: StepPlace;
  readonly input: CommandInput;
  readonly commandOf: CommandOf;
}

/** What each step becomes, a line for each command. */
export function describeSteps(file: StepsFile): string {
  return file.steps
    .flatMap((step) => {
      const place = `${step.name} (line ${step.line})`;
      if (step.actions.length === 0) return [`${place}: nothing to do\n`];
      return step.actions.map((action) => `${place}: ${describeAction(action, step, file)}\n`);
    })
    .join('');
}

function describeAction(action: Action, { folder }: Step, { secrets }: StepsFile): string {
  const where = folder === undefined || folder === '.' ? '' : ` in ${join(workspaceName, folder)}`;
  const words = action.kind === 'command' ? ['yadokari', ...action.argv] : [...(action.entrypoint ?? []), ...action.args];
  const shown = words.map((word) => (/^[\w@%+=:,./$-]+$/.test(word) ? word : JSON.stringify(word))).join(' ');
  const what =
    action.kind === 'command'
      ? `${shown}${action.mayFail ? ' (it may fail)' : ''}`
      : `${action.image}: ${
          action.script === undefined
            ? shown || 'its own command'
            : `a script, ${JSON.stringify(
                action.script
                  .trim()
                  .split('\n')
                  .find((line) => !line.startsWith('#!')) ?? '',
              )} and what follows`
        }`;
  return secrets.filter((secret) => secret !== '').reduce((text, secret) => text.replaceAll(secret, '***'), `${what}${where}`);
}

/** Gives the status of the first that failed, or 0. */
export async function runSteps(file: StepsFile, scope: StepScope): Promise<number> {
  const { place, input } = scope;
  const { report, signal } = input;
  const folder = mkdtempSync(join(place.isPod ? dirname(appFolder) : tmpdir(), 'yadokari-steps-'));
  const before = process.cwd();
  using whole = deadline(file.timeoutMs, signal);
  try {
    for (const [position, step] of file.steps.entries()) {
      report.line('info', `step ${step.name} (${position + 1} of ${file.steps.length}, ${basename(file.path)}:${step.line})`);
      const status = await runStep(step, { ...scope, file, folder, signal: whole.signal });
      if (status === 0) continue;
      const left = file.steps.slice(position + 1).map(({ name }) => name);
      const reason = whole.isOver()
        ? `took longer than the timeout of ${(file.timeoutMs ?? 0) / 1000} s for the whole`
        : `failed with status ${status}`;
      report.line(
        'error',
        `error: step ${step.name} (${file.path}:${step.line}) ${reason}${left.length === 0 ? '' : `; not done: ${left.join(', ')}`}`,
      );
      return whole.isOver() ? timeoutStatus : status;
    }
    return 0;
  } finally {
    process.chdir(before);
    rmSync(folder, { recursive: true, force: true });
  }
}

interface RunScope extends StepScope {
  readonly file: StepsFile;
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** 0 where the build goes on. */
async function runStep(step: Step, scope: RunScope): Promise<number> {
  const { report } = scope.input;
  if (step.startDelayMs > 0) await sleep(step.startDelayMs, undefined, { signal: scope.signal });
  for (let round = 0; round <= step.repeats; round++) {
    let status = await tryStep(step, scope);
    for (let left = step.retries; status !== 0 && left > 0 && !isStopped(status, scope); left--) {
      report.line('info', `step ${step.name} failed with status ${status}: ${left} more ${left === 1 ? 'try' : 'tries'}`);
      await sleep(step.retryDelayMs, undefined, { signal: scope.signal });
      status = await tryStep(step, scope);
    }
    if (status === 0) continue;
    const isTolerated =
      !isStopped(status, scope) && (step.tolerates === 'all' || (step.tolerates !== 'none' && step.tolerates.includes(status)));
    if (!isTolerated) return status;
    report.emit({ kind: 'warning', code: 'step-failed', message: `step ${step.name} failed with status ${status}, as it may` });
  }
  return 0;
}

/** A signal that was meant for all may have gone to the command of an image alone, as it is passed on. */
function isStopped(status: number, { signal }: RunScope): boolean {
  return signal.aborted || [129, 130, 131, 143].includes(status);
}

async function tryStep(step: Step, scope: RunScope): Promise<number> {
  const { report } = scope.input;
  using own = deadline(step.timeoutMs, scope.signal);
  for (const action of step.actions) {
    report.line('info', `  ${describeAction(action, step, scope.file)}`);
    const status = await runAction(action, step, { ...scope, signal: own.signal });
    if (own.isOver()) {
      report.line('error', `error: step ${step.name} took longer than its timeout of ${(step.timeoutMs ?? 0) / 1000} s`);
      return timeoutStatus;
    }
    if (status !== 0 && !(action.kind === 'command' && action.mayFail)) return status;
    if (own.signal.aborted) return status === 0 ? timeoutStatus : status;
  }
  return 0;
}

async function runAction(action: Action, step: Step, scope: RunScope): Promise<number> {
  const { place, input, commandOf, signal } = scope;
  try {
    enter(step, place);
    if (action.kind === 'image') return await runImageAction(step, action, scope);
    const argv = argvOf(action, place, { flags: input.flags, commandOf });
    return await input.again({ argv, env: environmentOf(step.env, place) }, { signal });
  } catch (error) {
    for (const line of describeFailure(error, false)) input.report.line('error', line);
    return exitStatusOf(error);
  }
}

/** Words that name files are meant from there. */
function enter({ folder = '.' }: Step, { workspace }: StepPlace): void {
  const path = join(workspace, folder);
  try {
    process.chdir(path);
  } catch (error) {
    throw new BuilderError('ERR_CONTEXT', `Cannot work in ${path}: ${systemReason(error)}`, { cause: error });
  }
}

interface Deadline extends Disposable {
  readonly signal: AbortSignal;
  readonly isOver: () => boolean;
}

/** Ends like a SIGTERM what takes longer. */
function deadline(timeoutMs: number | undefined, signal: AbortSignal): Deadline {
  const controller = new AbortController();
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => controller.abort(new BuilderError('ERR_ABORTED', 'SIGTERM')), timeoutMs);
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    isOver: () => controller.signal.aborted,
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
