// The cache of one build: what is in it is found out for the whole plan ahead; then each step asks for its result, and what was
// executed is kept. A result is only taken where the steps before gave the results that it was made on.
import { hideCredentials } from '../../errors.ts';
import type { PlannedStage } from '../../dockerfile/stages.ts';
import type { Emit, StepLabel } from '../../events.ts';
import { given } from '../../given.ts';
import { formatPlatform } from '../../oci/platform.ts';
import type { Reference } from '../../oci/reference.ts';
import type { RecalledStep, StageCache } from '../stage.ts';
import { contentOfLayer } from './content.ts';
import type { CacheEntry } from './entry.ts';
import type { ForeseenStage, ForeseenStep } from './foresee.ts';
import { Foresight, type ForesightOptions } from './foresight.ts';
import { digestOfTexts, keyOf } from './key.ts';
import type { FoundEntry, LayerCache } from './layer-cache.ts';
import { type Prospect, predict } from './predict.ts';
import { type BuildRecord, digestParts, recordTag, whyMissed } from './record.ts';

export interface BuildCacheOptions extends Omit<ForesightOptions, 'onKey'> {
  readonly cache: LayerCache;
  /** Which steps are kept: COPY and ADD, RUN and WORKDIR. */
  readonly copyLayers: boolean;
  readonly runLayers: boolean;
  readonly emit: Emit;
}

/** Stands for what a result does not depend on. */
const none = '-';
const missed = 'not in the cache';

export class BuildCache {
  readonly #options: BuildCacheOptions;
  readonly #foresight: Foresight;
  /** What stands for the results of each finished stage. */
  readonly #results = new Map<number, string>();
  readonly #tag: string;
  readonly #records = new WeakMap<ForeseenStage, BuildRecord>();
  #before: Promise<BuildRecord | undefined> = Promise.resolve(undefined);
  #isColdTold: boolean;

  constructor(options: BuildCacheOptions) {
    this.#options = options;
    this.#foresight = new Foresight({ ...options, onKey: (step) => void (this.#isKept(step) && this.#find(step)) });
    const { dockerfile, plan, request } = options;
    // Where nothing is to be found, nobody asks why.
    this.#isColdTold = request.cache?.from.length === 0;
    this.#tag = recordTag([dockerfile.name, ...plan.targets.map(String), formatPlatform(request.platform)]);
  }

  /** Looks at all stages and asks for all results. @throws the signal's reason */
  async foresee(): Promise<Prospect> {
    const { plan, request } = this.#options;
    this.#before = this.#options.cache.findRecord(this.#tag);
    // It is awaited at the first miss; until then its failure must not count as unhandled.
    this.#before.catch(() => undefined);
    for (const planned of plan.stages) await this.#foresight.look(planned);
    const isMerged = (stage: number): boolean => request.merges !== undefined && stage === plan.targets[0];
    return await predict(
      plan,
      (index) => this.#foresight.of(index),
      async (step, stage) => !isMerged(stage) && this.#isKept(step) && (await this.#find(step)) !== undefined,
    );
  }

  /** What the keys of this build are made of, as far as they are known. */
  record(): BuildRecord {
    return this.#options.plan.stages.flatMap((planned) => this.#recordOf(planned));
  }

  /** Writes the record down, for the next build to compare with, where it is another one than before, and copies what was found elsewhere. */
  async finish(): Promise<void> {
    this.#options.cache.putFound();
    const record = this.record();
    const keys = (steps: BuildRecord): string => steps.map(({ stage, text, key }) => [stage, text, key].join(' ')).join('\n');
    const before = await this.#before;
    const isNew = before === undefined || keys(before) !== keys(record) || this.#options.cache.isWanted(this.#tag);
    if (isNew) this.#options.cache.putRecord(this.#tag, record);
  }

