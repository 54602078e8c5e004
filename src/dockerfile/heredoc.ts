// Heredocs: finding `<<NAME` in an instruction, and reading the bodies below it.
import { trim } from '../blanks.ts';
import { DockerfileError, type SourceRange } from '../errors.ts';
import type { Heredoc } from './instruction.ts';
import type { SourceLine } from './lines.ts';
import type { ReadMode } from './word-reader.ts';
import { read } from './words.ts';

/** `<<NAME` before its body is known. */
export type HeredocStart = Pick<Heredoc, 'name' | 'expand' | 'chomp'>;

/** A heredoc whose body is also kept as it stands in the file, for ONBUILD. */
export interface HeredocSource extends Heredoc {
  readonly rawBody: string;
}

const nothing = (): undefined => undefined;

/** The heredoc a single word begins, or undefined: optional descriptor, `<<`, optional `-`, and one name that can be read. */
export function parseHeredocWord(word: string): HeredocStart | undefined {
  const match = /^\d*<<(-?)[\t\n\f\r ]*([^<]*)$/.exec(word);
  const name = match?.[2] ?? '';
  if (match === null || name === '') return undefined;
  const plain = tryRead(name, { escape: '\\', keepsUnset: true });
  const quoted = tryRead(name, { escape: '\\', keepsUnset: true, keepsQuotes: true });
  const [first = ''] = plain?.words ?? [];
  if (plain === undefined || quoted === undefined || plain.words.length !== 1) return undefined;
  // Quotes that vanish in one reading only were quotes, not characters: then the body is not expanded.
  return { name: first, chomp: match[1] === '-', expand: countQuotes(plain.value) === countQuotes(quoted.value) };
}

/** All heredocs an instruction's line begins, in order; a line that can't be lexed begins none. */
export function findHeredocs(line: string): readonly HeredocStart[] {
  if (!line.includes('<<')) return [];
  const mode = { escape: '\\', keepsQuotes: true, keepsEscapes: true, keepsUnset: true, joinsHeredocs: true } as const;
  const words = tryRead(line, mode)?.words ?? [];
  return words.map(parseHeredocWord).filter((heredoc) => heredoc !== undefined);
}

/**
 * Reads the bodies that begin at line index `first`, one after the other.
 * @throws ERR_DOCKERFILE when a terminator is missing
 */
export function readHeredocs(
  lines: readonly SourceLine[],
  first: number,
  starts: readonly HeredocStart[],
  range: SourceRange,
): { readonly heredocs: readonly HeredocSource[]; readonly next: number } {
  const heredocs: HeredocSource[] = [];
  let at = first;
  for (const start of starts) {
    let rawBody = '';
    for (;;) {
      const line = lines[at];
      if (line === undefined) {
        throw new DockerfileError(`Cannot parse heredoc ${start.name}: its end is missing`, range, {
          hint: terminatorHint(lines, first, start),
        });
      }
      at++;
      if ((start.chomp ? line.text.replace(/^\t+/, '') : line.text) === start.name) break;
      rawBody += line.raw;
    }
    heredocs.push({ ...start, rawBody, body: start.chomp ? rawBody.replaceAll(/(^|\n)\t+/g, '$1') : rawBody });
  }
  return { heredocs, next: at };
}

function terminatorHint(lines: readonly SourceLine[], first: number, start: HeredocStart): string {
  const near = lines.findIndex((line, index) => index >= first && trim(line.text) === start.name);
  if (near < 0) return `end it with a line that holds only ${start.name}`;
  return `line ${near + 1} has blanks beside ${start.name}; ${start.chomp ? 'only tabs before it are allowed' : 'use <<- for one indented by tabs'}`;
}

function tryRead(text: string, mode: ReadMode): ReturnType<typeof read> | undefined {
  try {
    return read(text, nothing, mode);
  } catch {
    return undefined; // an open quote belongs to the shell or to a later, better message
  }
}

function countQuotes(text: string): number {
  return text.replaceAll(/[^'"]/g, '').length;
}
