// The comma-separated `key=value` lists of `RUN --mount`: fields may be quoted, quotes inside are doubled.

/** The fields of one line; undefined when a quote is left open or stands in the middle of a field. */
export function splitCsv(text: string): readonly string[] | undefined {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      const match = /^"((?:[^"]|"")*)"(?=,|$)/.exec(text.slice(at));
      if (match === null) return undefined;
      fields.push((match[1] ?? '').replaceAll('""', '"'));
      at += match[0].length;
    } else {
      const comma = text.indexOf(',', at);
      const field = text.slice(at, comma < 0 ? undefined : comma);
      if (field.includes('"')) return undefined;
      fields.push(field);
      at += field.length;
    }
    if (at >= text.length) return fields;
    at++; // the comma
  }
}

/** The value of `from=` in a `--mount`, unexpanded; undefined where there is none. Other keys are not looked at. */
export function mountFrom(mount: string): string | undefined {
  const field = splitCsv(mount)?.findLast((candidate) => /^from=/i.test(candidate));
  return field?.slice('from='.length);
}
