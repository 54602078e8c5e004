// The part of sh that scripts around docker are mostly made of: simple commands, one after the other, `|| true`, variables.
import { BuilderError } from '../errors.ts';
import { expandWords } from '../dockerfile/words.ts';

export interface SimpleCommand {
  readonly words: readonly string[];
  /** `|| true`, `|| exit 0`, `|| :` */
  readonly mayFail: boolean;
}

/** Says why a script can't be read. */
export type RefuseScript = (why: string) => never;

const onlySimple = 'only commands one after the other (a line each, ; or &&) are read here, with || true';

/** Variables of `env`, and those that the script sets on the way, are replaced. */
export function parseScript(script: string, env: ReadonlyMap<string, string>, refuse: RefuseScript): readonly SimpleCommand[] {
  const variables = new Map(env);
  const commands: SimpleCommand[] = [];
  let joiner = ';';
  for (const { text, end } of splitCommands(script, refuse)) {
    const words = shellWords(text, variables, refuse);
    const isTolerance = joiner === '||';
    joiner = end;
    const [first = ''] = words;
    if (isTolerance) {
      const last = commands.pop();
      if (last === undefined || !['true', ':', 'exit 0'].includes(words.join(' '))) return refuse(`"|| ${text.trim()}": ${onlySimple}`);
      commands.push({ ...last, mayFail: true });
    } else if (words.every((word) => /^\w+=/.test(word)) || (first === 'export' && words.length > 1)) {
      for (const word of words.filter((each) => each.includes('='))) variables.set(word.replace(/=.*/s, ''), word.replace(/^[^=]*=/, ''));
    } else if (first !== 'set' && words.length > 0) commands.push({ words, mayFail: false });
  }
  return commands;
}

/** Words without their quotes; a variable that is not set is refused. */
export function shellWords(text: string, env: ReadonlyMap<string, string>, refuse: RefuseScript): readonly string[] {
  try {
    const { words, unset } = expandWords(text, env);
    const [missing] = unset;
    return missing === undefined ? words : refuse(`the variable ${missing} is not set`);
  } catch (error) {
    if (!(error instanceof BuilderError)) throw error;
    return refuse(error.message);
  }
}

/** Pieces between operators, each with the one that ends it. */
function splitCommands(script: string, refuse: RefuseScript): readonly { readonly text: string; readonly end: string }[] {
  const pieces: { readonly text: string; readonly end: string }[] = [];
  let text = '';
  // A word in quotes, something behind a backslash, a comment, an operator, or what is none of those.
  const token = /'[^']*'|"(?:\\[^]|[^"\\])*"|\\\n|\\[^]|(?<=^|\s)#[^\n]*|&&|\|\||\$\(|[\n;|&<>()`]|[^'"\\\n;|&<>()`$#]+|[^]/g;
  for (const [part] of script.matchAll(token)) {
    if (part === '\\\n') text += ' ';
    else if (['&&', '||', ';', '\n'].includes(part)) {
      if (text.trim() !== '') pieces.push({ text: text.trim(), end: part });
      text = '';
    } else if (/^(?:\$\(|[|&<>()`])/.test(part) || /^"(?:\\[^]|[^\\])*?(?:\$\(|`)/.test(part))
      refuse(`${JSON.stringify(part)} in the script: ${onlySimple}`);
    else if (!part.startsWith('#') || /\S$/.test(text)) text += part;
  }
  if (text.trim() !== '') pieces.push({ text: text.trim(), end: ';' });
  return pieces;
}
