// One stage, from its base to its last instruction.
import { hideCredentials } from '../context/place.ts';
import type { Dockerfile, Instruction } from '../dockerfile/instruction.ts';
import { parseOnbuild } from '../dockerfile/parse.ts';
import { BuilderError, type SourceRange } from '../errors.ts';
import type { BuildEvent, Emit, StepLabel } from '../events.ts';
import { appendHistory, appendLayer, type Image } from '../oci/image.ts';
import type { HistoryEntry } from '../oci/image-config.ts';
import type { Effect, StageState } from './effect.ts';
import type { Snapshots } from './snapshot.ts';

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
  readonly snapshots: Snapshots;
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
  /** No instruction may have changed a file. */
  readonly isUntouched: boolean;
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
  let isUntouched = true;
  const started = performance.now();
  run.emit({ kind: 'stage.started', stage: start.name, base: start.baseName });
  const pending: HistoryEntry[] = [];
  if (run.isSingleSnapshot) await run.snapshots.prepare();
  for (const { instruction, escape } of [...triggers, ...own]) {
    run.signal.throwIfAborted();
    const step = labelOf(instruction, start.name, run);
    const stepStarted = performance.now();
    run.emit({ kind: 'step.started', step });
    if (instruction.kind === 'run') await run.snapshots.prepare();
    const effect = await run.execute(instruction, state, step, escape);
    state = effect.state;
    if (effect.touched.kind !== 'nothing') isUntouched = false;
    const history = effect.history === undefined ? undefined : historyOf(effect, run);
    let layer: { readonly entries: number; readonly sizeBytes: number } | undefined;
    if (effect.touched.kind === 'nothing') {
      if (history !== undefined) image = appendHistory(image, history);
    } else if (run.isSingleSnapshot) {
      if (history !== undefined) pending.push(history);
    } else {
      const written = await run.snapshots.take(effect.touched, new Map((effect.secretIds ?? []).flatMap((id) => lookUp(run.secrets, id))));
      for (const id of written.leakedSecrets) run.emit(leakWarning(id, instruction.range));
      layer = { entries: written.entries, sizeBytes: written.layer.descriptor.size };
      image = appendLayer(image, written.layer, history ?? {});
    }
    run.emit({ kind: 'step.finished', step, durationMs: performance.now() - stepStarted, ...(layer === undefined ? {} : { layer }) });
  }
  image = await finishSingleSnapshot(image, pending, run);
  run.emit({ kind: 'stage.finished', stage: start.name, durationMs: performance.now() - started });
  return { image: { ...image, config: { ...image.config, config: state.config, ...authorOf(state) } }, state, isUntouched };
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

async function finishSingleSnapshot(image: Image, pending: readonly HistoryEntry[], run: StageRun): Promise<Image> {
  const last = pending.at(-1);
  if (last === undefined) return image;
  const written = await run.snapshots.take({ kind: 'anything' });
  const before = pending.slice(0, -1).reduce(appendHistory, image);
  return appendLayer(before, written.layer, last);
}

function lookUp(secrets: ReadonlyMap<string, Buffer>, id: string): readonly (readonly [string, Buffer])[] {
  const bytes = secrets.get(id);
  return bytes === undefined ? [] : [[id, bytes]];
}

function leakWarning(id: string, range: SourceRange): BuildEvent {
  const message = `the secret ${id} is in a file of this step's layer: whoever can pull the image can read it`;
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
