// One stage, from its base to its last instruction.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Dockerfile, Instruction, RunInstruction } from '../dockerfile/instruction.ts';
import { parseOnbuild } from '../dockerfile/parse.ts';
import { BuilderError, hideCredentials, type SourceRange } from '../errors.ts';
import type { BuildEvent, Emit, StepLabel } from '../events.ts';
import { given } from '../given.ts';
import { appendHistory, appendLayer, type Image, type Layer } from '../oci/image.ts';
import type { HistoryEntry } from '../oci/image-config.ts';
import type { StageLayer } from '../rootfs/stage-layer.ts';
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

/** An instruction of a stage, ONBUILD triggers included. */
export interface StageStep {
  readonly instruction: Instruction;
  readonly escape: '\\' | '`';
}

/** A step's result from a cache. */
export interface RecalledStep {
  readonly effect: Pick<Effect, 'state' | 'history'>;
  readonly layer: Layer;
  readonly stageLayer: StageLayer;
  /** RFC 3339, when the step was executed. */
  readonly created: string;
  /** How long it took then, where that is known. */
  readonly tookMs?: number;
}

/** A cache as a stage sees it: its steps by position, one after the other. */
export interface StageCache {
  /** Undefined where the step has to be executed; `step` is what the reason is told of. */
  readonly recall: (position: number, step: StepLabel) => Promise<RecalledStep | undefined>;
  /** Gets the layer of each step that was executed. */
  readonly keep: (position: number, made: { readonly layer: Layer; readonly created: string; readonly tookMs: number }) => Promise<void>;
}

export interface StageRun {
  readonly dockerfile: Dockerfile;
  readonly execute: (instruction: Instruction, state: StageState, step: StepLabel, escape: '\\' | '`') => Promise<Effect>;
  /** Told of each RUN that is due, before its files are put on disk. */
  readonly foresee?: (instruction: RunInstruction, state: StageState, escape: '\\' | '`') => void;
  readonly files: StageFiles;
  /** Number of the next step, and how many there are in all. */
  readonly numbers: { next: () => number; readonly total: number };
  /** RFC 3339, for history entries. */
  readonly created: () => string;
  /** The time is always the same (SOURCE_DATE_EPOCH). */
  readonly hasFixedTime: boolean;
  readonly cache?: StageCache;
  /** Gets each layer that a cache gave. */
  readonly onRecalled?: (layer: Layer) => void;
  /** Gets the image as it is before the first step, and after each. */
  readonly onImage?: (image: Image) => void;
  /** All changes become one layer at the end, or everything that there is. */
  readonly merges?: 'new' | 'all';
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
  const steps = stepsOfStage({ ...start, onBuild: start.isFinished === true ? [] : onBuild }, run.dockerfile.escape);
  let image: Image = { ...start.image, config: { ...start.image.config, config } };
  let state = initialState(image, start.inherited);
  const started = performance.now();
  run.emit({ kind: 'stage.started', stage: start.name, base: start.baseName });
  const single: SingleLayer | undefined = run.merges === undefined ? undefined : { steps: [], readers: new Map() };
  if (single !== undefined) await run.files.beginSingleLayer(run.merges === 'all');
  if (run.merges === 'all') image = { ...image, layers: [], config: { ...image.config, diffIds: [], history: [] } };
  const inheritedHistory = image.config.history.length;
  for (const [position, { instruction, escape }] of steps.entries()) {
    // Settings wait for nothing: without a turn of the event loop no signal would come in between thousands of them.
    await nextTurn();
    run.signal.throwIfAborted();
    run.onImage?.(image);
    const step = labelOf(instruction, { number: position + 1, total: steps.length }, start.name, run);
    let stepStarted = performance.now();
    run.emit({ kind: 'step.started', step });
    const recalled = await run.cache?.recall(position, step);
    if (recalled !== undefined) {
      image = await appendRecalled(image, recalled, run);
      state = recalled.effect.state;
      const { size, digest } = recalled.layer.descriptor;
      const found = { sizeBytes: size, digest, ...given({ savedMs: recalled.tookMs }) };
      run.emit({ kind: 'step.finished', step, durationMs: performance.now() - stepStarted, recalled: found });
      continue;
    }
    if (instruction.kind === 'run') {
      run.foresee?.(instruction, state, escape);
      // What the base costs is told in lines of its own, and is not the command's time.
      await run.files.prepareRun();
      stepStarted = performance.now();
    }
    const effect = await run.execute(instruction, state, step, escape);
    state = effect.state;
    const created = run.created();
    const history = effect.history === undefined ? undefined : historyOf(effect);
    const written = await takeLayer(effect, run);
    let layer: StepLayer;
    if (single === undefined) ({ image, layer } = appendStep(image, written, { history, created, range: instruction.range }, run));
    else {
      const changedFiles = written?.layer !== undefined && !run.files.drops(written.layer);
      single.steps.push({ history, created, changedFiles });
      for (const id of effect.secretIds ?? []) if (!single.readers.has(id)) single.readers.set(id, instruction.range);
    }
    const durationMs = performance.now() - stepStarted - run.files.takeAheadMs();
    if (written?.layer !== undefined) await run.cache?.keep(position, { layer: written.layer, created, tookMs: durationMs });
    run.emit({ kind: 'step.finished', step, durationMs, ...given({ layer }) });
  }
  if (single !== undefined) image = await appendSingleLayer(image, single, run);
  image = withTimes(image, inheritedHistory, run);
  run.emit({ kind: 'stage.finished', stage: start.name, durationMs: performance.now() - started });
  return { image: { ...image, config: { ...image.config, config: state.config, ...authorOf(state) } }, state, files: run.files };
}

type StepLayer = Extract<BuildEvent, { readonly kind: 'step.finished' }>['layer'];