  /** The cache as one stage sees it; `near` is a repository that gets the stage's layers. @throws the signal's reason */
  async enter(planned: PlannedStage, near: Reference | undefined): Promise<StageCache> {
    await this.#foresight.look(planned);
    const { base, stage } = planned;
    // What an image's or a folder's files are is in the keys.
    let result = base.kind === 'stage' ? (this.#results.get(base.index) ?? none) : digestOfTexts(['base']);
    const advance = (step: ForeseenStep, outcome: string, reads: readonly string[]): void => {
      const isOpen = step.key === undefined || step.instruction.kind === 'run';
      result = digestOfTexts([result, step.key ?? '', ...reads, isOpen ? outcome : none]);
      this.#results.set(stage.index, result);
    };
    this.#results.set(stage.index, result);
    return {
      recall: async (position, label) => {
        const step = this.#foresight.of(stage.index).steps[position];
        if (step?.key === undefined || !this.#isKept(step)) return undefined;
        const entry = await this.#find(step);
        if (entry === undefined) await this.#explain(planned, step, label);
        if (entry === undefined || !this.#isMadeOn(entry, step, result)) return undefined;
        // A stage that was not built is what it was then.
        advance(step, entry.layer.diffId, entry.madeOn.slice(1));
        return recalled(step, entry);
      },
      keep: async (position, { layer, created, tookMs }) => {
        const step = this.#foresight.of(stage.index).steps[position];
        const isSame = step?.key !== undefined && (await this.#isUnchanged(planned, position));
        if (step !== undefined && isSame) {
          if (this.#isKept(step)) this.#put(step, { layer, created, tookMs: Math.round(tookMs), result }, near);
          advance(step, layer.diffId, this.#readResults(step));
          return;
        }
        const content = await contentOfLayer(layer, this.#options.ports.signal);
        this.#foresight.learn(stage.index, position, content);
        await this.#foresight.look(planned);
        const known = this.#foresight.of(stage.index).steps[position];
        if (known !== undefined) advance(known, content, this.#readResults(known));
      },
    };
  }

  /** Says of each step that makes a layer whether the cache has it. @throws the signal's reason */
  async tellAll(): Promise<void> {
    const tell = (message: string): void => this.#options.emit({ kind: 'plan', message });
    for (const planned of this.#options.plan.stages) {
      const { steps, state } = this.#foresight.of(planned.stage.index);
      tell(`stage ${planned.stage.name ?? planned.stage.index}:`);
      for (const step of steps.filter(({ makesLayer }) => makesLayer))
        tell(`  ${hideCredentials(step.instruction.text)}: ${await this.#verdict(planned, step)}`);
      if (state === undefined) tell('  what comes then is not known ahead');
    }
  }

  async #verdict(planned: PlannedStage, step: ForeseenStep): Promise<string> {
    if (step.key === undefined) return 'known when it is executed, since it stands on what is fetched then';
    if (!this.#isKept(step))
      return `not cached without --cache-${step.instruction.kind === 'copy' || step.instruction.kind === 'add' ? 'copy' : 'run'}-layers`;
    const found = await this.#find(step);
    return found === undefined ? await this.#describeMiss(planned, step) : `in the cache since ${found.stored.slice(0, 19)}Z`;
  }

  #put(
    step: ForeseenStep,
    { result, ...made }: Pick<CacheEntry, 'layer' | 'created' | 'tookMs'> & { readonly result: string },
    near: Reference | undefined,
  ): void {
    const madeOn = [step.isDetached ? none : result, ...this.#readResults(step)];
    const text = hideCredentials(step.instruction.text);
    if (step.key !== undefined) this.#options.cache.put({ key: step.key, ...made, madeOn, step: text }, near);
  }

  async #explain(planned: PlannedStage, step: ForeseenStep, label: StepLabel): Promise<void> {
    const message = await this.#describeMiss(planned, step);
    this.#options.emit({ kind: 'note', level: message === missed ? 'debug' : 'info', message, step: label });
  }

  // A cache without a record has one reason for all misses, which is said once.
  async #describeMiss(planned: PlannedStage, step: ForeseenStep): Promise<string> {
    const isCold = (await this.#before) === undefined;
    if (isCold && this.#isColdTold) return missed;
    this.#isColdTold ||= isCold;
    return `${missed}: ${await this.#whyMissed(planned, step)}`;
  }

  async #whyMissed(planned: PlannedStage, step: ForeseenStep): Promise<string> {
    const recorded = this.#recordOf(planned);
    const position = recorded.findIndex(({ key }) => key === step.key);
    const found = recorded[position];
    return found === undefined ? 'it is a new step' : whyMissed(found, position, await this.#before);
  }

  #recordOf({ stage }: PlannedStage): BuildRecord {
    const foreseen = this.#foresight.of(stage.index);
    // Each miss asks for it.
    return this.#records.getOrInsertComputed(foreseen, () =>
      foreseen.steps.flatMap(({ key, parts, instruction }) => {
        if (key === undefined) return [];
        return [{ stage: stage.name ?? String(stage.index), text: hideCredentials(instruction.text), key, parts: digestParts(parts) }];
      }),
    );
  }

  #isKept({ instruction: { kind } }: ForeseenStep): boolean {
    return kind === 'copy' || kind === 'add' ? this.#options.copyLayers : this.#options.runLayers;
  }

  async #find({ key }: ForeseenStep): Promise<FoundEntry | undefined> {
    return key === undefined ? undefined : await this.#options.cache.find(key);
  }

  #readResults({ reads }: ForeseenStep): readonly string[] {
    return reads.map((index) => this.#results.get(index) ?? none);
  }

  // Of a stage that was not built nothing is known that could differ.
  #isMadeOn({ madeOn }: FoundEntry, step: ForeseenStep, result: string): boolean {
    const now = [step.isDetached ? none : result, ...this.#readResults(step)];
    const isSame =
      madeOn.length === now.length && now.every((each, index) => each === none || madeOn[index] === none || madeOn[index] === each);
    if (!isSame) {
      const message = `${hideCredentials(step.instruction.text)}: what the cache has was made on other results of the steps before`;
      this.#options.emit({ kind: 'note', level: 'info', message });
    }
    return isSame;
  }

  // Files may have changed after they were looked at, and before they were read.
  async #isUnchanged(planned: PlannedStage, position: number): Promise<boolean> {
    const { steps } = this.#foresight.of(planned.stage.index);
    const step = steps[position];
    if (step?.key === undefined) return false;
    if (!step.parts.some(({ name }) => name.startsWith('file '))) return true;
    try {
      if (keyOf(await this.#foresight.partsNow(planned, step)) === step.key) return true;
    } catch {
      this.#options.ports.signal.throwIfAborted();
      // A file that was there is gone: that is a change, too.
    }
    const message = `files that ${hideCredentials(step.instruction.text)} reads changed during the build: its result is not kept`;
    this.#options.emit({ kind: 'warning', code: 'cache-changed', message, range: step.instruction.range });
    return false;
  }
}

function recalled({ effect }: ForeseenStep, { layer, stageLayer, created, tookMs }: FoundEntry): RecalledStep {
  return { effect, layer, stageLayer, created, ...given({ tookMs }) };
}
