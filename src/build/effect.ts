// What an instruction does to the image, and what it may have touched on disk.
import type { ByteString } from '../bytes.ts';
import type { HistoryEntry } from '../oci/image-config.ts';
import type { Platform } from '../oci/platform.ts';
import type { Emit, StepLabel } from '../events.ts';
import { type RunConfig } from '../oci/run-config.ts';
import type { StageFiles } from '../rootfs/stage-files.ts';
import type { TreeDraft } from '../rootfs/tree-draft.ts';

/** Everything that changes while a stage is built, apart from its layers. Replaced, never mutated. */
export interface StageState {
  readonly config: RunConfig;
  readonly author?: string;
  /** ARGs declared in this stage, in order of declaration: name → value, undefined for declared but unset. */
  readonly args: ReadonlyMap<string, string | undefined>;
  /**
   * What words expand from and what RUN gets: ENV and ARG in one list, the last declaration wins. ENV values of the base are in it.
   */
  readonly environment: ReadonlyMap<string, string>;
  /** A CMD or ENTRYPOINT stood in this very stage (ENTRYPOINT forgets an inherited CMD). */
  readonly hasCmd: boolean;
}

/** What an instruction did to the files of its stage. */
type Touched =
  | { readonly kind: 'nothing' }
  /**
   * Whatever a command changed on the disk. `except` are paths there, with all below, that only the builder itself changed (the
   * targets of mounts); `unchanged` are folders that it put back as they were.
   */
  | { readonly kind: 'anything'; readonly except?: readonly ByteString[]; readonly unchanged?: readonly ByteString[] }
  | { readonly kind: 'drafted'; readonly draft: TreeDraft };

export interface Effect {
  readonly state: StageState;
  /** `nothing` means no layer; the others always make one, even an empty one. */
  readonly touched: Touched;
  /** `created_by` as BuildKit words it; undefined where the instruction leaves no history (ONBUILD). */
  readonly history?: Pick<HistoryEntry, 'createdBy'>;
  /** Ids of secrets that the step could read, and that had better not be in its layer. */
  readonly secretIds?: readonly string[];
}

/** What every instruction gets besides itself and the state. */
export interface StepScope {
  readonly files: StageFiles;
  readonly step: StepLabel;
  readonly platform: Platform;
  /** Seconds since 1970, from SOURCE_DATE_EPOCH. */
  readonly sourceDateEpoch?: number;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}
