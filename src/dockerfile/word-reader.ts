// Reads one word: quotes, escapes and every form of `$`, and what is between them at once. words.ts is its door.
import { isBlank } from '../blanks.ts';
import { compilePattern, replaceMatches, trimEnd, trimStart } from './pattern.ts';

/** Where variables come from; undefined means unset. */
export type Environment = ReadonlyMap<string, string> | ((name: string) => string | undefined);

/** How much of a word survives reading; the parser looks for heredocs with most of it kept. */
export interface ReadMode {
  readonly escape: '\\' | '`';
  /** Quotes are characters like any other. */
  readonly keepsQuotesLiteral?: boolean;
  /** Quotes work, and stay in the result. */
  readonly keepsQuotes?: boolean;
  readonly keepsEscapes?: boolean;
  readonly keepsUnset?: boolean;
  /** `<<` takes the blanks behind it into its word. */
  readonly joinsHeredocs?: boolean;
}

/** What is wrong with a word; words.ts adds the word and its place. */
export class WordMistake extends Error {
  readonly hint: string | undefined;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

const digits = /\p{Nd}+/uy;
const nameCharacters = /[\p{L}\p{Nd}_]+/uy;
/** What means nothing in any mode: character by character, a heredoc of megabytes would be a hundred times its size. */
const plain = /[^$'"<\\`}/]+/y;
// Each level is four calls deep, and the stack holds some 2,000 levels.
const maximumDepth = 200;
const maximumComparisons = 2 ** 26; // about half a second
// Some forty variables that double each other would fill any memory. Registries take configs of 4 MiB, and this is one value of one.
const maximumLength = 2 ** 22;
const missingBrace = 'missing "}"';
const dollarHint = 'write a literal dollar sign as \\$';

/** Collects words beside the whole value: blanks split, except quoted or escaped ones. */
class WordList {
  readonly #words: string[] = [];
  #word = '';
  add(text: string): void {
    let start = 0;
    for (let at = 0; at < text.length; at++) {
      if (!isBlank(text[at] ?? '')) continue;
      this.#word += text.slice(start, at);
      this.#flush();
      start = at + 1;
    }
    this.#word += text.slice(start);
  }
  addRaw(text: string): void {
    this.#word += text;
  }
  finish(): readonly string[] {
    this.#flush();
    return this.#words;
  }
  #flush(): void {
    if (this.#word !== '') this.#words.push(this.#word);
    this.#word = '';
  }
}

/** One reading of one text; `unset` and `used` fill as it goes. */
export class WordReader {
  readonly #text: string;
  readonly #lookup: (name: string) => string | undefined;
  readonly #mode: ReadMode;
  #at = 0;
  #keepsEscapes = false;
  #depth = 0;
  #length = 0;
  readonly unset = new Set<string>();
  readonly used = new Set<string>();

  constructor(text: string, environment: Environment, mode: ReadMode) {
    this.#text = text;
    this.#lookup = typeof environment === 'function' ? environment : (name): string | undefined => environment.get(name);
    this.#mode = mode;
  }

  readUntil(stop: string | undefined, keepsEscapes: boolean): { readonly value: string; readonly words: readonly string[] } {
    if (this.#depth > maximumDepth)
      throw new WordMistake(`"\${" nests more than ${maximumDepth} deep`, 'give the inner parts names of their own, by ARG or ENV');
    const outer = this.#keepsEscapes;
    this.#keepsEscapes = keepsEscapes;
    this.#depth++;
    const words = new WordList();
    let value = '';
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) {
        if (stop !== undefined) throw new WordMistake(stop === '}' ? missingBrace : 'missing "/" in ${}', dollarHint);
        break;
      }
      if (char === stop) {
        this.#at++;
        break;
      }
      const special = this.#readSpecial(char);
      if (special !== undefined) {
        value += special;
        if (char === '$') words.add(special);
        else words.addRaw(special);
      } else {
        const { text, isEscaped } = this.#readPlain();
        value += text;
        if (isEscaped) words.addRaw(text);
        else words.add(text);
      }
    }
    this.#depth--;
    this.#keepsEscapes = outer;
    return { value, words: words.finish() };
  }

  #readSpecial(char: string): string | undefined {
    if (char === '$') return this.#readDollar();
    if (this.#mode.keepsQuotesLiteral === true) return undefined;
    if (char === "'") return this.#readSingleQuoted();
    if (char === '"') return this.#readDoubleQuoted();
    if (char === '<' && this.#mode.joinsHeredocs === true) return this.#readAngle();
    return undefined;
  }

  #readPlain(): { readonly text: string; readonly isEscaped: boolean } {
    const char = this.#text[this.#at++] ?? '';
    if (char !== this.#mode.escape) return { text: char + this.#take(plain), isEscaped: false };
    const escaped = this.#text[this.#at] ?? '';
    if (escaped !== '') this.#at++;
    return { text: this.#keepsEscapes ? char + escaped : escaped, isEscaped: true };
  }

  #readAngle(): string {
    this.#at++;
    if (this.#text[this.#at] !== '<') return '<';
    this.#at++;
    let text = '<<';
    for (let char = this.#text[this.#at]; char !== undefined && isBlank(char); char = this.#text[this.#at]) {
      text += char;
      this.#at++;
    }
    return text;
  }

  #readSingleQuoted(): string {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end < 0) throw new WordMistake("missing closing '", "escape a lone quote with a backslash: \\'");
    const text = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return this.#mode.keepsQuotes === true ? `'${text}'` : text;
  }

  #readDoubleQuoted(): string {
    this.#at++;
    let text = '';
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) throw new WordMistake('missing closing "', 'escape a lone quote with a backslash: \\"');
      if (char === '$') {
        text += this.#readDollar();
        continue;
      }
      this.#at++;
      if (char === '"') return this.#mode.keepsQuotes === true ? `"${text}"` : text;
      if (char !== this.#mode.escape) {
        text += char;
        continue;
      }
      const escaped = this.#text[this.#at];
      if (this.#keepsEscapes) text += char;
      if (escaped === undefined) continue;
      if (escaped === '"' || escaped === '$' || escaped === this.#mode.escape) {
        text += escaped;
        this.#at++;
      } else text += char; // every other escape stays as written
    }
  }

