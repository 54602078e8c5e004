// A build as spans, as OpenTelemetry has them: the build, its stages, their steps, and what it spent its time with besides.
import type { BuildEvent, StepLabel } from '../events.ts';

type Attributes = Record<string, string | number | boolean>;

/** Times are milliseconds since 1970. The first span has no parent among them. */
export interface SpanRecord {
  readonly name: string;
  readonly from: number;
  to: number;
  /** Position in the list. */
  readonly parent?: number;
  readonly attributes: Attributes;
  failure?: string;
}

/** Text of the Dockerfile is told without the values in it, or with `omitsText` not at all. */
export interface SpanOptions {
  readonly command: string;
  readonly omitsText: boolean;
}

const mostSpans = 2000;

/** Follows the events of one build. */
export class Spans {
  readonly list: SpanRecord[] = [];
  readonly #options: SpanOptions;
  #stage: number | undefined;
  #step: number | undefined;
  #push: number | undefined;

  constructor(options: SpanOptions) {
    this.#options = options;
  }

  add(event: BuildEvent, at: number): void {
    const root = this.list[0];
    if (root === undefined) this.list.push({ name: 'build', from: at, to: at, attributes: { 'kaniko.command': this.#options.command } });
    else root.to = at;
    const build = this.list[0]?.attributes ?? {};
    switch (event.kind) {
      case 'build.started':
        Object.assign(build, { 'kaniko.platform': event.platform, 'kaniko.destinations': event.destinations.join(',') });
        break;
      case 'build.finished':
        this.#finish(event, at);
        break;
      case 'stage.started':
        this.#endAll(at);
        this.#stage = this.#begin(`stage ${event.stage || event.base}`, at, 0, { 'kaniko.stage': event.stage, 'kaniko.base': event.base });
        break;
      case 'step.started':
        this.#step = this.#begin(event.step.instruction.toUpperCase(), at, this.#stage ?? 0, this.#describe(event.step));
        break;
      case 'step.finished':
        this.#endStep(event, at);
        break;
      case 'phase':
        if (event.phase === 'pushing' && this.#push === undefined) {
          this.#endAll(at);
          this.#push = this.#begin('push', at, 0, {});
        }
        break;
      default:
    }
  }

  #describe({ number, total, stage, range, text, instruction }: StepLabel): Attributes {
    return {
      'kaniko.stage': stage,
      'kaniko.instruction': instruction,
      'kaniko.instruction.line': range.start.line,
      'kaniko.instruction.number': number,
      'kaniko.instruction.total': total,
      ...(this.#options.omitsText ? {} : { 'kaniko.instruction.text': withoutValues(text) }),
    };
  }

  #begin(name: string, at: number, parent: number, attributes: Attributes): number | undefined {
    if (this.list.length >= mostSpans) return undefined;
    this.list.push({ name, from: at, to: at, parent, attributes });
    return this.list.length - 1;
  }

  #endStep({ layer, recalled }: Extract<BuildEvent, { readonly kind: 'step.finished' }>, at: number): void {
    const attributes: Attributes = { 'kaniko.cache.hit': recalled !== undefined };
    const made = layer ?? recalled;
    if (made !== undefined) Object.assign(attributes, { 'kaniko.layer.size': made.sizeBytes, 'kaniko.layer.digest': made.digest });
    Object.assign(this.#at(this.#step)?.attributes ?? {}, attributes);
    this.#end(this.#step, at);
    this.#step = undefined;
  }

  #finish({ digest, failure }: Extract<BuildEvent, { readonly kind: 'build.finished' }>, at: number): void {
    const [root] = this.list;
    if (root !== undefined && digest !== undefined) root.attributes['kaniko.image.digest'] = digest;
    if (failure !== undefined) {
      // The message of a RUN quotes it.
      const said = this.#options.omitsText ? 'the build failed' : withoutValues(failure);
      for (const span of [root, this.#at(this.#step)]) if (span !== undefined) span.failure = said;
    }
    this.#endAll(at);
    this.#end(this.#push, at);
  }

  #endAll(at: number): void {
    for (const open of [this.#step, this.#stage]) this.#end(open, at);
    [this.#step, this.#stage] = [undefined, undefined];
  }

  #end(position: number | undefined, at: number): void {
    const span = this.#at(position);
    if (span !== undefined) span.to = at;
  }

  #at(position: number | undefined): SpanRecord | undefined {
    return position === undefined ? undefined : this.list[position];
  }
}

/** The text with nothing of what is given in it: `ENV TOKEN=…`, `RUN NAME=… make --password=…`. */
export function withoutValues(text: string): string {
  return text
    .replace(/^(ENV|LABEL|ARG)(\s+[^\s=]+)\s+.+$/is, (whole, keyword: string, name: string) =>
      /^\S+\s+\S+=/.test(whole) ? whole : `${keyword}${name} …`,
    )
    .replaceAll(assignment, (_, quoted?: string, name?: string) => (quoted === undefined ? `${name}=…` : `${quoted}=…"`));
}

/** `"--name=a b"`, or `name=` and a shell's word; a quote that nothing ends takes all that follows. */
const assignment = /("[^"=\s]+)=(?:[^"\\]|\\.)*"|([A-Za-z_][\w.-]*)=(?:"(?:[^"\\]|\\.)*(?:"|$)|'[^']*(?:'|$)|[^\s\\"']|\\.)+/gs;
