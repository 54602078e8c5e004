// usage: npm run events-schema
// Writes docs/events.schema.json: what a line of --events-file and of --log-format=json is.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestPattern, type Fields, fieldsByKind } from '../src/report/event-json.ts';
import { eventShapes, type Shape } from '../src/report/event-shapes.ts';

type Value = Readonly<Record<string, unknown>>;

/** What is written before the fields of an event, and after them. */
const levels = ['trace', 'debug', 'info', 'warn', 'error'] as const;

export const eventsSchemaPath = join(import.meta.dirname, '../docs/events.schema.json');

/** The schema, from the same table as what is written. */
export function eventsSchemaText(): string {
  return `${JSON.stringify(eventsSchema(), undefined, 2)}\n`;
}

/** JSON Schema 2020-12 of one line of `--events-file` and `--log-format=json`. */
function eventsSchema(): Value {
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

if (import.meta.main) writeFileSync(eventsSchemaPath, eventsSchemaText());
