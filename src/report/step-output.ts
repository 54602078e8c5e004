// The last lines of the step that runs, for whoever sees only its end unless it fails.
import type { BuildEvent, StepLabel } from '../events.ts';
import { stepPrefix } from './describe.ts';
import type { Style } from './lines.ts';
import { colourless, harmless, lastState } from './text.ts';

const keptLines = 200;

/** Follows the events; knows a step from its start to its end. */
export class StepOutput {
  step: StepLabel | undefined;
  #lines: string[] = [];
  #total = 0;

  update(event: BuildEvent): void {
    if (event.kind === 'step.started') [this.step, this.#lines, this.#total] = [event.step, [], 0];
    if (event.kind === 'step.finished') this.step = undefined;
    if (event.kind !== 'output' || this.step === undefined) return;
    this.#total += 1;
    this.#lines.push(colourless(harmless(lastState(event.line))));
    if (this.#lines.length > keptLines) this.#lines.shift();
  }

  /** At most so many of the newest lines. */
  last(most: number): readonly string[] {
    return most <= 0 ? [] : this.#lines.slice(-most);
  }

  /** Prints the step that has not ended, with its output, once. */
  print(print: (text: string, style?: Style) => void): void {
    if (this.step === undefined) return;
    print(`${stepPrefix(this.step)} ${this.step.text}`, 'step');
    if (this.#total > this.#lines.length) print(`  | (${this.#total - this.#lines.length} lines before these)`, 'dim');
    for (const line of this.#lines) print(`  | ${line}`);
    this.step = undefined;
  }
}
