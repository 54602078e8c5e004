// What is known of the stages of a build before they are built: where each begins, and what its instructions read from.
import type { SourceTree } from '../../context/tree.ts';
import { selectSources } from '../../context/select.ts';
import type { Dockerfile } from '../../dockerfile/instruction.ts';
import { contextName, resolveSource } from '../../dockerfile/stage-needs.ts';
import type { PlannedStage } from '../../dockerfile/stages.ts';
import type { SourceRange } from '../../errors.ts';
import { formatPlatform, type Platform } from '../../oci/platform.ts';
import type { BaseImages } from '../base-images.ts';
import type { StageState } from '../effect.ts';
import type { BuildPlan } from '../plan.ts';
import type { BuildPorts } from '../ports.ts';
import type { BuildRequest } from '../request.ts';
import { type StageStep, initialState, stepsOfStage } from '../stage.ts';
import { scratchImage, asBase } from '../start-image.ts';
import { type ForeseenStage, type ForeseenStep, foreseeStage } from './foresee.ts';
import { redactUrl } from '../../registry/response.ts';
import { type KeyPart, digestOfTexts } from './key.ts';
import { sourceParts } from './source-parts.ts';
import { type KeySource, type PartsScope, stepParts } from './step-parts.ts';

export interface ForesightOptions {
  readonly dockerfile: Dockerfile;
  readonly request: BuildRequest;
  readonly plan: BuildPlan;
  readonly ports: Pick<BuildPorts, 'context' | 'materials' | 'namedFolders' | 'signal'>;
  readonly bases: Pick<BaseImages, 'describe'>;
  /** SOURCE_DATE_EPOCH, in seconds. */
  readonly epoch?: number;
  /** Gets each key as soon as it is known. */
  readonly onKey: (step: ForeseenStep) => void;
}

interface StageStart {
  readonly state: StageState;
  readonly chain: string | undefined;
  readonly onBuild: readonly string[];
}

const nothing: ForeseenStage = { steps: [] };
/** Counts up when the same key would stand for another layer. */
const version = '1';

export class Foresight {
  readonly #options: ForesightOptions;
  readonly #contexts: ReadonlySet<string>;
  readonly #stages = new Map<number, ForeseenStage>();
  readonly #learned = new Map<number, Map<number, string>>();

  constructor(options: ForesightOptions) {
    this.#options = options;
    this.#contexts = new Set(options.request.namedContexts.map((context) => contextName(context.name)));
  }

  /** What was last known of a stage. */
  of(index: number): ForeseenStage {
    return this.#stages.get(index) ?? nothing;
  }

  /** Says what stands for the result of a step that has no key: those behind it can get theirs. */
  learn(index: number, position: number, content: string): void {
    const learned = this.#learned.get(index) ?? new Map<number, string>();
    this.#learned.set(index, learned.set(position, content));
    this.#stages.delete(index);
  }

  /** Looks at a stage; the stages that it needs have been looked at. @throws the signal's reason */
  async look(planned: PlannedStage): Promise<ForeseenStage> {
    const { index } = planned.stage;
    const before = this.#stages.get(index);
    if (before?.chain !== undefined) return before;
    const start = await this.#start(planned);
    const stage = start === undefined ? nothing : await this.#foresee(planned, start);
    this.#stages.set(index, stage);
    return stage;
  }

