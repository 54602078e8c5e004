// Rows for people and for scripts, as buildah prints them.
import { type Json, type JsonObject, formatJson } from '../oci/json.ts';
import { renderTemplate, unescaped } from '../go/template.ts';
import { printJson } from '../go/json.ts';
import type { Settings } from './settings.ts';

/** Columns three blanks apart, the last one as it is. */
function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd((widths[column] ?? 0) + 3))).join('');
  return rows.map((row) => `${line(row)}\n`).join('');
}

/** What stands above each column, and of which member of a row it is. */
export type Columns = Readonly<Record<string, string>>;

/**
 * Rows as `--json`, by the template of `--format`, or as a table, whose heading `--noheading` leaves out. Blanks of a template part columns,
 * and one that begins with `table` has a heading, as in buildah.
 */
export function formatRows(
  rows: readonly JsonObject[],
  { columns, json = rows }: { readonly columns: Columns; readonly json?: readonly Json[] },
  settings: Settings,
): string {
  const template = settings.text('format');
  if (settings.boolean('json') || template === 'json') return `${printJson(json)}\n`;
  const hasHeading = !settings.boolean('noheading');
  if (template === undefined) {
    const heading = hasHeading ? [Object.keys(columns)] : [];
    return formatTable([...heading, ...rows.map((row) => Object.values(columns).map((of) => textOf(row.get(of) ?? '')))]);
  }
  const parts = /^table\s+/.exec(template)?.[0];
  const wanted = unescaped(template.slice(parts?.length ?? 0)).replaceAll(' ', '\t');
  const titles = new Map(Object.entries(columns).map(([title, of]) => [of, title]));
  const heading = new Map([...(rows[0]?.keys() ?? titles.keys())].map((key) => [key, titles.get(key) ?? key.toUpperCase()]));
  const shown = [...(parts !== undefined && hasHeading ? [heading] : []), ...rows];
  return formatTable(shown.map((row) => renderTemplate(wanted, row).split('\t')));
}

function textOf(value: Json): string {
  return typeof value === 'string' ? value : formatJson(value);
}
