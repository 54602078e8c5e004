// What a command is: its flags, its help, and what it does.
import type { FlagGroup, FlagSpec, ParsedFlags } from './flags.ts';
import type { Report } from '../report/report.ts';
import type { Environment, Settings } from './settings.ts';
import type { Sink } from '../report/sink.ts';
import { BuilderError } from '../errors.ts';

export interface Command {
  /** One word, or more: `build`, `cache list`. */
  readonly name: string;
  /** What comes after the name in `--help`: `[flags] [CONTEXT]`. Other words than flags have a meaning where it names some. */
  readonly usage: string;
  /** What follows the first of those belongs to it, flags and all. */
  readonly endsAtOperand?: true;
  /** What it does, in one line. */
  readonly about: string;
  readonly groups: readonly FlagGroup[];
  /** Taken and not looked at: other commands' flags, so that a command line can be used again with another word before it. */
  readonly accepts?: readonly FlagSpec[];
  /** Says by itself which of its flags change nothing here. */
  readonly tellsAccepted?: true;
  /** The status of a failure, where it is another one than kaniko's; `words` are what follows the command's name. */
  readonly failureStatus?: (error: unknown, words: readonly string[]) => number | undefined;
  /** Other words for it, as other tools have them. */
  readonly aliases?: readonly string[];
  /** Gives the exit status where that is not 0. @throws BuilderError, which is told by the caller */
  readonly run: (input: CommandInput) => Promise<number | void>;
}

/** What buildah and podman end with where they fail themselves, and not a command that they run. */
export const buildahFailure = 125;

/** A command line. */
export interface Invocation {
  /** Without the interpreter and the script. */
  readonly argv: readonly string[];
  readonly env: Environment;
}

/** What every command gets from the command line. */
export interface CommandInput {
  readonly settings: Settings;
  readonly positionals: readonly string[];
  readonly flags: ParsedFlags['values'];
  readonly env: Environment;
  readonly report: Report;
  readonly stdout: Sink;
  /** Somebody sits in front of it. */
  readonly hasTerminal: boolean;
  readonly signal: AbortSignal;
  /** Runs another command line with the same streams, but for those that are named; never throws. */
  readonly again: (invocation: Invocation, other?: { readonly signal?: AbortSignal; readonly stdout?: Sink }) => Promise<number>;
}

/** The operand of a command that takes one. @throws ERR_USAGE: `Cannot pull: 2 images are named, and one is needed` */
export function onlyOperand(positionals: readonly string[], task: string, what: string, hint?: string): string {
  const [only, ...others] = positionals;
  if (only !== undefined && others.length === 0) return only;
  throw new BuilderError('ERR_USAGE', `Cannot ${task}: ${positionals.length} ${what} are named, and one is needed`, { hint });
}

/** The flags that a command has for itself. */
export function listedFlags({ groups }: Command): readonly FlagSpec[] {
  return groups.flatMap(({ flags }) => flags);
}

/** All that it takes, those first. */
export function flagsOf(command: Command): readonly FlagSpec[] {
  const { accepts = [] } = command;
  const listed = listedFlags(command);
  return [...listed, ...accepts.filter(({ name }) => !listed.some((each) => each.name === name))];
}
