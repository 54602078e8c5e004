// Go templates for `--format`, as far as people write them for container tools: fields, range, if, with, variables, pipelines, and
// the functions that docker, podman and skopeo have. text/template is the reference.
import { BuilderError } from '../errors.ts';
import { type Json, type JsonObject, formatJson } from '../oci/json.ts';
import { type Expression, type Node, parseTemplate } from './parse-template.ts';

/** The text that a template makes of a value. @throws ERR_USAGE for a malformed template, or a member that isn't there */
export function renderTemplate(template: string, value: Json): string {
  return render(parseTemplate(template), { dot: value, variables: new Map([['$', value]]) });
}

/** The same as a line; `\n` and `\t` may be written, as in a shell's words. */
export function renderLine(template: string, value: Json): string {
  const text = renderTemplate(unescaped(template), value);
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** A template with the line breaks and tabs that a shell's words have as `\n` and `\t`. */
export function unescaped(template: string): string {
  return template.replaceAll('\\n', '\n').replaceAll('\\t', '\t');
}

/** How Go prints a value in a template. */
function printValue(value: Json): string {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map((item: Json) => printValue(item)).join(' ')}]`;
  if (value instanceof Map) {
    const pairs = [...value].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `map[${pairs.map(([key, item]: [string, Json]) => `${key}:${printValue(item)}`).join(' ')}]`;
  }
  return typeof value === 'string' ? value : formatJson(value);
}

/** Fields of Go's types for images that JSON leaves out where they are zero, which a template may name all the same. */
const zeroValues: ReadonlyMap<string, Json> = new Map<string, Json>([
  ...['Author', 'Variant', 'Tag', 'Comment', 'CreatedBy', 'User', 'WorkingDir', 'StopSignal', 'DockerVersion'].map(
    (name) => [name, ''] as const,
  ),
  ...['EmptyLayer', 'ArgsEscaped'].map((name) => [name, false] as const),
  ...['Env', 'Entrypoint', 'Cmd', 'OnBuild', 'Shell', 'History'].map((name) => [name, []] as const),
  ...['Labels', 'ExposedPorts', 'Volumes', 'Annotations'].map((name) => [name, new Map<string, Json>()] as const),
]);

/** Fields that are no text in Go: a time, sets, and lists and maps that JSON has as null. */
function printField(expression: Expression, value: Json): string {
  const name = expression.kind === 'field' || expression.kind === 'member' ? (expression.path.at(-1) ?? '') : '';
  const time = name === 'Created' && typeof value === 'string' ? /^([\d-]{10})T([\d:.]{8,18})Z$/.exec(value) : null;
  if (time !== null) return `${time[1] ?? ''} ${(time[2] ?? '').replace(/\.?0*$/, (zeros, at: number) => (at < 8 ? zeros : ''))} +0000 UTC`;
  if (['ExposedPorts', 'Volumes'].includes(name) && value instanceof Map)
    return printValue(new Map([...value].map(([key]): [string, Json] => [key, '{}'])));
  return printValue(value ?? zeroValues.get(name) ?? null);
}

interface Scope {
  readonly dot: Json;
  readonly variables: ReadonlyMap<string, Json>;
}

function render(nodes: readonly Node[], outer: Scope): string {
  let shown = '';
  let scope = outer;
  for (const node of nodes) {
    switch (node.kind) {
      case 'text':
        shown += node.text;
        break;
      case 'print': {
        const value = evaluate(node.value, scope);
        if (node.variable === undefined) shown += printField(node.value, value);
        else scope = { ...scope, variables: new Map(scope.variables).set(node.variable, value) };
        break;
      }
      case 'range':
        shown += renderRange(node, scope);
        break;
      case 'if':
      case 'with': {
        const value = evaluate(node.value, scope);
        const inner = node.kind === 'with' && isTrue(value) ? { ...scope, dot: value } : scope;
        shown += render(isTrue(value) ? node.body : node.otherwise, inner);
        break;
      }
      default:
        node satisfies never;
    }
  }
  return shown;
}

function renderRange({ value, variables, body, otherwise }: Extract<Node, { readonly kind: 'range' }>, scope: Scope): string {
  const over = evaluate(value, scope);
  const pairs: readonly (readonly [Json, Json])[] = Array.isArray(over)
    ? over.map((item: Json, position) => [position, item] as const)
    : over instanceof Map
      ? [...over].toSorted(([a], [b]) => (a < b ? -1 : 1))
      : [];
  if (over !== null && !Array.isArray(over) && !(over instanceof Map)) throw wrong(`range can't iterate over ${printValue(over)}`);
  if (pairs.length === 0) return render(otherwise, scope);
  return pairs
    .map(([key, item]) => {
      const [first, second] = variables;
      const named = new Map(scope.variables);
      if (second !== undefined && first !== undefined) named.set(first, key).set(second, item);
      else if (first !== undefined) named.set(first, item);
      return render(body, { dot: item, variables: named });
    })
    .join('');
}

