// What a build tells while it runs. Rooms below `cli` never write to a terminal: they emit one of these.
import type { Descriptor } from './oci/descriptor.ts';
import type { SourceRange } from './errors.ts';

/** Where a step stands: `number` counts from 1 in its stage, `overall` over all stages that are built. */
export interface StepLabel {
  readonly number: number;
  readonly total: number;
  readonly overall: { readonly number: number; readonly total: number };
  readonly stage: string;
  /** `run`, `copy`, ... */
  readonly instruction: string;
  /** The instruction as written, on one line. */
  readonly text: string;
  readonly dockerfile: string;
  readonly range: SourceRange;
}

export type BuildEvent =
  | {
      readonly kind: 'build.started';
      /** The Dockerfile's name, and its text without credentials. */
      readonly dockerfile: string;
      readonly text: string;
      readonly platform: string;
      readonly destinations: readonly string[];
    }
  | { readonly kind: 'build.finished'; readonly durationMs: number; readonly digest?: string; readonly failure?: string }
  /** A name of an image → what it stands for. */
  | { readonly kind: 'image.resolved'; readonly name: string; readonly digest: string; readonly layers: number; readonly sizeBytes: number }
  | { readonly kind: 'phase'; readonly phase: Phase; readonly detail?: string }
  | { readonly kind: 'stage.started'; readonly stage: string; readonly base: string }
  | { readonly kind: 'stage.finished'; readonly stage: string; readonly durationMs: number }
  | { readonly kind: 'step.started'; readonly step: StepLabel }
  | {
      readonly kind: 'step.finished';
      readonly step: StepLabel;
      readonly durationMs: number;
      /** Undefined where the step makes no layer. */
      readonly layer?: { readonly entries: number; readonly sizeBytes: number };
      /** The step was not executed: a cache had its layer. */
      readonly recalled?: { readonly sizeBytes: number };
    }
  | { readonly kind: 'output'; readonly step: StepLabel; readonly stream: 'stdout' | 'stderr'; readonly line: string }
  | {
      readonly kind: 'blob.progress';
      readonly direction: 'pull' | 'push';
      readonly descriptor: Descriptor;
      readonly repository: string;
      readonly doneBytes: number;
    }
  | {
      readonly kind: 'blob.finished';
      readonly direction: 'pull' | 'push';
      readonly descriptor: Descriptor;
      readonly repository: string;
      readonly how: 'transferred' | 'exists' | 'mounted';
    }
  | { readonly kind: 'unpack.finished'; readonly entries: number; readonly durationMs: number }
  | { readonly kind: 'snapshot.finished'; readonly scanned: number; readonly changed: number; readonly durationMs: number }
  | { readonly kind: 'image.written'; readonly destination: string; readonly digest: string; readonly sizeBytes: number }
  /** Of the whole container: processor time since the build began, and memory now. Only for files that tell of a build. */
  | { readonly kind: 'sample'; readonly cpuMs: number; readonly memoryBytes: number }
  /** Nothing was told for a while: what goes on, and for how long. */
  | { readonly kind: 'heartbeat'; readonly doing: string; readonly sinceMs: number }
  /** `code` tells warnings of one kind apart; `range` points into the Dockerfile where there is a place. */
  | { readonly kind: 'warning'; readonly code: string; readonly message: string; readonly range?: SourceRange }
  /** `step` is the one that it is about: what it says may come before the step's own line. */
  | { readonly kind: 'note'; readonly message: string; readonly level: 'debug' | 'info'; readonly step?: StepLabel };

/** What the builder is doing, for the line that a signal leaves; `building` is told by a step that begins or goes on. */
export type Phase =
  | 'starting'
  | 'checking'
  | 'pulling'
  | 'unpacking'
  | 'building'
  | 'running'
  | 'snapshotting'
  | 'pushing'
  | 'writing'
  | 'finished';

export type Emit = (event: BuildEvent) => void;
