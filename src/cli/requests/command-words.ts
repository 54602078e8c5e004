// A command in one argument of a command line: a JSON list of its words, or words as a shell splits them.
import { parseJsonForm } from '../../dockerfile/json-form.ts';
import { BuilderError } from '../../errors.ts';

/**
 * The words of a command; undefined for an empty text or list. What is no JSON list is split into words, or goes to /bin/sh as a whole.
 * @throws ERR_USAGE naming the flag
 */
export function commandOf(flag: string, text: string, otherwise: 'words' | 'shell'): readonly string[] | undefined {
  const json = parseJsonForm(text);
  if (json.kind === 'strings') return json.values.length === 0 ? undefined : json.values;
  if (json.kind === 'mixed') throw new BuilderError('ERR_USAGE', `Cannot use --${flag} ${text}: a list of words has strings only`);
  if (text.trim() === '') return undefined;
  return otherwise === 'shell' ? ['/bin/sh', '-c', text] : splitWords(flag, text);
}

/**
 * Words between blanks, with quotes and backslashes read as a shell reads them; nothing is expanded.
 * @throws ERR_USAGE for a quote without end, and for what only a shell could do
 */
function splitWords(flag: string, text: string): readonly string[] {
  const fail = (why: string): BuilderError =>
    new BuilderError('ERR_USAGE', `Cannot use --${flag} ${text}: ${why}`, { hint: `a JSON list leaves no doubt: ["/bin/sh", "-c", "…"]` });
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? '';
    if (char === '\\' && quote !== "'") {
      if (++at === text.length) throw fail('it ends with a backslash');
      word = `${word ?? ''}${text[at] ?? ''}`;
    } else if (char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) {
      quote = char;
      word ??= '';
    } else if (quote === '' && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (quote === '' && ';&|<>'.includes(char)) throw fail(`no shell reads it, so "${char}" has no meaning`);
    else word = `${word ?? ''}${char}`;
  }
  if (quote !== '') throw fail(`a ${quote} has no end`);
  return word === undefined ? words : [...words, word];
}
