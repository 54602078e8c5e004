// When what happened in a build, and what it took: for a page that shows it.
import type { BuildEvent, Phase, StepLabel } from '../events.ts';

/** Times are milliseconds since 1970. */
interface Span {
  readonly phase: Phase;
  readonly from: number;
  to: number;
}

/** A step, a base, or what goes on outside of both. */
export interface Lane {
  readonly title: string;
  readonly step?: StepLabel;
  readonly spans: Span[];
}

export interface Usage {
  readonly at: number;
  /** Processor time since the build began, and memory at this moment, of the whole container. */
  readonly cpuMs: number;
  readonly memoryBytes: number;
}

const outside: Readonly<Partial<Record<Phase, string>>> = { pushing: 'Push', writing: 'Write', checking: 'Check', starting: 'Start' };

/** Follows the events of one build. */
export class Timeline {
  from: number | undefined;
  to = 0;
  readonly lanes: Lane[] = [];
  readonly usage: Usage[] = [];
  #lane: Lane | undefined;

  add(event: BuildEvent, at: number): void {
    this.from ??= at;
    this.to = Math.max(this.to, at);
    const span = this.#lane?.spans.at(-1);
    if (span !== undefined) span.to = Math.max(span.to, at);
    if (event.kind === 'sample') this.usage.push({ at, cpuMs: event.cpuMs, memoryBytes: event.memoryBytes });
    if (event.kind === 'stage.started') this.#begin({ title: `FROM ${event.base}`, spans: [] }, at);
    if (event.kind === 'step.started') this.#begin({ title: event.step.text, step: event.step, spans: [] }, at);
    if (event.kind === 'step.finished' || event.kind === 'build.finished') this.#lane = undefined;
    if (event.kind === 'unpack.finished') this.#enter('building', at);
    if (event.kind === 'phase') this.#enter(event.phase, at);
  }

  #begin(lane: Lane, at: number): void {
    this.lanes.push(lane);
    this.#lane = lane;
    this.#enter('building', at);
  }

  #enter(phase: Phase, at: number): void {
    const isEnd = phase === 'pushing' || phase === 'writing' || phase === 'finished';
    if (isEnd && this.#lane?.spans.every((span) => span.phase !== phase) === true) this.#lane = undefined;
    if (phase === 'finished') return;
    if (this.#lane === undefined) {
      this.#lane = { title: outside[phase] ?? 'Prepare', spans: [] };
      this.lanes.push(this.#lane);
    }
    if (this.#lane.spans.at(-1)?.phase !== phase) this.#lane.spans.push({ phase, from: at, to: at });
  }
}
