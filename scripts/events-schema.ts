// usage: npm run events-schema
// Writes docs/events.schema.json: what a line of --events-file and of --log-format=json is.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventsSchema } from '../src/report/event-json.ts';

export const eventsSchemaPath = join(import.meta.dirname, '../docs/events.schema.json');

/** The schema, from the same table as what is written. */
export function eventsSchemaText(): string {
  return `${JSON.stringify(eventsSchema(), undefined, 2)}\n`;
}

if (import.meta.main) writeFileSync(eventsSchemaPath, eventsSchemaText());
