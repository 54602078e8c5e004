// The first stage of the builder in its container image: gets arguments and environment out of sight, then becomes main.
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { becomeBuilder } from './linux/invocation.ts';

const isSource = import.meta.url.endsWith('.ts');
const words = process.argv.slice(2);
becomeBuilder(
  // kaniko's second program has another name for the same file.
  { argv: basename(process.argv[1] ?? '') === 'warmer' ? ['warmer', ...words] : words, env: process.env },
  {
    // In the image Node lies beside the folder of this file, whatever the loader makes of execPath.
    node: isSource ? process.execPath : fileURLToPath(new URL('../node', import.meta.url)),
    main: fileURLToPath(new URL(isSource ? './main.ts' : './main.js', import.meta.url)),
  },
);
