// What a Dockerfile says, after parsing and before expansion: words are still as written (quotes, escapes, variables).
import type { SourceRange } from '../errors.ts';

/** `<<EOT`: its name, its body (terminator excluded, tabs already stripped for `<<-`), and whether variables expand. */
export interface Heredoc {
  readonly name: string;
  readonly body: string;
  readonly expand: boolean;
  /** `<<-` was written; kept to write the instruction out again (ONBUILD). */
  readonly chomp: boolean;
}

interface Common {
  /** From the keyword to the last character, heredoc bodies included. */
  readonly range: SourceRange;
  /** The instruction on one line, as people recognise it: continuation joined, no heredoc bodies. */
  readonly text: string;
  /** What only the build checks ask for; the parser always sets it. */
  readonly notes?: SourceNotes;
}

/** How an instruction was written, where that changes nothing about what it does. */
export interface SourceNotes {
  /** In the case it was written. */
  readonly keyword: string;
  /** The comment lines right above, without `#` and outer blanks. */
  readonly comments: readonly string[];
  readonly hasEmptyContinuation: boolean;
}

/** A command in shell form (one string for SHELL) or exec form (a JSON array). */
export type Command =
  | { readonly form: 'shell'; readonly text: string; readonly heredocs: readonly Heredoc[] }
  | { readonly form: 'exec'; readonly argv: readonly string[] };

/** One flag as written: `--name=value`; `value` undefined for a bare `--name`. Quotes and escapes are already processed. */
export interface Flag {
  readonly name: string;
  readonly value: string | undefined;
  readonly range: SourceRange;
}

/** A source of COPY or ADD: a word, or a heredoc that becomes a file. */
export type CopySource =
  | { readonly kind: 'word'; readonly word: string; readonly range: SourceRange }
  | { readonly kind: 'heredoc'; readonly heredoc: Heredoc };

export interface FromInstruction extends Common {
  readonly kind: 'from';
  readonly image: string;
  readonly platform?: string;
  /** As written; stages are found by its lower case. */
  readonly name?: string;
  /** `AS` in the case it was written. */
  readonly asKeyword?: string;
  /** Where `image` stands. */
  readonly imageRange?: SourceRange;
}
export interface ArgInstruction extends Common {
  readonly kind: 'arg';
  readonly args: readonly { readonly name: string; readonly value?: string }[];
}
export interface EnvInstruction extends Common {
  readonly kind: 'env';
  readonly pairs: readonly { readonly key: string; readonly value: string }[];
  /** Written `KEY value` instead of `KEY=value`. */
  readonly isLegacy?: boolean;
}
export interface LabelInstruction extends Common {
  readonly kind: 'label';
  readonly pairs: readonly { readonly key: string; readonly value: string }[];
  /** Written `KEY value` instead of `KEY=value`. */
  readonly isLegacy?: boolean;
}
export interface RunInstruction extends Common {
  readonly kind: 'run';
  /** Values of `--mount`, in order, unexpanded: `build/instructions/mount.ts` reads them. */
  readonly mounts: readonly Flag[];
  readonly network?: 'default' | 'none' | 'host';
  readonly security?: 'sandbox' | 'insecure';
  readonly devices: readonly Flag[];
  readonly command: Command;
}
export interface CopyInstruction extends Common {
  readonly kind: 'copy' | 'add';
  readonly sources: readonly CopySource[];
  readonly destination: string;
  readonly from?: Flag;
  readonly chown?: Flag;
  readonly chmod?: Flag;
  readonly link: boolean;
  readonly parents: boolean;
  readonly excludes: readonly Flag[];
  /** ADD only. */
  readonly keepGitDir: boolean;
  readonly checksum?: Flag;
  readonly unpack?: boolean;
}
export interface CommandInstruction extends Common {
  readonly kind: 'cmd' | 'entrypoint';
  /** Undefined command words: `CMD []` is the exec form with no argument. */
  readonly command: Command;
}
export interface HealthcheckInstruction extends Common {
  readonly kind: 'healthcheck';
  readonly test: { readonly kind: 'none' } | { readonly kind: 'command'; readonly command: Command };
  /** Whole nanoseconds; absent where not given. */
  readonly intervalNs?: number;
  readonly timeoutNs?: number;
  readonly startPeriodNs?: number;
  readonly startIntervalNs?: number;
  readonly retries?: number;
}
export interface WordInstruction extends Common {
  readonly kind: 'user' | 'workdir' | 'stopsignal' | 'maintainer';
  /** The rest of the line, as written. */
  readonly word: string;
}
export interface WordsInstruction extends Common {
  readonly kind: 'expose' | 'volume';
  readonly words: readonly string[];
}
export interface ShellInstruction extends Common {
  readonly kind: 'shell';
  readonly argv: readonly string[];
}
export interface OnbuildInstruction extends Common {
  readonly kind: 'onbuild';
  /** What the config's OnBuild stores: the text of the inner instruction, heredoc bodies included. */
  readonly expression: string;
}

export type Instruction =
  | ArgInstruction
  | EnvInstruction
  | LabelInstruction
  | RunInstruction
  | CopyInstruction
  | CommandInstruction
  | HealthcheckInstruction
  | WordInstruction
  | WordsInstruction
  | ShellInstruction
  | OnbuildInstruction;

export interface Stage {
  /** 0-based position in the file. */
  readonly index: number;
  readonly from: FromInstruction;
  /** Lower case; undefined for an unnamed stage. */
  readonly name?: string;
  readonly instructions: readonly Instruction[];
}

/** A parsed Dockerfile. */
export interface Dockerfile {
  /** As the user named it, for messages: `Dockerfile`, `docker/app.Dockerfile`, `-`. */
  readonly name: string;
  readonly text: string;
  readonly escape: '\\' | '`';
  /** Value of `# syntax=`, which is accepted and not pulled. */
  readonly syntax?: string;
  /** Value of `# check=`. */
  readonly check?: string;
  /** ARGs before the first FROM. */
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
}
