// One stage, from its base to its last instruction.
import { hideCredentials } from '../context/source-word.ts';
import type { Dockerfile, Instruction } from '../dockerfile/instruction.ts';
import { parseOnbuild } from '../dockerfile/parse.ts';
import { BuilderError, type SourceRange } from '../errors.ts';
import type { BuildEvent, Emit, StepLabel } from '../events.ts';
import { appendHistory, appendLayer, type Image } from '../oci/image.ts';
import type { HistoryEntry } from '../oci/image-config.ts';
import type { StageFiles, TakenLayer } from '../rootfs/stage-files.ts';
import type { Effect, StageState } from './effect.ts';

/** How a stage begins. */
export interface StageStart {
  readonly image: Image;
  readonly name: string;
  readonly baseName: string;
  readonly instructions: readonly Instruction[];
  /** Where the FROM stands, for the base's ONBUILD triggers. */
  readonly from: SourceRange;
  /** The base stands for the whole stage: its triggers are not run. */
  readonly isFinished?: boolean;
  /** State of the stage that this one is FROM: its ARGs are known here too. */
  readonly inherited?: StageState;
}

export interface StageRun {
  readonly dockerfile: Dockerfile;
  readonly execute: (instruction: Instruction, state: StageState, step: StepLabel, escape: '\\' | '`') => Promise<Effect>;
  readonly files: StageFiles;
  /** Number of the next step, and how many there are in all. */
  readonly numbers: { next: () => number; readonly total: number };
  /** RFC 3339, for history entries. */
  readonly created: () => string;
  /** All changes become one layer at the end. */
  readonly isSingleSnapshot: boolean;
  readonly secrets: ReadonlyMap<string, Buffer>;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export interface StageResult {
  readonly image: Image;
  readonly state: StageState;
  readonly files: StageFiles;
}

/** Executes the base's triggers and the stage's instructions in order. @throws what an instruction throws */
export async function buildStage(start: StageStart, run: StageRun): Promise<StageResult> {
  const { onBuild = [], ...config } = start.image.config.config;
  // A trigger does not carry its Dockerfile's directives: its escape character is always a backslash.
  const triggers = (start.isFinished === true ? [] : onBuild).map((expression) => ({
    instruction: parseOnbuild(expression, start.from),
    escape: '\\' as const,
  }));
  const own = start.instructions.map((instruction) => ({ instruction, escape: run.dockerfile.escape }));
  let image: Image = { ...start.image, config: { ...start.image.config, config } };
  let state = initialState(image, start.inherited);
  const started = performance.now();
  run.emit({ kind: 'stage.started', stage: start.name, base: start.baseName });
  const single: SingleLayer | undefined = run.isSingleSnapshot ? { steps: [], readers: new Map() } : undefined;
  if (run.isSingleSnapshot) await run.files.beginSingleLayer();
  for (const { instruction, escape } of [...triggers, ...own]) {
    run.signal.throwIfAborted();
    const step = labelOf(instruction, start.name, run);
    const stepStarted = performance.now();
    run.emit({ kind: 'step.started', step });
    if (instruction.kind === 'run') await run.files.prepareRun();
    const effect = await run.execute(instruction, state, step, escape);
    state = effect.state;
    const history = effect.history === undefined ? undefined : historyOf(effect, run);
    let layer: { readonly entries: number; readonly sizeBytes: number } | undefined;
    const written = await takeLayer(effect, run);
    if (single !== undefined) {
      single.steps.push({ history, changedFiles: written !== undefined });
      for (const id of effect.secretIds ?? []) if (!single.readers.has(id)) single.readers.set(id, instruction.range);
    } else if (written === undefined) {
      if (history !== undefined) image = appendHistory(image, history);
    } else {
      for (const id of written.leakedSecrets) run.emit(leakWarning(id, "this step's layer", instruction.range));
      layer = { entries: written.entries, sizeBytes: written.layer.descriptor.size };
      image = appendLayer(image, written.layer, history ?? {});
    }
    run.emit({ kind: 'step.finished', step, durationMs: performance.now() - stepStarted, ...(layer === undefined ? {} : { layer }) });
  }
  if (single !== undefined) image = await appendSingleLayer(image, single, run);
  run.emit({ kind: 'stage.finished', stage: start.name, durationMs: performance.now() - started });
  return { image: { ...image, config: { ...image.config, config: state.config, ...authorOf(state) } }, state, files: run.files };
}

/** The layer of what the instruction did to the files; undefined where it makes none. */
async function takeLayer({ touched, secretIds = [] }: Effect, { files, ...run }: StageRun): Promise<TakenLayer | undefined> {
  if (touched.kind === 'nothing') return undefined;
  if (touched.kind === 'drafted') return { ...(await files.write(touched.draft)), leakedSecrets: [] };
  const { except = [], unchanged = [] } = touched;
  return await files.takeRun({ except, unchanged }, secretsOf(secretIds, run));
}

/** What a stage knows before its first instruction. */
export function initialState(image: Image, inherited?: StageState): StageState {
  const { config } = image.config;
  if (inherited !== undefined) return { ...inherited, config, hasCmd: false };
  const environment = new Map<string, string>();
  for (const item of config.env) {
    const equals = item.indexOf('=');
    // An image may hold `NAME` without a value: nothing of ours may be taken for it.
    if (equals > 0) environment.set(item.slice(0, equals), item.slice(equals + 1));
  }
  return {
    config,
    ...(image.config.author === undefined ? {} : { author: image.config.author }),
    args: new Map(),
    environment,
    hasCmd: false,
  };
}

/** What is known of the steps whose changes become one layer. */
interface SingleLayer {
  readonly steps: { readonly history: HistoryEntry | undefined; readonly changedFiles: boolean }[];
  /** The first step that could read a secret, by the secret's id. */
  readonly readers: Map<string, SourceRange>;
}

/** The image with the history of all steps in their order, and the layer where the last one stands that changed files. */
async function appendSingleLayer(image: Image, { steps, readers }: SingleLayer, run: StageRun): Promise<Image> {
  const last = steps.findLastIndex((step) => step.changedFiles);
  const written = last === -1 ? undefined : await run.files.takeSingleLayer(secretsOf([...readers.keys()], run));
  for (const id of written?.leakedSecrets ?? []) {
    const range = readers.get(id);
    if (range !== undefined) run.emit(leakWarning(id, 'the one layer of this stage', range));
  }
  return steps.reduce((before, { history }, index) => {
    if (index === last && written !== undefined) return appendLayer(before, written.layer, history ?? {});
    return history === undefined ? before : appendHistory(before, history);
  }, image);
}

function secretsOf(ids: readonly string[], run: Pick<StageRun, 'secrets'>): ReadonlyMap<string, Buffer> {
  return new Map(
    ids.flatMap((id) => {
      const bytes = run.secrets.get(id);
      return bytes === undefined ? [] : [[id, bytes]];
    }),
  );
}

function leakWarning(id: string, layer: string, range: SourceRange): BuildEvent {
  const message = `the secret ${id} is in a file of ${layer}: whoever can pull the image can read it`;
  return { kind: 'warning', code: `secret-in-layer ${id} ${range.start.line}`, message, range };
}

function historyOf(effect: Effect, run: StageRun): HistoryEntry {
  return { created: run.created(), ...effect.history, comment: 'buildkit.dockerfile.v0' };
}

function labelOf(instruction: Instruction, stage: string, run: StageRun): StepLabel {
  const number = run.numbers.next();
  if (number > run.numbers.total) throw new BuilderError('ERR_INTERNAL', 'Cannot number the steps: there are more than were planned');
  return {
    number,
    total: run.numbers.total,
    stage,
    text: hideCredentials(instruction.text),
    dockerfile: run.dockerfile.name,
    range: instruction.range,
  };
}

function authorOf(state: StageState): { readonly author?: string } {
  return state.author === undefined ? {} : { author: state.author };
}
