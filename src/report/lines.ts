// Events as lines of text that come one after the other: what a CI log shows, and a file keeps.
import type { SourceRange } from '../errors.ts';
import type { BuildEvent, StepLabel } from '../events.ts';
import { given } from '../given.ts';
import { asName, describe, describeEnd, stepPrefix } from './describe.ts';
import { type Dialect, type Group, withoutCommands } from './dialect.ts';
import { harmless } from './text.ts';
import { formatBytes, formatCount } from './units.ts';

export type Style = 'step' | 'dim' | 'good' | 'warn' | 'bad';

export interface LinesOptions {
  /** Writes one line. Raw ones are a CI system's, and written as they are. */
  readonly print: (text: string, style?: Style | 'raw') => void;
  readonly isTold: (event: BuildEvent) => boolean;
  readonly dialect: Dialect | undefined;
  readonly now: () => number;
}

type ResolvedEvent = Extract<BuildEvent, { readonly kind: 'image.resolved' }>;
type FinishedEvent = Extract<BuildEvent, { readonly kind: 'step.finished' }>;

/** How long a title waits for its step's end, to be one line with it. */
const holdMs = 300;

const pushGroup: Group = { id: 'push', title: 'Push', isFolded: true };

/**
 * A step that takes no time is one line. A command that runs, and what takes longer, has a title, its output, and an end; nothing of
 * what goes on in the background comes between. The base's digest stands in the line that begins a stage. Where steps are not told,
 * the first line that one prints brings its title.
 */
export class TextLines {
  readonly #options: LinesOptions;
  readonly #resolved = new Map<string, ResolvedEvent>();
  /** What happened in the background of the step that runs. */
  readonly #background: BuildEvent[] = [];
  #held: { readonly step: StepLabel; readonly timer: NodeJS.Timeout | undefined } | undefined;
  /** The step that runs, while nobody was told of it. */
  #untold: StepLabel | undefined;
  #isRunning = false;
  #hasPushed = false;
  #group: Group | undefined;
  #file: string | undefined;
  #image: string | undefined;

  constructor(options: LinesOptions) {
    this.#options = options;
  }

