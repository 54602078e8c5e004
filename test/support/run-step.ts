// Executes one RUN in a test root and gives what came of it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesFromText } from '../../src/bytes.ts';
import type { Command, Flag, RunInstruction } from '../../src/dockerfile/instruction.ts';
import type { Effect, StageState } from '../../src/build/effect.ts';
import { type RunScope, executeRun } from '../../src/build/instructions/run.ts';
import type { BuildEvent } from '../../src/events.ts';
import { StageBench } from './stage-bench.ts';
import { type ShellRoot, shellAccounts } from './shell-root.ts';
import { stepLabel } from './step-label.ts';

const range = { start: { line: 3, column: 1 }, end: { line: 3, column: 9 } };

export interface Ran {
  readonly effect: Effect | undefined;
  readonly error: unknown;
  readonly lines: readonly string[];
  readonly events: readonly BuildEvent[];
}

/** A flag as the parser gives it. */
export function flag(name: string, value: string): Flag {
  return { name, value, range };
}

/** A RUN in shell form, or any other command. */
export function runInstruction(command: string | Command, mounts: readonly string[] = []): RunInstruction {
  const parsed: Command = typeof command === 'string' ? { form: 'shell', text: command, heredocs: [] } : command;
  const text = `RUN ${parsed.form === 'shell' ? parsed.text : JSON.stringify(parsed.argv)}`;
  return { kind: 'run', mounts: mounts.map((value) => flag('mount', value)), devices: [], command: parsed, text, range };
}

/** The state of a stage right after FROM scratch, with `changes`. */
export function stageState(changes: Partial<StageState> = {}, config: Partial<StageState['config']> = {}): StageState {
  return {
    config: { env: [], labels: new Map(), unknown: new Map(), ...config },
    args: new Map(),
    environment: new Map([['PATH', '/bin']]),
    hasCmd: false,
    ...changes,
  };
}

/** Executes `instruction` in a root where the paths `protect` are not the image's; failures are part of the answer. */
export async function runStep(
  root: ShellRoot,
  instruction: RunInstruction,
  state: StageState,
  changes: Partial<RunScope> = {},
  protect: readonly string[] = [],
): Promise<Ran> {
  const lines: string[] = [];
  const events: BuildEvent[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'yadokari-step-'));
  await using bench = new StageBench(folder, { root: root.path, protect });
  const scope: RunScope = {
    files: bench.stage([await bench.layer('accounts', shellAccounts)]),
    step: stepLabel({ stage: 'test', text: instruction.text, range }),
    platform: { os: 'linux', architecture: 'amd64' },
    emit: (event) => {
      events.push(event);
      if (event.kind === 'output') lines.push(event.line);
    },
    signal: new AbortController().signal,
    network: 'default',
    launch: root.launcher.launch,
    proxies: new Map(),
    expand: (word) => word,
    mounts: {
      tree: () => Promise.reject(new Error('no tree')),
      secret: () => undefined,
      ssh: () => undefined,
      cacheFolder: bytesFromText(join(root.path, 'caches')),
    },
    ...changes,
  };
  try {
    return { effect: await executeRun(instruction, state, scope), error: undefined, lines, events };
  } catch (error) {
    return { effect: undefined, error, lines, events };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
