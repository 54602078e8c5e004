// The first stage of the builder in its container image: gets arguments and environment out of sight, then goes on as main.
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { becomeBuilder } from './linux/invocation.ts';

const isSource = import.meta.url.endsWith('.ts');
const words = process.argv.slice(2);

/** Other names of the same file: kaniko's second program, and ours, which has commands and not only the flags of one. */
function wordsOf(name: string): readonly string[] {
  if (name === 'warmer') return ['warmer', ...words];
  return name === 'yadokari' && words.length === 1 && ['--help', '-h'].includes(words[0] ?? '') ? ['help'] : words;
}

const main = fileURLToPath(new URL(isSource ? './main.ts' : './main.js', import.meta.url));
becomeBuilder(
  { argv: wordsOf(basename(process.argv[1] ?? '')), env: process.env },
  // In the image Node lies beside the folder of this file, whatever the loader makes of execPath.
  { node: isSource ? process.execPath : fileURLToPath(new URL('../node', import.meta.url)), main },
);
createRequire(import.meta.url)(main);
