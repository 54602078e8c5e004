// What a build tells while it runs. Rooms below `cli` never write to a terminal: they emit one of these.
import type { Descriptor } from './oci/descriptor.ts';
import type { Digest } from './oci/digest.ts';
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

/** A folder with all that is in it, or a file. Paths of folders end with a slash; no path begins with one. */
export interface FolderSize {
  readonly path: string;
  /** Of plain content. */
  readonly bytes: number;
  readonly files: number;
}

/** Content of a layer that one above it hides. */
export interface HiddenFiles {
  /** Whose content, counted from 0. */
  readonly layer: number;
  /** `again`: the same path has content of the same size in the layer above. */
  readonly how: 'removed' | 'replaced' | 'again';
  readonly bytes: number;
  readonly files: number;
  /** The largest of them. */
  readonly places: readonly FolderSize[];
}

export interface LayerContents {
  readonly files: number;
  readonly bytes: number;
  /** The largest, each right before what is in it. */
  readonly folders: readonly FolderSize[];
  readonly hidden: readonly HiddenFiles[];
}

/** An image's layers, the lowest first. */
export interface ImageContents {
  /** How many of the layers are the base image's. */
  readonly baseLayers: number;
  /** Content of all layers, with what was removed counted once more; and what would do, were each path only stored once. */
  readonly storedBytes: number;
  readonly idealBytes: number;
  readonly layers: readonly {
    readonly digest: Digest;
    /** As it is pushed. */
    readonly sizeBytes: number;
    /** As in the image's history. */
    readonly createdBy: string;
    /** Undefined for a layer that nobody has read here. */
    readonly contents?: LayerContents;
  }[];
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
  | {
      readonly kind: 'build.finished';
      readonly durationMs: number;
      readonly digest?: string;
      readonly failure?: string;
      /** How long the steps took that a cache had, as far as that is known. */
      readonly savedMs?: number;
      /** The most memory that the container had at once, without what the kernel could drop; looked at each second. */
      readonly peakMemoryBytes?: number;
    }
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
      readonly layer?: { readonly entries: number; readonly sizeBytes: number; readonly digest: Digest };
      /** The step was not executed: a cache had its layer. `savedMs` is how long it took when it was. */
      readonly recalled?: { readonly sizeBytes: number; readonly digest: Digest; readonly savedMs?: number };
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
  /** A line of what a build would do. */
  | { readonly kind: 'plan'; readonly message: string }
  /** What is in the image that was built. Only for files that tell of a build. */
  | ({ readonly kind: 'image.contents'; readonly platform: string } & ImageContents)
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
