// A terminal's view of a build: what is done scrolls by, and below it stands what goes on now.
import type { BuildEvent, Emit, Phase } from '../events.ts';
import { describeEnd, stepPrefix } from './describe.ts';
import { TextLines, type Style } from './lines.ts';
import type { Sink } from './sink.ts';
import { StepOutput } from './step-output.ts';
import { colourless, harmless, shortened } from './text.ts';
import { type Moved, Transfers } from './transfers.ts';
import { formatBytes, formatDuration } from './units.ts';

export interface LiveOptions {
  readonly sink: Sink;
  /** Writes a line that stays. */
  readonly print: (text: string, style?: Style | 'raw') => void;
  readonly isTold: (event: BuildEvent) => boolean;
  readonly isColored: boolean;
  readonly now: () => number;
}

export interface Live {
  readonly emit: Emit;
  /** Takes the block away, so that lines can be written, and paints it again. */
  readonly around: (write: () => void) => void;
  /** Ends the view: of a failed step its output stays. */
  readonly end: (isFailure: boolean) => void;
}

const frameMs = 100;
/** Lines of the running command that are seen. */
const seenLines = 6;
/** Phases of a step in which nothing of it runs. */
const waitPhases: ReadonlySet<Phase> = new Set(['pulling', 'unpacking', 'snapshotting']);

/** One block of at most ten lines at the bottom, drawn anew ten times a second. */
export function liveView({ sink, print, isTold, isColored, now }: LiveOptions): Live {
  const block = new Block(sink);
  const transfers = new Transfers();
  const lines = new TextLines({ print, isTold: (event) => event.kind !== 'step.started' && isTold(event), dialect: undefined, now });
  const started = now();
  const output = new StepOutput();
  let stepSince = started;
  // Whoever only hands a build over to another process draws nothing.
  let doing: string | undefined;
  /** What the step waits for: a base that arrives and is unpacked, a snapshot. */
  let waitsFor: string | undefined;

  const paint = (): void => {
    const width = Math.max(20, sink.columns() - 1);
    const dim = (text: string): string => (isColored ? `\u001b[2m${text}\u001b[0m` : text);
    const rows: string[] = [];
    const { step } = output;
    if (doing === undefined) return;
    if (step === undefined) {
      rows.push(title(doing, formatDuration(now() - started), width));
    } else {
      const ofAll = `${step.overall.number}/${step.overall.total}`;
      const head = title(`${stepPrefix(step)} ${step.text}`, formatDuration(now() - stepSince), width - ofAll.length - 3);
      rows.push(isColored ? `\u001b[1m${head}\u001b[0m ${dim(`(${ofAll})`)}` : `${head} (${ofAll})`);
      if (waitsFor !== undefined) rows.push(dim(shortened(`  ${waitsFor}`, width)));
      for (const line of output.last(Math.min(seenLines, sink.rows() - 4))) rows.push(dim(shortened(`  | ${line}`, width)));
    }
    const { pull, push } = transfers.moving();
    const moving = [bar('pull', pull), bar('push', push)].filter((text) => text !== '').join(' · ');
    if (moving !== '') rows.push(shortened(`  ${moving}`, width));
    block.draw(rows);
  };
  const around = (write: () => void): void => {
    block.erase();
    write();
  };
  const emit: Emit = (event) => {
    transfers.update(event);
    if (event.kind === 'phase') doing = event.detail === undefined ? event.phase : `${event.phase} ${event.detail}`;
    if (event.kind === 'build.started') doing ??= 'starting';
    if (event.kind === 'step.started') stepSince = now();
    if (event.kind === 'phase') waitsFor = waitPhases.has(event.phase) ? doing : undefined;
    if (event.kind === 'step.started' || event.kind === 'unpack.finished') waitsFor = undefined;
    output.update(event);
    if (event.kind === 'output') return;
    if (event.kind === 'step.finished') {
      if (isTold(event)) print(finished(event, sink.columns() - 1), 'step');
      return;
    }
    lines.emit(event);
  };
  const end = (isFailure: boolean): void => {
    clearInterval(timer);
    block.erase();
    lines.end(isFailure);
    if (isFailure) output.print(print);
  };
  const timer = setInterval(paint, frameMs);
  timer.unref();
  return { emit, around, end };
}

/** One line, where the terminal is wide enough for the end of the step and some of its text. */
function finished(event: Extract<BuildEvent, { readonly kind: 'step.finished' }>, width: number): string {
  const end = ` ‥ ${describeEnd(event)}`;
  const text = colourless(harmless(`${stepPrefix(event.step)} ${event.step.text}`));
  return `${shortened(text, Math.max(30, width - end.length))}${end}`;
}

/** The text on the left, the time on the right. */
function title(text: string, time: string, width: number): string {
  const room = Math.max(8, width - time.length - 1);
  return `${shortened(colourless(harmless(text)), room).padEnd(room)} ${time}`;
}

function bar(name: string, { doneBytes, sizeBytes }: Moved): string {
  if (sizeBytes === 0) return '';
  const cells = 10;
  const full = Math.min(cells, Math.floor((doneBytes / sizeBytes) * cells));
  return `${name} [${'#'.repeat(full)}${'-'.repeat(cells - full)}] ${formatBytes(doneBytes)} of ${formatBytes(sizeBytes)}`;
}

/** Lines at the bottom of a terminal that are drawn over. */
class Block {
  readonly #sink: Sink;
  #drawn: readonly string[] = [];

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  draw(rows: readonly string[]): void {
    this.#sink.write(`${this.#backwards()}${rows.map((row) => `${row}\n`).join('')}`);
    this.#drawn = rows;
  }

  erase(): void {
    const text = this.#backwards();
    if (text !== '') this.#sink.write(text);
    this.#drawn = [];
  }

  /** To the beginning of what was drawn, and nothing below. A terminal that became narrower has broken its lines meanwhile. */
  #backwards(): string {
    if (this.#drawn.length === 0) return '';
    const columns = Math.max(1, this.#sink.columns());
    const rows = this.#drawn.reduce((sum, row) => sum + Math.max(1, Math.ceil(colourless(row).length / columns)), 0);
    return `\u001b[${Math.min(rows, Math.max(1, this.#sink.rows() - 1))}A\r\u001b[J`;
  }
}
