// How a mistake in a Dockerfile is shown: what is wrong, where, the line itself with the place marked, and what to try.
import { type DockerfileError, type SourceRange, replaceUsers } from '../errors.ts';

const tabWidth = 4;
const maxShownLines = 8;
const maxShownColumns = 160;

/**
 * The error as a block of lines for people:
 *
 *     Cannot parse COPY: unknown flag --chonw
 *       ┌─ Dockerfile:4:6
 *     3 │ WORKDIR /app
 *     4 │ COPY --chonw=1 a b
 *       │      ^^^^^^^^^
 *       = help: did you mean --chown?
 *
 * The text is the Dockerfile's own, which may hold what a terminal would obey: control characters are shown as `?`.
 */
export function formatDockerfileError(error: Pick<DockerfileError, 'message' | 'range' | 'hint'>, text: string, name: string): string {
  const help = error.hint === undefined ? [] : [error.hint];
  return [error.message, ...formatPlace(error.range, text, name, help)].map(withoutControls).join('\n');
}

/** The place alone: `┌─ name:line:column`, the lines, and a caret under each marked character. */
export function formatPlace(range: SourceRange, text: string, name: string, help: readonly string[] = []): readonly string[] {
  const lines = readLines(text);
  const { start, end } = range;
  const lastLine = Math.min(end.line, start.line + maxShownLines - 1, Math.max(lines.length, start.line));
  const width = String(lastLine).length;
  const margin = ' '.repeat(width);
  const shown: string[] = [`${margin} ┌─ ${name}:${start.line}:${start.column}`];
  for (let line = Math.max(1, start.line - 1); line <= lastLine; line++) {
    const content = lines[line - 1];
    if (content === undefined || (line < start.line && content.trim() === '')) continue;
    const from = line === start.line ? start.column - 1 : indentOf(content);
    const to = line === end.line ? end.column - 1 : content.trimEnd().length;
    const window = windowOf(content, from);
    shown.push(`${String(line).padStart(width)} │ ${window.text}`.trimEnd());
    if (line < start.line) continue;
    const carets = caretLine(content, from, Math.min(to, content.length), window);
    if (carets !== '') shown.push(`${margin} │ ${carets}`);
  }
  if (lastLine < end.line && lastLine < lines.length) shown.push(`${margin} │ … up to line ${end.line}`);
  return [...shown, ...help.map((hint) => `${margin} = help: ${hint}`)];
}

// Not splitLines(): an over-long line is an error itself, and is shown like any other. Users and passwords of URLs are hidden
// behind as many characters, so that columns stay.
function readLines(text: string): readonly string[] {
  const hidden = (user: string): string => 'x'.repeat(user.length);
  const bases = text.replace(/^\uFEFF/, '').replace(userOfBase, (_, before: string, user: string) => `${before}${hidden(user)}`);
  return replaceUsers(bases, hidden).split(/\r?\n/);
}

interface Window {
  readonly text: string;
  /** Index in the line of the first character shown, and how much stands before it. */
  readonly first: number;
  readonly lead: string;
}

// A long line is cut around the place that matters.
function windowOf(content: string, from: number): Window {
  const first = from > maxShownColumns - 40 ? from - 40 : 0;
  const lead = first === 0 ? '' : '…';
  const cut = content.slice(first, first + maxShownColumns);
  const tail = first + maxShownColumns < content.length ? '…' : '';
  return { text: lead + expandTabs(cut) + tail, first, lead };
}

function caretLine(content: string, from: number, to: number, window: Window): string {
  const before = displayWidth(expandTabs(content.slice(window.first, from))) + window.lead.length;
  const marked = content.slice(from, Math.min(to, window.first + maxShownColumns));
  return `${' '.repeat(before)}${'^'.repeat(Math.max(1, displayWidth(expandTabs(marked))))}`;
}

function indentOf(content: string): number {
  return content.length - content.trimStart().length;
}

function expandTabs(text: string): string {
  return text.replaceAll('\t', ' '.repeat(tabWidth));
}

// Combining marks take no column and East Asian wide characters two; close enough to keep carets under their word.
function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) {
    if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(char)) continue;
    width += /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}|[\uff01-\uff60]/u.test(char)
      ? 2
      : 1;
  }
  return width;
}

/** The line with what a terminal would obey shown as `?`. */
export function withoutControls(line: string): string {
  return line.replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '?');
}

/** Where somebody took the name of an image for a URL. */
const userOfBase = /^(\s*FROM\s+(?:--\S+\s+)*)([^\s/@]+)(?=@(?!sha\d+:)[^\s/@]+\/)/gim;
