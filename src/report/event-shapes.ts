// What each event is as JSON: the table that what is written, what is read back, and the published schema are made from.
// It is typed by the events themselves: who changes one of them and not the other gets no build.
import type { SourceRange } from '../errors.ts';
import type { BuildEvent, FolderSize, HiddenFiles, Phase, StepLabel } from '../events.ts';

type Plain = 'text' | 'number' | 'digest';
export type Shape =
  | Plain
  | { readonly oneOf: Readonly<Record<string, true>> }
  | { readonly list: Shape }
  | { readonly object: Readonly<Record<string, Shape | Optional>> };
export interface Optional {
  readonly maybe: Shape;
}

type Descriptor = Extract<BuildEvent, { readonly kind: 'blob.progress' }>['descriptor'];
type Digest = Descriptor['digest'];

/** The shape of a type. A descriptor is written without what only a manifest needs. */
type ShapeOf<T> = [T] extends [Digest]
  ? 'digest'
  : [T] extends [string]
    ? string extends T
      ? 'text'
      : { readonly oneOf: Readonly<Record<T, true>> }
    : [T] extends [number]
      ? 'number'
      : [T] extends [readonly (infer Item)[]]
        ? { readonly list: ShapeOf<Item> }
        : { readonly object: FieldsOf<T extends Descriptor ? Pick<T, 'mediaType' | 'digest' | 'size'> : T> };
type FieldsOf<T> = {
  readonly [Key in keyof T]-?: undefined extends T[Key] ? { readonly maybe: ShapeOf<NonNullable<T[Key]>> } : ShapeOf<T[Key]>;
};
type EventOf<Kind> = Omit<Extract<BuildEvent, { readonly kind: Kind }>, 'kind'>;

const place = { object: { line: 'number', column: 'number' } } as const;
const range: ShapeOf<SourceRange> = { object: { start: place, end: place } };
const step: ShapeOf<StepLabel> = {
  object: {
    number: 'number',
    total: 'number',
    overall: { object: { number: 'number', total: 'number' } },
    stage: 'text',
    instruction: 'text',
    text: 'text',
    dockerfile: 'text',
    range,
  },
};
const phase: ShapeOf<Phase> = {
  oneOf: {
    starting: true,
    checking: true,
    pulling: true,
    unpacking: true,
    building: true,
    running: true,
    snapshotting: true,
    pushing: true,
    writing: true,
    finished: true,
  },
};
const folders: ShapeOf<readonly FolderSize[]> = { list: { object: { path: 'text', bytes: 'number', files: 'number' } } };
const hidden: ShapeOf<HiddenFiles> = {
  object: {
    layer: 'number',
    how: { oneOf: { removed: true, replaced: true, again: true } },
    bytes: 'number',
    files: 'number',
    places: folders,
  },
};
const blob = {
  direction: { oneOf: { pull: true, push: true } },
  descriptor: { object: { mediaType: 'text', digest: 'digest', size: 'number' } },
  repository: 'text',
} as const;

/** Every kind of event, without its `kind`. */
export const eventShapes: { readonly [Kind in BuildEvent['kind']]: FieldsOf<EventOf<Kind>> } = {
  'build.started': { dockerfile: 'text', text: 'text', platform: 'text', destinations: { list: 'text' } },
  'build.finished': {
    durationMs: 'number',
    digest: { maybe: 'text' },
    failure: { maybe: 'text' },
    savedMs: { maybe: 'number' },
    peakMemoryBytes: { maybe: 'number' },
  },
  'image.resolved': { name: 'text', digest: 'text', layers: 'number', sizeBytes: 'number' },
  phase: { phase, detail: { maybe: 'text' } },
  'stage.started': { stage: 'text', base: 'text' },
  'stage.finished': { stage: 'text', durationMs: 'number' },
  'step.started': { step },
  'step.finished': {
    step,
    durationMs: 'number',
    layer: { maybe: { object: { entries: 'number', sizeBytes: 'number', digest: 'digest' } } },
    recalled: { maybe: { object: { sizeBytes: 'number', digest: 'digest', savedMs: { maybe: 'number' } } } },
  },
  output: { step, stream: { oneOf: { stdout: true, stderr: true } }, line: 'text' },
  'blob.progress': { ...blob, doneBytes: 'number' },
  'blob.finished': { ...blob, how: { oneOf: { transferred: true, exists: true, mounted: true } } },
  'unpack.finished': { entries: 'number', durationMs: 'number' },
  'snapshot.finished': { scanned: 'number', changed: 'number', durationMs: 'number' },
  'image.written': { destination: 'text', digest: 'text', sizeBytes: 'number' },
  plan: { message: 'text' },
  'image.contents': {
    platform: 'text',
    baseLayers: 'number',
    storedBytes: 'number',
    idealBytes: 'number',
    layers: {
      list: {
        object: {
          digest: 'digest',
          sizeBytes: 'number',
          createdBy: 'text',
          contents: { maybe: { object: { files: 'number', bytes: 'number', folders, hidden: { list: hidden } } } },
        },
      },
    },
  },
  sample: { cpuMs: 'number', memoryBytes: 'number' },
  heartbeat: { doing: 'text', sinceMs: 'number' },
  warning: { code: 'text', message: 'text', range: { maybe: range } },
  note: { message: 'text', level: { oneOf: { debug: true, info: true } }, step: { maybe: step } },
};
