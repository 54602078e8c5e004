// A step of a build config, whichever service it was written for.
import { BuilderError } from '../errors.ts';
import { didYouMean } from '../suggest.ts';

/** A command line of our own: `build -t x .`; without a command's name it is kaniko's. */
export interface CommandAction {
  readonly kind: 'command';
  readonly argv: readonly string[];
  /** `|| true` */
  readonly mayFail: boolean;
}

/** A command of an image, in a container of its own. */
export interface ImageAction {
  readonly kind: 'image';
  readonly image: string;
  /** In place of the image's. */
  readonly entrypoint?: readonly string[];
  readonly args: readonly string[];
  /** A file that is run, in place of both. */
  readonly script?: string;
  readonly user?: string;
  /** Ask the registry although the image is there. */
  readonly isPulled?: boolean;
}

/** The volume whose place is `HOME`, where a step has no other. */
export const homeVolume = 'home';

export type Action = CommandAction | ImageAction;

export interface Step {
  /** Its id, or its number from 0 with a # before it. */
  readonly name: string;
  readonly line: number;
  readonly actions: readonly Action[];
  /** Below the workspace, `.` for that itself; undefined for the image's own. */
  readonly folder: string | undefined;
  readonly env: ReadonlyMap<string, string>;
  /** Folders that steps share, by the path where they are seen: their names. */
  readonly volumes: ReadonlyMap<string, string>;
  readonly after: readonly string[];
  readonly timeoutMs?: number;
  /** Which statuses besides 0 let the build go on. */
  readonly tolerates: 'none' | 'all' | readonly number[];
  /** How often it is tried again where it failed. */
  readonly retries: number;
  readonly retryDelayMs: number;
  /** How often it is done again. */
  readonly repeats: number;
  readonly startDelayMs: number;
}

/** What a file asks for, all of it checked. */
export interface StepsFile {
  readonly path: string;
  /** In the order in which they are done. */
  readonly steps: readonly Step[];
  /** Of the whole. */
  readonly timeoutMs?: number;
  /** Values that nobody is to read in a log. */
  readonly secrets: readonly string[];
  /** Fields that change nothing here, each with the reason. */
  readonly inert: ReadonlyMap<string, string>;
}

/** What a step has where nothing is said. */
export const plainStep = {
  env: new Map<string, string>(),
  volumes: new Map<string, string>(),
  after: [],
  tolerates: 'none',
  retries: 0,
  retryDelayMs: 5000,
  repeats: 0,
  startDelayMs: 0,
} as const;

/** Refuses something of a file by its place. */
export type Refuse = (line: number, why: string, hint?: string) => never;

/** @throws ERR_USAGE always: what the file says is wrong, or can't be honoured */
export function refuseIn(path: string): Refuse {
  return (line, why, hint) => {
    throw new BuilderError('ERR_USAGE', `Cannot run ${path}:${line}: ${why}`, { hint });
  };
}

/** Those that are waited for first, else as they are written. */
export function orderSteps(steps: readonly Step[], refuse: Refuse): readonly Step[] {
  const names = steps.map(({ name }) => name);
  for (const [position, { name, line, after }] of steps.entries()) {
    if (names.indexOf(name) < position) refuse(line, `two steps have the id ${name}`);
    const missing = after.find((each) => !names.includes(each));
    if (missing !== undefined) refuse(line, `step ${name} waits for ${missing}, which no step is called`, didYouMean(missing, names));
  }
  const ordered: Step[] = [];
  for (let left = [...steps]; left.length > 0;) {
    const next = left.find(({ after }) => after.every((name) => ordered.some((done) => done.name === name)));
    if (next === undefined) return refuse(left[0]?.line ?? 1, `steps wait for each other: ${left.map(({ name }) => name).join(', ')}`);
    ordered.push(next);
    left = left.filter((step) => step !== next);
  }
  return ordered;
}
