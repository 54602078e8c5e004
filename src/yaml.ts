// YAML, and JSON as a part of it. The only file that knows the library, which is loaded where there is such a file (30 ms).
import { createRequire } from 'node:module';

/** A value and the line where it is named, counted from 1. */
export type Placed = PlacedText | PlacedList | PlacedMap;

export interface PlacedText {
  readonly kind: 'text';
  readonly line: number;
  /** As it is written: 1.10 stays that. */
  readonly text: string;
  /** What YAML takes it for. */
  readonly type: 'text' | 'number' | 'boolean' | 'null';
}

export interface PlacedList {
  readonly kind: 'list';
  readonly line: number;
  readonly items: readonly Placed[];
}

export interface PlacedMap {
  readonly kind: 'map';
  readonly line: number;
  readonly members: ReadonlyMap<string, Placed>;
}

type Fail = (why: string, cause?: unknown) => Error;

// The parts of the library that are used, as its own types are another 400 files.
interface Node {
  readonly range?: readonly [number, number, number];
  readonly items?: readonly (Node | Pair)[];
  readonly source?: string;
  readonly value?: unknown;
  readonly type?: string;
  resolve?(document: Document): Node | undefined;
}
interface Pair {
  readonly key: Node;
  readonly value: Node | null;
}
interface Document {
  readonly errors: readonly Error[];
  readonly contents: Node | null;
}
interface Library {
  parseDocument(text: string, options: object): Document;
  readonly LineCounter: new () => { linePos(offset: number): { readonly line: number } };
  isMap(node: unknown): boolean;
  isSeq(node: unknown): boolean;
  isAlias(node: unknown): boolean;
}

// Aliases that grow without end are refused by the library's own limit.
const options = { mapAsMap: true, maxAliasCount: 100, strict: true, uniqueKeys: true };
const nodeLimit = 100_000;
/** An alias may stand in its own value. */
const depthLimit = 100;

/** Every value with its line; anchors and merge keys (`<<`) are what they stand for. @throws what `fail` makes of the library's words */
export function readPlacedYaml(text: string, fail: Fail): Placed {
  const library = load();
  const lines = new library.LineCounter();
  const document = library.parseDocument(text, { ...options, lineCounter: lines });
  const [mistake] = document.errors;
  if (mistake !== undefined) throw fail(firstLine(mistake), mistake);
  let count = 0;
  const place = (node: Node | null, depth: number, named?: number): Placed => {
    if (++count > nodeLimit) throw fail(`it has more than ${nodeLimit} values`);
    const line = named ?? (node?.range === undefined ? 1 : lines.linePos(node.range[0]).line);
    if (depth > depthLimit) throw fail(`line ${line}: values in values are more than ${depthLimit} deep`);
    if (library.isAlias(node)) return place(node?.resolve?.(document) ?? null, depth + 1, line);
    const items = node?.items ?? [];
    if (library.isSeq(node)) return { kind: 'list', line, items: items.map((item) => place(isPair(item) ? null : item, depth + 1)) };
    if (!library.isMap(node)) return placeText(node, line);
    const own = new Map<string, Placed>();
    const merged = new Map<string, Placed>();
    for (const { key, value } of items.filter(isPair)) {
      const name = String(key.value);
      const member = place(value, depth + 1, key.range === undefined ? line : lines.linePos(key.range[0]).line);
      if (name !== '<<') own.set(name, member);
      else for (const part of member.kind === 'list' ? member.items : [member]) if (part.kind === 'map') addMissing(merged, part.members);
    }
    addMissing(own, merged);
    return { kind: 'map', line, members: own };
  };
  return place(document.contents, 0);
}

function placeText(node: Node | null, line: number): PlacedText {
  const value = node?.value ?? null;
  if (value === null) return { kind: 'text', line, text: '', type: 'null' };
  if (typeof value === 'string') return { kind: 'text', line, text: value, type: 'text' };
  const text = node?.source ?? JSON.stringify(value);
  return { kind: 'text', line, text, type: typeof value === 'boolean' ? 'boolean' : 'number' };
}

function isPair(item: Node | Pair): item is Pair {
  return 'key' in item;
}

function addMissing(to: Map<string, Placed>, from: ReadonlyMap<string, Placed>): void {
  for (const [name, member] of from) if (!to.has(name)) to.set(name, member);
}

function firstLine(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? 'it is no YAML') : 'it is no YAML';
}

function load(): Library {
  return createRequire(import.meta.url)('yaml');
}
