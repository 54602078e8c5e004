// Words of a Dockerfile: quotes, escapes and variables, as BuildKit's shell lexer reads them (a small part of sh).
import { BuilderError, DockerfileError, type SourceRange } from '../errors.ts';
import { type Environment, type ReadMode, WordMistake, WordReader } from './word-reader.ts';

export interface ExpandOptions {
  /** The Dockerfile's escape character, a backslash unless told. */
  readonly escape?: '\\' | '`';
  /** Where the word stands, for errors. */
  readonly range?: SourceRange;
}

export interface Expansion {
  readonly value: string;
  /** Variables that were looked up and not found, in order, once each. */
  readonly unset: readonly string[];
  /** Variables that were found, in order, once each. */
  readonly used: readonly string[];
}

/**
 * One word without its quotes and escapes, its variables replaced; unset ones are empty.
 * @throws ERR_DOCKERFILE for a bad `${}`, an open quote, or `${name?message}`
 */
export function expandWord(word: string, environment: Environment, options: ExpandOptions = {}): Expansion {
  return read(word, environment, { escape: options.escape ?? '\\' }, options.range);
}

/** Like expandWord(), split at blanks after the variables are replaced: one variable may hold several words. */
export function expandWords(
  word: string,
  environment: Environment,
  options: ExpandOptions = {},
): Expansion & { readonly words: readonly string[] } {
  return read(word, environment, { escape: options.escape ?? '\\' }, options.range);
}

/** The body of a heredoc with its variables replaced: quotes stay, and the escape is always a backslash. */
export function expandHeredoc(body: string, environment: Environment, options: Pick<ExpandOptions, 'range'> = {}): Expansion {
  return read(body, environment, { escape: '\\', keepsQuotesLiteral: true }, options.range);
}

/** The reading all exports share. @throws ERR_DOCKERFILE */
export function read(
  text: string,
  environment: Environment,
  mode: ReadMode,
  range?: SourceRange,
): Expansion & { readonly words: readonly string[] } {
  const reader = new WordReader(text, environment, mode);
  try {
    const { value, words } = reader.readUntil(undefined, mode.keepsEscapes ?? false);
    return { value, words, unset: [...reader.unset], used: [...reader.used] };
  } catch (error) {
    if (!(error instanceof WordMistake)) throw error;
    const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
    const message = `Cannot expand ${JSON.stringify(shown)}: ${error.message}`;
    const options = error.hint === undefined ? { cause: error } : { cause: error, hint: error.hint };
    throw range === undefined ? new BuilderError('ERR_DOCKERFILE', message, options) : new DockerfileError(message, range, options);
  }
}