  /** The parts of a step as they are now: files may have changed since it was looked at. */
  async partsNow(planned: PlannedStage, { instruction, escape, parts, before }: ForeseenStep): Promise<readonly KeyPart[]> {
    const now = await stepParts(instruction, before, { ...this.#partsScope(planned), escape });
    // In front of its own there are the common ones, and the steps before.
    const inFront = this.#common(this.#platformOf(planned)).length + 1;
    return [...parts.slice(0, inFront), ...(now?.parts ?? [])];
  }

  async #foresee(planned: PlannedStage, start: StageStart): Promise<ForeseenStage> {
    const { dockerfile, request, plan, onKey } = this.#options;
    const isReplaced = planned.base.kind === 'context' && planned.base.replacesStage;
    const { stage } = planned;
    const steps: readonly StageStep[] = isReplaced
      ? []
      : stepsOfStage({ onBuild: start.onBuild, instructions: stage.instructions, from: stage.from.range }, dockerfile.escape);
    return await foreseeStage(
      { ...start, steps },
      {
        ...this.#partsScope(planned),
        common: this.#common(this.#platformOf(planned)),
        buildArg: (name) => request.buildArgs.get(name),
        globalArg: (name) => plan.globalArgs.get(name),
        learned: this.#learned.get(stage.index) ?? new Map(),
        onKey,
      },
    );
  }

  async #start(planned: PlannedStage): Promise<StageStart | undefined> {
    const { request, ports, bases } = this.#options;
    const { base } = planned;
    const platform = this.#platformOf(planned);
    if (base.kind === 'stage') {
      const { state, chain } = this.of(base.index);
      if (state === undefined) return undefined;
      const { onBuild = [], ...config } = state.config;
      return { state: { ...state, config, hasCmd: false }, chain, onBuild };
    }
    const folder = base.kind === 'context' ? ports.namedFolders.get(base.name) : undefined;
    if (base.kind === 'scratch' || folder !== undefined) {
      const chain = folder === undefined ? digestOfTexts(['scratch']) : await this.#chainOfFolder(folder);
      return { state: initialState(scratchImage(platform, request)), chain, onBuild: [] };
    }
    const image = asBase(await bases.describe(base.kind === 'image' ? base.image : base.name, platform));
    const { onBuild = [], ...config } = image.config.config;
    const state = initialState({ ...image, config: { ...image.config, config } });
    return { state, chain: digestOfTexts(['image', ...image.config.diffIds]), onBuild };
  }

  async #chainOfFolder(folder: SourceTree): Promise<string> {
    const { signal } = this.#options.ports;
    const parts = await sourceParts(folder, selectSources(folder, '/'), { hasOwner: false, signal });
    return digestOfTexts(['folder', ...parts.flatMap(({ name, value }) => [name, value])]);
  }

  #partsScope(planned: PlannedStage): Omit<PartsScope, 'escape'> {
    const { request, ports } = this.#options;
    return {
      network: request.network,
      signal: ports.signal,
      onDownload: (url, digest) => {
        if (URL.canParse(url)) ports.materials?.noteContent(redactUrl(new URL(url)), digest);
      },
      sourceOf: (from, allowsNumbers, range) => this.#sourceOf(planned, from, { allowsNumbers, range }),
    };
  }

  async #sourceOf(
    planned: PlannedStage,
    from: string | undefined,
    at: { readonly allowsNumbers: boolean; readonly range: SourceRange },
  ): Promise<KeySource | undefined> {
    const { dockerfile, ports, bases } = this.#options;
    if (from === undefined) return { kind: 'tree', tree: ports.context };
    const source = resolveSource(dockerfile, from, this.#contexts, { ...at, stage: planned.stage.index });
    if (source.kind === 'stage') {
      const { chain } = this.of(source.index);
      return chain === undefined ? undefined : { kind: 'known', digest: chain, stage: source.index };
    }
    if (source.kind === 'scratch') return { kind: 'known', digest: digestOfTexts(['image']) };
    const folder = source.kind === 'context' ? ports.namedFolders.get(source.name) : undefined;
    if (folder !== undefined) return { kind: 'tree', tree: folder };
    const image = await bases.describe(source.kind === 'context' ? source.name : source.image, this.#platformOf(planned));
    return { kind: 'known', digest: digestOfTexts(['image', ...image.config.diffIds]) };
  }

  /** What makes other bytes of the same files, and so another digest than a build without a cache would have. */
  #common(platform: Platform): readonly KeyPart[] {
    const { request, epoch } = this.#options;
    return [
      { name: 'version', value: version },
      { name: 'platform', value: formatPlatform(platform) },
      { name: 'compression', value: `${request.compression} ${request.compressionLevel ?? ''}` },
      { name: 'SOURCE_DATE_EPOCH', value: epoch === undefined ? '' : `${epoch}${request.timestamp === undefined ? '' : ' for all files'}` },
      { name: 'ignored paths', value: digestOfTexts(request.ignorePaths) },
    ];
  }

  #platformOf({ stage }: PlannedStage): Platform {
    const { plan, request } = this.#options;
    return plan.platforms.get(stage.index) ?? request.platform;
  }
}
