// What a build came to, put together from its events: for whatever is written when it has ended.
import type { BuildEvent, StepLabel } from '../events.ts';
import { colourless, harmless, lastState } from './text.ts';

export interface StepRecord {
  readonly step: StepLabel;
  /** Undefined for a step that did not end. */
  end?: Extract<BuildEvent, { readonly kind: 'step.finished' }>;
  /** The last lines that it printed, without colours. */
  readonly output: string[];
  outputLines: number;
}

export interface StageRecord {
  /** `''` for one without a name. */
  readonly name: string;
  readonly base: string;
  readonly steps: StepRecord[];
}

const keptLines = 50;

/** Follows the events of one build. */
export class BuildRecord {
  started: Extract<BuildEvent, { readonly kind: 'build.started' }> | undefined;
  finished: Extract<BuildEvent, { readonly kind: 'build.finished' }> | undefined;
  stages: StageRecord[] = [];
  readonly warnings: Extract<BuildEvent, { readonly kind: 'warning' }>[] = [];
  readonly written: string[] = [];
  readonly contents: Extract<BuildEvent, { readonly kind: 'image.contents' }>[] = [];

  add(event: BuildEvent): void {
    const stage = this.stages.at(-1);
    const step = stage?.steps.at(-1);
    if (event.kind === 'build.started') this.started = event;
    if (event.kind === 'build.finished') this.finished = event;
    if (event.kind === 'warning') this.warnings.push(event);
    if (event.kind === 'image.contents') this.contents.push(event);
    if (event.kind === 'image.written') this.written.push(event.destination);
    if (event.kind === 'stage.started') this.#beginStage(event);
    if (event.kind === 'step.started') stage?.steps.push({ step: event.step, output: [], outputLines: 0 });
    if (event.kind === 'step.finished' && step !== undefined) step.end = event;
    if (event.kind === 'output' && step !== undefined) {
      step.outputLines += 1;
      step.output.push(colourless(harmless(lastState(event.line))));
      if (step.output.length > keptLines) step.output.shift();
    }
  }

  get steps(): readonly StepRecord[] {
    return this.stages.flatMap(({ steps }) => steps);
  }

  /** The step that a build which failed did not get over; undefined where it was none. */
  get failedStep(): StepRecord | undefined {
    const last = this.steps.at(-1);
    return this.finished?.failure === undefined || last?.end !== undefined ? undefined : last;
  }

  /** The first name that the image was pushed to, `registry/repository@digest`. */
  get image(): string | undefined {
    return this.written.find((destination) => destination.includes('@'));
  }

  // A build that goes on without a broken cache begins anew, with a stage that there was.
  #beginStage({ stage: name, base }: Extract<BuildEvent, { readonly kind: 'stage.started' }>): void {
    const last = this.steps.at(-1);
    if (last !== undefined && last.end === undefined) this.stages = [];
    this.stages.push({ name, base, steps: [] });
  }
}
