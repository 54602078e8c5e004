// What `help CODE` says: a section of docs/errors.md, which lies beside the bundle in the image.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A section of Markdown, which reads as well without being rendered; undefined where the word is no error's code. */
export function errorText(word: string): string | undefined {
  if (!word.startsWith('ERR_')) return undefined;
  const isSource = import.meta.filename.endsWith('.ts');
  const page = readFileSync(join(import.meta.dirname, isSource ? '../../docs/errors.md' : 'errors.md'), 'utf8');
  const section = page.split(/^(?=## )/m).find((each) => each.startsWith(`## ${word}\n`));
  return section && `${section.trimEnd()}\n`;
}
