// `.gitmodules`: which repository belongs where. gitmodules(5). Only path, url and update are read; a command in `update`
// is as good as none, as git has it, too.
import { BuilderError } from '../errors.ts';

export interface Submodule {
  readonly name: string;
  /** Without leading or trailing slash. */
  readonly path: string;
  readonly url: string;
  /** `update = none`: its directory stays empty. */
  readonly isSkipped: boolean;
}

/** Reads the file. `repository` is for messages. @throws ERR_CONTEXT where it is malformed */
export function parseSubmodules(text: string, repository: string): readonly Submodule[] {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  for (const [index, line] of joinLines(text).entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#') || trimmed.startsWith(';')) continue;
    const [, kind, quoted] = /^\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]$/.exec(trimmed) ?? [];
    if (kind !== undefined) {
      const name = (quoted ?? '').replace(/\\(.)/g, '$1');
      section = kind.toLowerCase() === 'submodule' ? (sections.get(name) ?? new Map()) : undefined;
      if (section !== undefined) sections.set(name, section);
      continue;
    }
    const [, key, value = 'true'] = /^([a-z][a-z0-9-]*)\s*(?:=\s*(.*))?$/is.exec(trimmed) ?? [];
    if (key === undefined)
      throw new BuilderError('ERR_CONTEXT', `Cannot read .gitmodules of ${repository}: line ${index + 1} is malformed`);
    section?.set(key.toLowerCase(), unquote(value));
  }
  return [...sections].flatMap(([name, values]) => {
    const path = values.get('path');
    const url = values.get('url');
    if (path === undefined || url === undefined) return [];
    return [{ name, path: path.replace(/\/+$/, ''), url, isSkipped: values.get('update') === 'none' }];
  });
}

function joinLines(text: string): readonly string[] {
  return text
    .replace(/^\ufeff/, '')
    .replace(/\r\n/g, '\n')
    .replace(/\\\n/g, '')
    .split('\n');
}

// git-config(1), "Values": quotes anywhere, a few escapes, comments outside of quotes.
function unquote(value: string): string {
  let result = '';
  let isQuoted = false;
  for (const [, escaped, quote, comment, plain = ''] of value.matchAll(/\\(.)|(")|([#;])|([^])/g)) {
    if (escaped !== undefined) result += { n: '\n', t: '\t', b: '\b' }[escaped] ?? escaped;
    else if (quote !== undefined) isQuoted = !isQuoted;
    else if (comment !== undefined && !isQuoted) break;
    else result += comment ?? plain;
  }
  return isQuoted ? result : result.trimEnd();
}