function evaluate(expression: Expression, scope: Scope): Json {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'field': {
      const start = expression.variable === undefined ? scope.dot : scope.variables.get(expression.variable);
      if (start === undefined) throw wrong(`there is no variable ${expression.variable ?? ''}`);
      return member(start, expression.path, expression.variable === undefined || expression.variable === '$');
    }
    case 'member':
      return member(evaluate(expression.of, scope), expression.path, false);
    case 'call': {
      const args = expression.args.map((arg) => evaluate(arg, scope));
      const known = functions.get(expression.name);
      if (known === undefined) throw wrong(`there is no function ${JSON.stringify(expression.name)}`, [...functions.keys()]);
      return known(...args);
    }
    default:
      return expression satisfies never;
  }
}

/** What no member of a thing is called is a mistake; what is not in a map is nothing. */
function member(value: Json, path: readonly string[], isStrict: boolean): Json {
  let found = value;
  for (const [depth, name] of path.entries()) {
    if (!(found instanceof Map)) throw wrong(`${printValue(found).slice(0, 60)} has no member .${name}`);
    const next: Json | undefined = found.has(name) ? found.get(name) : spelledInJson(found, name);
    if (next === undefined && isStrict && depth === 0 && !zeroValues.has(name))
      throw wrong(
        `there is no .${name}`,
        [...found.keys()].map((key) => `.${key}`),
      );
    found = next === undefined ? (zeroValues.get(name) ?? '') : next;
  }
  return found;
}

/** Go's name of a field where JSON has another spelling of it: `.CreatedBy` is "created_by". */
function spelledInJson(object: JsonObject, name: string): Json | undefined {
  if (!/^[A-Z]/.test(name)) return undefined;
  const wanted = name.toLowerCase();
  return [...object].find(([key]) => key.replaceAll('_', '').toLowerCase() === wanted)?.[1];
}

function isTrue(value: Json): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  return Boolean(value);
}

const functions: ReadonlyMap<string, (...args: readonly Json[]) => Json> = new Map<string, (...args: readonly Json[]) => Json>([
  ['json', (value = null) => formatJson(value)],
  [
    'join',
    (list = [], separator = '') =>
      Array.isArray(list) ? list.map((item: Json) => printValue(item)).join(printValue(separator)) : printValue(list),
  ],
  ['split', (value = '', separator = '') => printValue(value).split(printValue(separator))],
  ['upper', (value = '') => printValue(value).toUpperCase()],
  ['lower', (value = '') => printValue(value).toLowerCase()],
  ['title', (value = '') => printValue(value).replace(/\b\p{Ll}/gu, (letter) => letter.toUpperCase())],
  ['truncate', (value = '', length = 0) => printValue(value).slice(0, Number(length))],
  ['pad', (value = '', before = 0, after = 0) => ' '.repeat(Number(before)) + printValue(value) + ' '.repeat(Number(after))],
  ['len', (value = '') => (Array.isArray(value) ? value.length : value instanceof Map ? value.size : Buffer.byteLength(printValue(value)))],
  ['index', (value = null, ...keys) => keys.reduce(indexed, value)],
  ['print', (...args) => args.map((arg) => printValue(arg)).join('')],
  ['println', (...args) => `${args.map((arg) => printValue(arg)).join(' ')}\n`],
  ['printf', (format = '', ...args) => printf(printValue(format), args)],
  ['slice', (value = '', ...ends) => sliced(value, ends.map(Number))],
  ['lt', (first = null, second = null) => order(first, second) < 0],
  ['le', (first = null, second = null) => order(first, second) <= 0],
  ['gt', (first = null, second = null) => order(first, second) > 0],
  ['ge', (first = null, second = null) => order(first, second) >= 0],
  ['eq', (first = null, ...others) => others.some((other) => printValue(other) === printValue(first))],
  ['ne', (first = null, second = null) => printValue(first) !== printValue(second)],
  ['not', (value = null) => !isTrue(value)],
  ['and', (...args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1) ?? null],
  ['or', (...args) => args.find((arg) => isTrue(arg)) ?? args.at(-1) ?? null],
]);

function indexed(value: Json, key: Json): Json {
  if (value instanceof Map) return value.get(printValue(key)) ?? '';
  const found: Json | undefined = Array.isArray(value) ? value[Number(key)] : undefined;
  if (found === undefined) throw wrong(`index ${printValue(key)} is out of range`);
  return found;
}

function sliced(value: Json, [from, to]: readonly number[]): Json {
  return Array.isArray(value) ? value.slice(from, to) : printValue(value).slice(from, to);
}

function order(first: Json, second: Json): number {
  const [one, other] = typeof first === 'number' && typeof second === 'number' ? [first, second] : [printValue(first), printValue(second)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function printf(format: string, args: readonly Json[]): string {
  const left = [...args];
  return format.replace(/%(%|[-\d.]*[svdqt])/g, (_verb, kind: string) => {
    if (kind === '%') return '%';
    const value = printValue(left.shift() ?? null);
    const width = /^(-?)(\d+)/.exec(kind);
    const shown = kind.endsWith('q') ? JSON.stringify(value) : value;
    if (width === null) return shown;
    return width[1] === '-' ? shown.padEnd(Number(width[2])) : shown.padStart(Number(width[2]));
  });
}

function wrong(why: string, there: readonly string[] = []): BuilderError {
  const hint = there.length === 0 ? {} : { hint: `there is ${there.join(', ')}` };
  return new BuilderError('ERR_USAGE', `Cannot use the template: ${why}`, hint);
}
