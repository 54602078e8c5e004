// An instruction's line taken apart: keyword, flags, and the rest, each with its place.
import { isBlank, trimEnd } from '../blanks.ts';

/** Text with its offsets in the logical line. */
export interface Span {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A `--name[=value]` word; `text` has quotes and escapes processed, the offsets are of the original. */
export interface CommandLine {
  readonly keyword: Span;
  readonly flags: readonly Span[];
  readonly rest: Span;
}

/** Splits at the first blanks from `from` on, then takes flags while words begin with `--`; a lone `--` ends them. */
export function splitCommand(text: string, escape: string, from = 0): CommandLine {
  const start = skipBlanks(text, from);
  const keywordEnd = skipTo(text, start, /[\t\v\f\r ]/);
  const flags: Span[] = [];
  let at = skipBlanks(text, keywordEnd);
  while (text.startsWith('--', at)) {
    const flag = readFlag(text, at, escape);
    at = skipBlanks(text, flag.end);
    if (flag.text === '--') break;
    flags.push(flag);
  }
  const end = at + trimEnd(text.slice(at)).length;
  return {
    keyword: { text: text.slice(start, keywordEnd), start, end: keywordEnd },
    flags,
    rest: { text: text.slice(at, end), start: at, end },
  };
}

function readFlag(text: string, start: number, escape: string): Span {
  let quote = '';
  let value = '';
  let at = start;
  for (; at < text.length; at++) {
    const char = text[at] ?? '';
    if (quote === '' && isBlank(char)) break;
    if (char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === escape) {
      at++;
      value += text[at] ?? '';
    } else value += char;
  }
  return { text: value, start, end: Math.min(at, text.length) };
}

/** The words of `span` between blanks, as they are. */
export function splitBlanks(span: Span): readonly Span[] {
  return [...span.text.matchAll(/[^\t\v\f\r ]+/g)].map((match) => {
    const start = span.start + match.index;
    return { text: match[0], start, end: start + match[0].length };
  });
}

/**
 * The words of `span` between blanks outside quotes; quotes and escapes stay in the words.
 * An escape at the very end is dropped.
 */
export function splitQuoted(span: Span, escape: string): readonly Span[] {
  const words: Span[] = [];
  const text = span.text;
  let at = skipBlanks(text, 0);
  while (at < text.length) {
    const start = at;
    let quote = '';
    let word = '';
    for (; at < text.length; at++) {
      const char = text[at] ?? '';
      if (quote === '' && isBlank(char)) break;
      if (char === escape && quote !== "'") {
        if (at + 1 >= text.length) continue;
        at++;
        word += char + (text[at] ?? '');
        continue;
      }
      if (char === quote) quote = '';
      else if (quote === '' && (char === '"' || char === "'")) quote = char;
      word += char;
    }
    if (word !== '') words.push({ text: word, start: span.start + start, end: span.start + Math.min(at, text.length) });
    at = skipBlanks(text, at);
  }
  return words;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && isBlank(text[at] ?? '')) at++;
  return at;
}

function skipTo(text: string, from: number, stop: RegExp): number {
  let at = from;
  while (at < text.length && !stop.test(text[at] ?? '')) at++;
  return at;
}