  #readDollar(): string {
    const text = this.#readVariable();
    this.#length += text.length;
    if (this.#length > maximumLength)
      throw new WordMistake(`it becomes longer than ${maximumLength} characters`, 'shorten the values of its variables');
    return text;
  }

  #readVariable(): string {
    this.#at++;
    if (this.#text[this.#at] !== '{') {
      const name = this.#readName();
      if (name === '') return '$';
      return this.#find(name) ?? (this.#mode.keepsUnset === true ? `$${name}` : '');
    }
    this.#at++;
    const first = this.#text[this.#at];
    if (first === undefined) throw new WordMistake(missingBrace, dollarHint);
    if (first === '{' || first === '}' || first === ':') throw new WordMistake('a variable name must follow "${"', dollarHint);
    return this.#readBraced(this.#readName());
  }

  #readBraced(name: string): string {
    let operator = this.#text[this.#at++];
    if (operator === undefined) throw new WordMistake(missingBrace, dollarHint);
    if (operator === '}') return this.#find(name) ?? (this.#mode.keepsUnset === true ? `\${${name}}` : '');
    if (operator === '/') return this.#readReplacement(name);
    const hasColon = operator === ':';
    if (hasColon) {
      operator = this.#text[this.#at++];
      if (operator === undefined) throw new WordMistake(missingBrace, dollarHint);
    }
    const isPattern = operator === '#' || operator === '%';
    if (!'+-?#%'.includes(operator) || (hasColon && isPattern)) {
      throw new WordMistake(`unknown modifier "${hasColon ? ':' : ''}${operator}"`, 'known are :- - :+ + :? ? # ## % %% / //');
    }
    const word = this.readUntil('}', isPattern).value;
    const value = this.#find(name);
    if (value === undefined && this.#mode.keepsUnset === true) return `\${${name}${hasColon ? ':' : ''}${operator}${word}}`;
    return isPattern ? trim(operator, word, value ?? '') : choose(name, `${hasColon ? ':' : ''}${operator}`, word, value);
  }

  #readReplacement(name: string): string {
    const all = this.#text[this.#at] === '/';
    if (all) this.#at++;
    const pattern = this.readUntil('/', true).value;
    const replacement = this.readUntil('}', true).value;
    const value = this.#find(name);
    if (value === undefined && this.#mode.keepsUnset === true) return `\${${name}${all ? '//' : '/'}${pattern}/${replacement}}`;
    const compiled = compile(pattern, value ?? '');
    return replaceMatches(compiled, value ?? '', replacement.replaceAll(/\\([/}])/g, '$1'), { all, most: maximumLength });
  }

  #readName(): string {
    const first = this.#text[this.#at] ?? '';
    if (first !== '' && '@*#?-$!'.includes(first)) {
      this.#at++;
      return first;
    }
    return this.#take(digits) || this.#take(nameCharacters); // $12abc is the parameter 12, then abc
  }

  /** What `sticky` matches from here on, maybe nothing. */
  #take(sticky: RegExp): string {
    sticky.lastIndex = this.#at;
    const text = sticky.exec(this.#text)?.[0] ?? '';
    this.#at += text.length;
    return text;
  }

  #find(name: string): string | undefined {
    const value = this.#lookup(name);
    (value === undefined ? this.unset : this.used).add(name);
    return value;
  }
}

function choose(name: string, operator: string, word: string, value: string | undefined): string {
  const isAbsent = value === undefined || (operator.startsWith(':') && value === '');
  if (operator.endsWith('-')) return isAbsent ? word : value;
  if (operator.endsWith('+')) return isAbsent ? '' : word;
  if (!isAbsent) return value;
  throw new WordMistake(
    `${name}: ${word !== '' ? word : value === undefined ? 'it must be set' : 'it must not be empty'}`,
    `pass --build-arg ${name}=...`,
  );
}

function trim(operator: string, word: string, value: string): string {
  const longest = word.startsWith(operator);
  const pattern = compile(longest ? word.slice(1) : word, value);
  return operator === '#' ? trimStart(pattern, value, longest) : trimEnd(pattern, value, longest);
}

// A pattern for this value: each of its parts between stars is compared with each place of the value at worst.
function compile(pattern: string, value: string): ReturnType<typeof compilePattern> {
  try {
    const compiled = compilePattern(pattern);
    const longestPart = compiled.reduce((most, part) => Math.max(most, part.length), 0);
    if (longestPart * value.length <= maximumComparisons) return compiled;
    throw new WordMistake(`a pattern of ${pattern.length} characters is too long for a value of ${value.length}`, 'shorten the pattern');
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new WordMistake(`pattern ${JSON.stringify(pattern)}: ${error.message}`, 'only \\* \\? \\\\ may be escaped');
    throw error;
  }
}
