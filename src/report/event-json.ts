// Events as JSON values, both ways, and the JSON Schema of them, all from the one table.
import type { BuildEvent } from '../events.ts';
import { eventShapes, type Optional, type Shape } from './event-shapes.ts';

type Fields = Readonly<Record<string, Shape | Optional>>;
type Value = Readonly<Record<string, unknown>>;

/** What is written before the fields of an event, and after them. */
const levels = ['trace', 'debug', 'info', 'warn', 'error'] as const;
const digestPattern = '^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$';

const isDigest = new RegExp(digestPattern);
const fieldsByKind: Readonly<Record<string, Fields>> = eventShapes;

/** An event as it is written: the table's fields, and no others. */
export function eventValue(event: BuildEvent): Value {
  return { kind: event.kind, ...project(fieldsByKind[event.kind] ?? {}, { ...event }) };
}

function project(fields: Fields, from: Value): Value {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([name]) => from[name] !== undefined)
      .map(([name, field]) => {
        const shape = typeof field === 'object' && 'maybe' in field ? field.maybe : field;
        const value = from[name];
        return [name, typeof shape === 'object' && 'object' in shape && isObject(value) ? project(shape.object, value) : value];
      }),
  );
}

/** The event that a line of JSON tells, when it is one; undefined for anything else, events of a later builder among it. */
export function parseEvent(value: unknown): BuildEvent | undefined {
  if (!isObject(value) || typeof value['kind'] !== 'string' || !Object.hasOwn(fieldsByKind, value['kind'])) return undefined;
  const fields = fieldsByKind[value['kind']];
  if (fields === undefined || !hasFields(fields, value)) return undefined;
  // Each field was looked at against the shape of its type.
  return { kind: value['kind'], ...project(fields, value) } as BuildEvent;
}

function hasFields(fields: Fields, value: Value): boolean {
  return Object.entries(fields).every(([name, field]) => {
    const found = Object.hasOwn(value, name) ? value[name] : undefined;
    if (typeof field === 'object' && 'maybe' in field) return found === undefined || fits(field.maybe, found);
    return fits(field, found);
  });
}

function fits(shape: Shape, value: unknown): boolean {
  if (shape === 'text') return typeof value === 'string';
  if (shape === 'number') return typeof value === 'number' && Number.isFinite(value) && value >= 0;
  if (shape === 'digest') return typeof value === 'string' && isDigest.test(value);
  if ('oneOf' in shape) return typeof value === 'string' && Object.hasOwn(shape.oneOf, value);
  if ('list' in shape) return Array.isArray(value) && value.every((item) => fits(shape.list, item));
  return isObject(value) && hasFields(shape.object, value);
}

function isObject(value: unknown): value is Value {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON Schema 2020-12 of one line of `--events-file` and `--log-format=json`. */
export function eventsSchema(): Value {
  const common = {
    level: { enum: levels },
    time: { type: 'string', format: 'date-time' },
    msg: { type: 'string' },
  };
  const event = (kind: string, fields: Fields): Value => {
    const { properties, required } = objectSchema(fields);
    const own = { level: common.level, time: common.time, kind: { const: kind }, msg: common.msg };
    // A note has a level of its own: that is the line's.
    return closed({ ...own, ...properties }, [...new Set([...Object.keys(own), ...required])]);
  };
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A line that yadokari writes with --events-file or --log-format=json',
    description: 'An event of a build, by its kind; or, without a kind, a line for people, such as those of an error.',
    oneOf: [...Object.keys(fieldsByKind).map((kind) => ({ $ref: `#/$defs/${kind}` })), { $ref: '#/$defs/line' }],
    $defs: {
      ...Object.fromEntries(Object.entries(fieldsByKind).map(([kind, fields]) => [kind, event(kind, fields)])),
      line: closed(common, ['level', 'time', 'msg']),
      ...Object.fromEntries(Object.entries(named).map(([name, shape]) => [name, schemaOf(shape, false)])),
    },
  };
}

/** Shapes that come often enough to have a name. */
const named: Readonly<Record<string, Shape>> = {
  step: eventShapes['step.started'].step,
  range: eventShapes.warning.range.maybe,
};

function schemaOf(shape: Shape, mayName: boolean): Value {
  const name = mayName ? Object.keys(named).find((each) => named[each] === shape) : undefined;
  if (name !== undefined) return { $ref: `#/$defs/${name}` };
  if (shape === 'text') return { type: 'string' };
  if (shape === 'number') return { type: 'number', minimum: 0 };
  if (shape === 'digest') return { type: 'string', pattern: digestPattern };
  if ('oneOf' in shape) return { enum: Object.keys(shape.oneOf) };
  if ('list' in shape) return { type: 'array', items: schemaOf(shape.list, true) };
  const { properties, required } = objectSchema(shape.object);
  return closed(properties, required);
}

function objectSchema(fields: Fields): { readonly properties: Value; readonly required: readonly string[] } {
  const entries = Object.entries(fields).map(([name, field]) => {
    const isOptional = typeof field === 'object' && 'maybe' in field;
    return { name, isOptional, schema: schemaOf(isOptional ? field.maybe : field, true) };
  });
  return {
    properties: Object.fromEntries(entries.map(({ name, schema }) => [name, schema])),
    required: entries.filter(({ isOptional }) => !isOptional).map(({ name }) => name),
  };
}

function closed(properties: Value, required: readonly string[]): Value {
  return { type: 'object', properties, required, additionalProperties: false };
}
