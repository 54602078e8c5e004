// A terminal in small: as much of one as our live view uses, so that a test can look at what a person would see.
import type { Sink } from '../../src/report/sink.ts';

/** A screen of so many columns and rows that grows upwards without end. Throws for what it does not know. */
export class Screen {
  #lines: string[] = [''];
  #row = 0;
  #column = 0;
  #columns: number;
  readonly #rows: number;

  constructor(columns: number, rows = 24) {
    this.#columns = columns;
    this.#rows = rows;
  }

  get sink(): Sink {
    return { isTerminal: true, columns: () => this.#columns, rows: () => this.#rows, write: (text) => this.#write(text) };
  }

  /** Every line, the last empty ones left out. */
  get text(): string {
    return this.#lines.join('\n').trimEnd();
  }

  /** Another width: what was longer is broken, as terminals do that reflow. */
  resize(columns: number): void {
    const before = this.#lines;
    const pieces = before.map((line) => line.match(new RegExp(`.{1,${columns}}`, 'g')) ?? ['']);
    this.#row = pieces.slice(0, this.#row).flat().length;
    this.#lines = pieces.flat();
    this.#columns = columns;
  }

  #write(text: string): void {
    // oxlint-disable-next-line no-control-regex -- a terminal's own language
    for (const [token] of text.matchAll(/\u001b\[\d*[A-Za-z]|[\r\n]|[^\u001b\r\n]/gu)) this.#take(token);
  }

  #take(token: string): void {
    if (token === '\r') this.#column = 0;
    else if (token === '\n') [this.#row, this.#column] = [this.#row + 1, 0];
    else if (token.endsWith('m') && token.length > 1) return;
    else if (token.endsWith('A') && token.length > 1) this.#row = Math.max(0, this.#row - Number(token.slice(2, -1)));
    else if (token === '\u001b[J')
      this.#lines = [...this.#lines.slice(0, this.#row), (this.#lines[this.#row] ?? '').slice(0, this.#column)];
    else if (token.length > 1 && token.startsWith('\u001b')) throw new Error(`the screen knows no ${JSON.stringify(token)}`);
    else this.#put(token);
    while (this.#lines.length <= this.#row) this.#lines.push('');
  }

  #put(character: string): void {
    if (this.#column === this.#columns) [this.#row, this.#column] = [this.#row + 1, 0];
    const line = (this.#lines[this.#row] ?? '').padEnd(this.#column);
    this.#lines[this.#row] = line.slice(0, this.#column) + character + line.slice(this.#column + 1);
    this.#column += 1;
  }
}