/** The image after a step, and what is told of its layer, if it has one. */
function appendStep(
  image: Image,
  written: TakenLayer | undefined,
  { history, created, range }: { readonly history: HistoryEntry | undefined; readonly created: string; readonly range: SourceRange },
  run: StageRun,
): { readonly image: Image; readonly layer?: StepLayer } {
  for (const id of written?.leakedSecrets ?? []) run.emit(leakWarning(id, "this step's layer", range));
  if (written?.layer === undefined || run.files.drops(written.layer))
    return { image: history === undefined ? image : appendHistory(image, timed(history, created, run)) };
  const { size, digest } = written.layer.descriptor;
  return {
    image: appendLayer(image, written.layer, { ...history, created }),
    layer: { entries: written.entries, sizeBytes: size, digest },
  };
}

async function appendRecalled(image: Image, { effect, layer, stageLayer, created }: RecalledStep, run: StageRun): Promise<Image> {
  await run.files.append(stageLayer);
  const history = historyOf(effect);
  if (run.files.drops(layer)) return appendHistory(image, timed(history, created, run));
  run.onRecalled?.(layer);
  return appendLayer(image, layer, { ...history, created });
}

/** The base's triggers, then the stage's own instructions. */
export function stepsOfStage(
  { onBuild, instructions, from }: { readonly onBuild: readonly string[] } & Pick<StageStart, 'instructions' | 'from'>,
  escape: '\\' | '`',
): readonly StageStep[] {
  // A trigger does not carry its Dockerfile's directives: its escape character is always a backslash.
  const triggers = onBuild.map((expression) => ({ instruction: parseOnbuild(expression, from), escape: '\\' as const }));
  return [...triggers, ...instructions.map((instruction) => ({ instruction, escape }))];
}

/**
 * A setting has no time of its own: it gets that of the layer before it, and what stands before the first new layer that one's, as
 * with BuildKit. So the times are the same whether the layers were made now or come from a cache.
 */
function withTimes(image: Image, inherited: number, run: StageRun): Image {
  const { history } = image.config;
  const created = (entries: readonly HistoryEntry[]): string | undefined => entries.find((entry) => entry.created !== undefined)?.created;
  let time = created(history.slice(inherited)) ?? created(history.slice(0, inherited).toReversed()) ?? run.created();
  const dated = history.map((entry, index) => {
    if (index < inherited) return entry;
    time = entry.created ?? time;
    return { ...entry, created: time };
  });
  return { ...image, config: { ...image.config, history: dated } };
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
    ...given({ author: image.config.author }),
    args: new Map(),
    environment,
    hasCmd: false,
  };
}

/** What is known of the steps whose changes become one layer. */
interface SingleLayer {
  readonly steps: { readonly history: HistoryEntry | undefined; readonly created: string; readonly changedFiles: boolean }[];
  /** The first step that could read a secret, by the secret's id. */
  readonly readers: Map<string, SourceRange>;
}

/** The image with the history of all steps in their order, and the layer where the last one stands that changed files. */
async function appendSingleLayer(image: Image, { steps: made, readers }: SingleLayer, run: StageRun): Promise<Image> {
  // There is a layer in any case where it is all there is.
  const steps = run.merges === 'all' && made.length === 0 ? [{ history: undefined, created: run.created(), changedFiles: true }] : made;
  const last = run.merges === 'all' ? steps.length - 1 : steps.findLastIndex((step) => step.changedFiles);
  const written = last === -1 ? undefined : await run.files.takeSingleLayer(secretsOf([...readers.keys()], run));
  for (const id of written?.leakedSecrets ?? []) {
    const range = readers.get(id);
    if (range !== undefined) run.emit(leakWarning(id, 'the one layer of this stage', range));
  }
  return steps.reduce((before, { history, created }, index) => {
    if (index === last && written !== undefined && !run.files.drops(written.layer))
      return appendLayer(before, written.layer, { ...history, created });
    return history === undefined ? before : appendHistory(before, timed(history, created, run));
  }, image);
}

/** The entry of a step without a layer: `withTimes` has its time, but where that is fixed. */
function timed(history: HistoryEntry, created: string, { hasFixedTime }: Pick<StageRun, 'hasFixedTime'>): HistoryEntry {
  return hasFixedTime ? { ...history, created } : history;
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

function historyOf({ history }: Pick<Effect, 'history'>): HistoryEntry {
  return { ...history, comment: 'buildkit.dockerfile.v0' };
}

function labelOf(
  instruction: Instruction,
  place: { readonly number: number; readonly total: number },
  stage: string,
  run: StageRun,
): StepLabel {
  const number = run.numbers.next();
  if (number > run.numbers.total) throw new BuilderError('ERR_INTERNAL', 'Cannot number the steps: there are more than were planned');
  return {
    ...place,
    overall: { number, total: run.numbers.total },
    stage,
    instruction: instruction.kind,
    text: hideCredentials(textOf(instruction)),
    dockerfile: run.dockerfile.name,
    range: instruction.range,
  };
}

/** The instruction's line, and what a heredoc begins with. */
function textOf(instruction: Instruction): string {
  const heredoc = instruction.kind === 'run' && instruction.command.form === 'shell' ? instruction.command.heredocs[0] : undefined;
  const lines = (heredoc?.body ?? '').split('\n').filter((line) => line.trim() !== '' && !/^\s*#/.test(line));
  if (lines.length === 0) return instruction.text;
  return `${instruction.text} (${lines
    .slice(0, 2)
    .map((line) => line.trim())
    .join('; ')}${lines.length > 2 ? '; …' : ''})`;
}

function authorOf(state: StageState): { readonly author?: string } {
  return given({ author: state.author });
}
