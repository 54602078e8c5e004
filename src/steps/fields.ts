// The fields of a map in a build config: each read once by its kind, what is left is refused by its name and line.
import { didYouMean } from '../suggest.ts';
import type { Placed } from '../yaml.ts';
import type { Refuse } from './step.ts';

export class Fields {
  readonly line: number;
  readonly #members: ReadonlyMap<string, Placed>;
  readonly #seen = new Set<string>();
  readonly #place: string;
  readonly #refuse: Refuse;

  /** `place` is how it is called in errors, empty for the whole file. */
  constructor(node: Placed, place: string, refuse: Refuse) {
    if (node.kind !== 'map') refuse(node.line, `${place === '' ? 'the file' : place} has no fields`);
    this.line = node.line;
    const members = node.kind === 'map' ? [...node.members] : [];
    // Cloud Build takes `substitution_option` for `substitutionOption`, as every reader of protocol buffers does.
    this.#members = new Map(
      members.map(([name, value]) => [name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()), value]),
    );
    this.#place = place === '' ? '' : `${place}.`;
    this.#refuse = refuse;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** A field that says nothing is none. */
  get(name: string): Placed | undefined {
    this.#seen.add(name);
    const found = this.#members.get(name);
    return found?.kind === 'text' && found.type === 'null' ? undefined : found;
  }

  lineOf(name: string): number {
    return this.#members.get(name)?.line ?? this.line;
  }

  /** @throws always, naming the field */
  refuse(name: string, why: string, hint?: string): never {
    return this.#refuse(this.lineOf(name), `${this.#place}${name} ${why}`, hint);
  }

  text(name: string): string | undefined {
    const found = this.get(name);
    if (found === undefined || found.kind === 'text') return found?.text;
    return this.refuse(name, 'is no text');
  }

  /** A text alone is a list of one. */
  texts(name: string): readonly string[] {
    const found = this.get(name);
    if (found === undefined) return [];
    if (found.kind === 'text') return [found.text];
    if (found.kind === 'map') return this.refuse(name, 'is no list');
    return found.items.map((item) => (item.kind === 'text' ? item.text : this.refuse(name, 'has something that is no text')));
  }

  boolean(name: string): boolean | undefined {
    const text = this.text(name)?.toLowerCase();
    if (text === undefined || text === 'true' || text === 'false') return text === undefined ? undefined : text === 'true';
    return this.refuse(name, 'is neither true nor false');
  }

  /** A whole number, 0 or more. */
  count(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined || /^\d{1,9}$/.test(text)) return text === undefined ? undefined : Number(text);
    return this.refuse(name, `is ${JSON.stringify(text)}, and no whole number`);
  }

  /** `NAME=VALUE` each. */
  variables(name: string): ReadonlyMap<string, string> {
    const pairs = this.texts(name).map((item): [string, string] => {
      const equals = item.indexOf('=');
      return equals > 0
        ? [item.slice(0, equals), item.slice(equals + 1)]
        : this.refuse(name, `has ${JSON.stringify(item)}, and no NAME=VALUE`);
    });
    return new Map(pairs);
  }

  /** A map of texts. */
  pairs(name: string): ReadonlyMap<string, string> {
    const found = this.get(name);
    if (found === undefined) return new Map();
    if (found.kind !== 'map') return this.refuse(name, 'is no map');
    const text = (value: Placed): string => (value.kind === 'text' ? value.text : this.refuse(name, 'has something that is no text'));
    return new Map([...found.members].map(([key, value]) => [key, text(value)]));
  }

  /** A list of maps, and the fields of each. */
  list(name: string): readonly Fields[] {
    const found = this.get(name);
    if (found === undefined) return [];
    if (found.kind !== 'list') return this.refuse(name, 'is no list');
    return found.items.map((item, position) => new Fields(item, `${this.#place}${name}[${position}]`, this.#refuse));
  }

  /** Refuses what was never asked for. `reasons` are of fields that the service has. */
  finish(reasons: Readonly<Record<string, string>> = {}): void {
    for (const name of this.#members.keys()) {
      if (this.#seen.has(name)) continue;
      const reason = reasons[name];
      if (reason !== undefined) this.refuse(name, `can't be honoured: ${reason}`);
      this.refuse(name, `is no field that is known here`, didYouMean(name, [...this.#seen, ...Object.keys(reasons)]));
    }
  }
}
