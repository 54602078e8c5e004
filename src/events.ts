// What a build tells while it runs. Rooms below `cli` never write to a terminal: they emit one of these.
import type { Descriptor } from './oci/descriptor.ts';
import type { SourceRange } from './errors.ts';

/** Where a step stands in the whole build; `number` counts from 1 over all stages that are built. */
export interface StepLabel {
  readonly number: number;
  readonly total: number;
  readonly stage: string;
  /** The instruction as written, on one line. */
  readonly text: string;
  readonly dockerfile: string;
  readonly range: SourceRange;
}

export type BuildEvent =
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
  /** `code` tells warnings of one kind apart; `range` points into the Dockerfile where there is a place. */
  | { readonly kind: 'warning'; readonly code: string; readonly message: string; readonly range?: SourceRange }
  | { readonly kind: 'note'; readonly message: string; readonly level: 'debug' | 'info' };

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
