// Events as JSON values, both ways, from the one table.
import type { BuildEvent } from '../events.ts';
import { eventShapes, type Optional, type Shape } from './event-shapes.ts';

/** Of an event, or of an object in one. */
export type Fields = Readonly<Record<string, Shape | Optional>>;
type Value = Readonly<Record<string, unknown>>;

/** As JSON Schema takes it. */
export const digestPattern = '^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$';

const isDigest = new RegExp(digestPattern);
/** Every kind of event. */
export const fieldsByKind: Readonly<Record<string, Fields>> = eventShapes;

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
