// WWW-Authenticate, RFC 9110 section 11.6.1: which schemes a server takes.

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** By lower-case name; the first of duplicates. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Every challenge of every header line, in order. What can't be read is left out. */
export function parseChallenges(lines: readonly string[]): readonly Challenge[] {
  return lines.flatMap(parseLine);
}

// A comma ends a parameter or a challenge, and only what follows tells which: `name =` goes on, `scheme name` begins anew.
const parameter = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))[ \t]*/s;
const schemeStart = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]+|(?=,)|$)/;
const token68 = /^[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)/;

function parseLine(line: string): readonly Challenge[] {
  const challenges: { readonly scheme: string; readonly parameters: Map<string, string> }[] = [];
  let rest = line.slice(0, 16_384).trim();
  while (rest !== '') {
    const separator = /^[\s,]+/.exec(rest);
    if (separator !== null) {
      rest = rest.slice(separator[0].length);
      continue;
    }
    const current = challenges.at(-1);
    const pair = current === undefined ? null : parameter.exec(rest);
    if (current !== undefined && pair !== null) {
      const name = (pair[1] ?? '').toLowerCase();
      const value = pair[2] === undefined ? (pair[3] ?? '') : pair[2].replace(/\\(.)/gs, '$1');
      if (!current.parameters.has(name)) current.parameters.set(name, value);
      rest = rest.slice(pair[0].length);
      continue;
    }
    const start = schemeStart.exec(rest);
    if (start === null) break;
    challenges.push({ scheme: (start[1] ?? '').toLowerCase(), parameters: new Map() });
    rest = rest.slice(start[0].length);
    const blob = token68.exec(rest);
    if (blob !== null) rest = rest.slice(blob[0].length);
  }
  return challenges;
}
