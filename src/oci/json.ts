// JSON that loses nothing: objects become Maps (so `__proto__` is only a key) and whole numbers that a double can't
// hold keep their digits.
import { BuilderError } from '../errors.ts';

export type JsonObject = ReadonlyMap<string, Json>;
/** A value of JSON; `bigint` stands for a whole number beyond 2^53. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;

/** Objects, lists and members, counted together: 8 MiB of descriptors have fewer. Each costs a hundred times its text in memory. */
const memberLimit = 300_000;
/** So deep may objects and lists lie in each other; no image has ten. */
const depthLimit = 1000;

/**
 * `subject` is what messages call it.
 * @throws ERR_LAYER when the text is not JSON, has more members or is nested deeper than an image can be, or an object in it has a key
 * twice: readers differ in which of the two they take. The message holds the reason and the place, not the text.
 */
export function parseJson(text: string, subject = 'JSON'): Json {
  try {
    return new JsonReader(text, subject).read();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw refusal(subject, reasonOf(text));
  }
}

function refusal(subject: string, why: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot read ${subject}: ${why}`);
}

/** What the engine says of a text that is no JSON: it counts lines and columns. */
function reasonOf(text: string): string {
  try {
    JSON.parse(text);
  } catch (error) {
    if (error instanceof Error) return error.message.replace(/, ".*$/s, '');
  }
  return 'malformed';
}

/** Reads one text in one pass, so that what is too much is refused before it is held. A SyntaxError only says that it is no JSON. */
class JsonReader {
  readonly #text: string;
  readonly #subject: string;
  #at = 0;
  #members = 0;

  constructor(text: string, subject: string) {
    this.#text = text;
    this.#subject = subject;
  }

  read(): Json {
    const value = this.#value(0);
    this.#skipBlanks();
    if (this.#at < this.#text.length) throw new SyntaxError();
    return value;
  }

  #value(depth: number): Json {
    if (depth > depthLimit) throw refusal(this.#subject, 'it is nested too deep');
    if (this.#take('{')) return this.#object(depth);
    if (this.#take('[')) return this.#list(depth);
    return this.#text[this.#at] === '"' ? this.#string() : this.#word();
  }

  #object(depth: number): Json {
    const members = new Map<string, Json>();
    this.#count();
    if (this.#take('}')) return members;
    do {
      this.#skipBlanks();
      const start = this.#at;
      const key = this.#string();
      if (members.has(key)) throw refusal(this.#subject, `a key comes twice at position ${start}`);
      this.#expect(':');
      members.set(key, this.#value(depth + 1));
      this.#count();
    } while (this.#take(','));
    this.#expect('}');
    return members;
  }

  #list(depth: number): Json {
    const items: Json[] = [];
    this.#count();
    if (this.#take(']')) return items;
    do items.push(this.#value(depth + 1));
    while (this.#take(','));
    this.#expect(']');
    return items;
  }

  #string(): string {
    const text = this.#text;
    let end = this.#at + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    const value: unknown = JSON.parse(text.slice(this.#at, end + 1));
    if (typeof value !== 'string') throw new SyntaxError();
    this.#at = end + 1;
    return value;
  }

  /** A number, or a name. */
  #word(): Json {
    const word = /[-+.\w]*/y;
    word.lastIndex = this.#at;
    const [source = ''] = word.exec(this.#text) ?? [];
    this.#at += source.length;
    const value: unknown = JSON.parse(source);
    if (typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source)) return BigInt(source);
    return value as Json; // of these signs nothing else is JSON
  }

  #count(): void {
    this.#members += 1;
    if (this.#members > memberLimit) throw refusal(this.#subject, `it has more than ${memberLimit} members`);
  }

  #expect(sign: string): void {
    if (!this.#take(sign)) throw new SyntaxError();
  }

  #take(sign: string): boolean {
    this.#skipBlanks();
    if (this.#text[this.#at] !== sign) return false;
    this.#at += 1;
    return true;
  }

  #skipBlanks(): void {
    while (/^[ \t\n\r]$/.test(this.#text[this.#at] ?? '')) this.#at += 1;
  }
}

/** An object of these members in their order, without those that are undefined. */
export function jsonObject(members: Readonly<Record<string, Json | undefined>>): JsonObject {
  return new Map(Object.entries(members).flatMap(([key, value]): [string, Json][] => (value === undefined ? [] : [[key, value]])));
}

/** Compact JSON; the Maps' own order is kept. */
export function formatJson(value: Json): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return JSON.stringify(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Map) {
    return `{${[...value].map(([key, item]: [string, Json]) => `${JSON.stringify(key)}:${formatJson(item)}`).join(',')}}`;
  }
  if (Array.isArray(value)) return `[${value.map((item: Json) => formatJson(item)).join(',')}]`;
  throw new BuilderError('ERR_INTERNAL', 'Cannot write JSON: unknown kind of value');
}
