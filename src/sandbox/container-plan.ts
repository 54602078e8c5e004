// A command in a working container's root, as a value: the launcher makes a plan, and the first process inside carries it out.
import type { UserIds } from '../linux/accounts.ts';
import type { GroupDoor } from '../linux/control-groups.ts';

/** Something of the host that the command sees: both are absolute, `target` on the host too, below the root and free of links. */
export interface ContainerMount {
  readonly source: string;
  readonly target: string;
  readonly mode: 'ro' | 'rw';
}

/** A new file system in memory at `target`, which is as in `ContainerMount`. */
export interface ContainerMemory {
  readonly target: string;
  /** Options of tmpfs(5), with commas. */
  readonly options: string;
}

/** Everything the first process inside needs, as JSON. */
export interface ContainerPlan {
  /** Host path of the folder that becomes `/`. */
  readonly rootFolder: string;
  /** Host paths of the folders for them; left out where the image has none and none could be made. */
  readonly system: { readonly proc: string; readonly sys: string; readonly dev: string };
  /** In this order: a later one may lie in an earlier one. */
  readonly mounts: readonly ContainerMount[];
  readonly memory: readonly ContainerMemory[];
  readonly hostName: string;
  /** A network namespace of its own, where nobody but itself can be reached. */
  readonly isOffline: boolean;
  /** Group of terminals; undefined where that id is not mapped. */
  readonly terminalGroup?: number;
  /** Capabilities that root keeps inside, by number. */
  readonly capabilities: readonly number[];
  readonly argv: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly cwd: string;
  readonly user: UserIds;
  /** Control groups that the command is put into. */
  readonly controlGroups: readonly GroupDoor[];
}

/** Descriptors of the first process inside: the plan and then signals come in by one, a line each; what became of it goes out by the other. */
export const orderDescriptor = 3;
export const outcomeDescriptor = 4;

/** What goes out, once the command runs or can't. `exitCode` is the shell's for a command that can't be executed. */
export type StartOutcome =
  | { readonly kind: 'started'; readonly lacksGroups: boolean }
  | { readonly kind: 'refused'; readonly exitCode: number; readonly reason: string }
  | { readonly kind: 'failed'; readonly message: string };
