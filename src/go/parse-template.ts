// The text of a Go template → what it says. text/template's syntax, without definitions of further templates.
import { BuilderError } from '../errors.ts';
import type { Json } from '../oci/json.ts';

export type Expression =
  | { readonly kind: 'literal'; readonly value: Json }
  /** `.A.B` of the dot, or of a variable. */
  | { readonly kind: 'field'; readonly variable?: string; readonly path: readonly string[] }
  | { readonly kind: 'member'; readonly of: Expression; readonly path: readonly string[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] };

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  /** With a variable, `{{$x := …}}`: it is set, and nothing printed. */
  | { readonly kind: 'print'; readonly value: Expression; readonly variable?: string }
  | { readonly kind: 'if' | 'with'; readonly value: Expression; readonly body: readonly Node[]; readonly otherwise: readonly Node[] }
  | {
      readonly kind: 'range';
      readonly value: Expression;
      readonly variables: readonly string[];
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

/** @throws ERR_USAGE naming what can't be read */
export function parseTemplate(template: string): readonly Node[] {
  const pieces = piecesOf(template);
  const nodes = parseNodes(pieces);
  const left = pieces.shift();
  if (left !== undefined) throw malformed(`{{${left.text}}} belongs to nothing`);
  return nodes;
}

interface Piece {
  readonly kind: 'text' | 'action';
  readonly text: string;
}

function piecesOf(template: string): Piece[] {
  const pieces: Piece[] = [];
  // An action may have quoted braces in it.
  const action = /(\s*\{\{-\s|\{\{)((?:"(?:[^"\\]|\\.)*"|`[^`]*`|(?!-?\}\})[^])*?)(\s-\}\}\s*|\}\})/g;
  let at = 0;
  for (const match of template.matchAll(action)) {
    pieces.push({ kind: 'text', text: template.slice(at, match.index) });
    const inner = (match[2] ?? '').trim();
    if (!inner.startsWith('/*')) pieces.push({ kind: 'action', text: inner });
    at = match.index + match[0].length;
  }
  const rest = template.slice(at);
  if (rest.includes('{{')) throw malformed('an action is not closed');
  pieces.push({ kind: 'text', text: rest });
  return pieces.filter(({ kind, text }) => kind === 'action' || text !== '');
}

/** Up to an `end` or `else` that is not its own. */
function parseNodes(pieces: Piece[]): readonly Node[] {
  const nodes: Node[] = [];
  for (let piece = pieces[0]; piece !== undefined; piece = pieces[0]) {
    if (piece.kind === 'text') {
      nodes.push({ kind: 'text', text: piece.text });
      pieces.shift();
      continue;
    }
    const word = /^[a-z]+\b/.exec(piece.text)?.[0];
    if (word === 'end' || word === 'else') return nodes;
    pieces.shift();
    if (word === 'if' || word === 'with' || word === 'range') nodes.push(parseBlock(word, piece.text.slice(word.length), pieces));
    else if (word === 'define' || word === 'template' || word === 'block') throw malformed(`{{${word}}} is not supported`);
    else nodes.push(parsePrint(piece.text));
  }
  return nodes;
}

function parseBlock(kind: 'if' | 'with' | 'range', head: string, pieces: Piece[]): Node {
  const { variables, expression } = declared(head);
  const body = parseNodes(pieces);
  const otherwise = parseElse(kind, pieces);
  const value = parseExpression(expression);
  return kind === 'range' ? { kind, value, variables, body, otherwise } : { kind, value, body, otherwise };
}

function parseElse(kind: string, pieces: Piece[]): readonly Node[] {
  const next = pieces.shift();
  if (next === undefined) throw malformed(`{{${kind}}} has no {{end}}`);
  if (next.text === 'end') return [];
  const chained = /^else\s+(if|with)\b([^]*)$/.exec(next.text);
  if (chained !== null) return [parseBlock(chained[1] === 'with' ? 'with' : 'if', chained[2] ?? '', pieces)];
  const nodes = parseNodes(pieces);
  if (pieces.shift()?.text !== 'end') throw malformed(`{{${kind}}} has no {{end}}`);
  return nodes;
}

function parsePrint(text: string): Node {
  const { variables, expression } = declared(text);
  const value = parseExpression(expression);
  const [variable] = variables;
  return variable === undefined ? { kind: 'print', value } : { kind: 'print', value, variable };
}

function declared(text: string): { readonly variables: readonly string[]; readonly expression: string } {
  const match = /^\s*(\$\w+(?:\s*,\s*\$\w+)?)\s*:?=\s*([^]*)$/.exec(text);
  if (match === null) return { variables: [], expression: text };
  return { variables: (match[1] ?? '').split(',').map((name) => name.trim()), expression: match[2] ?? '' };
}

/** A pipeline: each command gets what the one before it made as its last argument. */
function parseExpression(text: string): Expression {
  const tokens = tokensOf(text);
  const expression = parsePipeline(tokens);
  if (tokens.length > 0) throw malformed(`${JSON.stringify(tokens[0])} is not expected in {{${text.trim()}}}`);
  return expression;
}

function parsePipeline(tokens: string[]): Expression {
  let value = parseCommand(tokens, undefined);
  while (tokens[0] === '|') {
    tokens.shift();
    value = parseCommand(tokens, value);
  }
  return value;
}

function parseCommand(tokens: string[], piped: Expression | undefined): Expression {
  const operands: Expression[] = [];
  const name = /^[a-z]+$/i.test(tokens[0] ?? '') && !constants.has(tokens[0] ?? '') ? tokens.shift() : undefined;
  while (tokens.length > 0 && tokens[0] !== '|' && tokens[0]?.startsWith(')') !== true) operands.push(parseOperand(tokens));
  if (name !== undefined) return { kind: 'call', name, args: piped === undefined ? operands : [...operands, piped] };
  const [only, ...others] = operands;
  if (only === undefined || others.length > 0 || piped !== undefined) throw malformed('a value stands where a function is expected');
  return only;
}

const constants: ReadonlyMap<string, Json> = new Map<string, Json>([
  ['true', true],
  ['false', false],
  ['nil', null],
]);

function parseOperand(tokens: string[]): Expression {
  const token = tokens.shift() ?? '';
  if (token === '(') {
    const inner = parsePipeline(tokens);
    const closing = tokens.shift() ?? '';
    if (!closing.startsWith(')')) throw malformed('a bracket is not closed');
    return closing === ')' ? inner : { kind: 'member', of: inner, path: names(closing.slice(1)) };
  }
  if (token.startsWith('.')) return { kind: 'field', path: names(token) };
  if (token.startsWith('$')) {
    const [variable = '$', ...path] = token.split('.');
    return { kind: 'field', variable, path };
  }
  if (token.startsWith('"')) return { kind: 'literal', value: quoted(token) };
  if (token.startsWith('`')) return { kind: 'literal', value: token.slice(1, -1) };
  if (/^-?\d/.test(token)) return { kind: 'literal', value: Number(token) };
  const constant = constants.get(token);
  if (constant !== undefined) return { kind: 'literal', value: constant };
  return { kind: 'call', name: token, args: [] };
}

function names(token: string): readonly string[] {
  return token.split('.').filter((name) => name !== '');
}

function tokensOf(text: string): string[] {
  const token = /\s+|("(?:[^"\\]|\\.)*"|`[^`]*`|\.[\w.]*|\$\w*(?:\.\w+)*|-?\d+(?:\.\d+)?|\w+|\)(?:\.\w+)*|[|(])/y;
  const tokens: string[] = [];
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null) throw malformed(`${JSON.stringify(text.slice(at, at + 20))} can't be read`);
    if (match[1] !== undefined) tokens.push(match[1]);
  }
  return tokens;
}

function quoted(token: string): string {
  try {
    return String(JSON.parse(token));
  } catch (error) {
    throw malformed(`${token} is no text`, error);
  }
}

function malformed(why: string, cause?: unknown): BuilderError {
  return new BuilderError('ERR_USAGE', `Cannot read the template: ${why}`, { cause });
}