  emit(event: BuildEvent): void {
    const { dialect, isTold } = this.#options;
    if (event.kind === 'image.resolved') this.#resolved.set(event.name, event);
    if (event.kind === 'build.started') this.#file = event.dockerfile;
    if (event.kind === 'phase' && event.phase === 'pushing' && dialect !== undefined && !this.#hasPushed) this.#open(pushGroup);
    if (event.kind === 'image.written') this.#noteImage(event.destination);
    if (event.kind === 'phase' && event.phase === 'running') this.#showTitle();
    if (event.kind === 'build.finished' && event.digest !== undefined) this.#setVariables(event.digest);
    if (!isTold(event)) return this.#passOver(event);
    if (event.kind === 'output') this.#showUntold();
    if (event.kind === 'step.started') return this.#begin(event.step);
    if (event.kind === 'step.finished') return this.#finish(event);
    if (event.kind === 'blob.finished' && this.#isInBackground(event)) return void this.#background.push(event);
    if (event.kind === 'output' || this.#held?.step.instruction !== 'run') this.#showTitle();
    this.#show(event);
    if (event.kind === 'warning' && event.range !== undefined) this.#annotate(event.message, event.range);
  }

  /** The build has failed or ended: what is open is closed. */
  end(isFailure: boolean): void {
    const { dialect, print } = this.#options;
    this.#showTitle();
    this.#close();
    for (const waiting of this.#background.splice(0)) this.#show(waiting);
    if (isFailure && dialect?.unfold !== undefined) print(dialect.unfold, 'raw');
  }

  // A step that has not begun to run may wait for what is pulled.
  #isInBackground({ direction }: Extract<BuildEvent, { readonly kind: 'blob.finished' }>): boolean {
    return this.#isRunning && (direction === 'push' || this.#held === undefined);
  }

  #begin(step: StepLabel): void {
    this.#isRunning = true;
    // What a RUN waits for has lines of its own, above the title.
    const timer = step.instruction === 'run' ? undefined : setTimeout(() => this.#showTitle(), holdMs).unref();
    this.#held = { step, timer };
  }

  #finish(event: FinishedEvent): void {
    const { print } = this.#options;
    if (this.#held === undefined) {
      this.#close();
      print(`${stepPrefix(event.step)} ${describeEnd(event)}`, 'dim');
    } else {
      clearTimeout(this.#held.timer);
      this.#held = undefined;
      const isPlain = event.layer === undefined && event.recalled === undefined;
      print(`${stepPrefix(event.step)} ${event.step.text}${isPlain ? '' : ` ‥ ${describeEnd(event)}`}`, 'step');
    }
    this.#isRunning = false;
    for (const waiting of this.#background.splice(0)) this.#show(waiting);
  }

  #passOver(event: BuildEvent): void {
    if (event.kind === 'step.started') this.#untold = event.step;
    if (event.kind !== 'step.finished') return;
    this.#untold = undefined;
    this.#close();
  }

  #showUntold(): void {
    if (this.#untold !== undefined) this.#openStep(this.#untold);
    this.#untold = undefined;
  }

  #showTitle(): void {
    if (this.#held === undefined) return;
    const { step, timer } = this.#held;
    clearTimeout(timer);
    this.#held = undefined;
    this.#openStep(step);
  }

  #openStep(step: StepLabel): void {
    this.#open({ id: `step_${step.overall.number}`, title: `${stepPrefix(step)} ${step.text}`, isFolded: false });
  }

  #show(event: BuildEvent): void {
    const text = event.kind === 'stage.started' ? stageTitle(event, this.#resolved.get(event.base)) : describe(event);
    if (text !== undefined) this.#options.print(text, styleOf(event));
  }

  #open(group: Group): void {
    const { dialect, now, print } = this.#options;
    this.#close();
    this.#group = group;
    if (dialect === undefined) print(group.title, 'step');
    else print(dialect.open({ ...group, title: withoutCommands(harmless(group.title)) }, now()), 'raw');
  }

  #close(): void {
    const { dialect, now, print } = this.#options;
    const line = this.#group === undefined ? undefined : dialect?.close(this.#group, now());
    this.#group = undefined;
    if (line !== undefined) print(line, 'raw');
  }

  #noteImage(destination: string): void {
    this.#close();
    // What a cache still sends is no reason to fold what comes after the image's name.
    this.#hasPushed = true;
    if (destination.includes('@')) this.#image ??= destination;
  }

  #setVariables(digest: string): void {
    const { dialect, print } = this.#options;
    if (dialect?.setVariable === undefined) return;
    print(dialect.setVariable('digest', digest), 'raw');
    if (this.#image !== undefined) print(dialect.setVariable('image', this.#image), 'raw');
  }

  #annotate(message: string, range: SourceRange): void {
    const place = given({ file: this.#file });
    const line = this.#options.dialect?.annotate({ level: 'warning', message: harmless(message), range, ...place });
    if (line !== undefined) this.#options.print(line, 'raw');
  }
}

/** `FROM debian:12@sha256:… AS build (5 layers, 48 MB)` */
function stageTitle({ base, stage }: Extract<BuildEvent, { readonly kind: 'stage.started' }>, image: ResolvedEvent | undefined): string {
  if (image === undefined) return `FROM ${base}${asName(stage)}`;
  const named = base.includes('@') ? base : `${base}@${image.digest}`;
  return `FROM ${named}${asName(stage)} (${formatCount(image.layers, 'layer')}, ${formatBytes(image.sizeBytes)})`;
}

function styleOf(event: BuildEvent): Style | undefined {
  if (event.kind === 'stage.started') return 'step';
  if (event.kind === 'warning') return 'warn';
  if (event.kind === 'image.written') return 'good';
  if (event.kind === 'heartbeat' || event.kind === 'blob.finished' || event.kind === 'unpack.finished') return 'dim';
  return undefined;
}
