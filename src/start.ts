// The first stage of the builder in its container image: gets arguments and environment out of sight, then becomes main.
import { fileURLToPath } from 'node:url';
import { becomeBuilder } from './linux/invocation.ts';

const isSource = import.meta.url.endsWith('.ts');
becomeBuilder(
  { argv: process.argv.slice(2), env: process.env },
  {
    // In the image Node lies beside the folder of this file, whatever the loader makes of execPath.
    node: isSource ? process.execPath : fileURLToPath(new URL('../node', import.meta.url)),
    main: fileURLToPath(new URL(isSource ? './main.ts' : './main.js', import.meta.url)),
  },
);
