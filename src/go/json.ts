// JSON as Go's encoding/json prints it for people, which is what skopeo and its users' scripts know.
import { formatJson, type Json } from '../oci/json.ts';

/** Indented by four spaces a level; `<`, `>` and `&` are escaped, as Go has it. */
export function printJson(value: Json): string {
  return escaped(indented(value, ''));
}

function indented(value: Json, indent: string): string {
  const inner = `${indent}    `;
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    return `[\n${value.map((item: Json) => `${inner}${indented(item, inner)}`).join(',\n')}\n${indent}]`;
  }
  if (value instanceof Map) {
    if (value.size === 0) return '{}';
    const members = [...value].map(([key, item]: [string, Json]) => `${inner}${formatJson(key)}: ${indented(item, inner)}`);
    return `{\n${members.join(',\n')}\n${indent}}`;
  }
  return formatJson(value);
}

// Only in strings: nothing else of JSON has these.
function escaped(text: string): string {
  return text.replace(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
