// usage: node --random-seed=1 scripts/compile-bundle.ts BUNDLE > CACHE
// What V8 makes of a bundle, every function of it. The seed makes the same bundle come out as the same bytes.
import { readFileSync, writeSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

const [, , bundle = ''] = process.argv;
setFlagsFromString('--no-lazy');
const script = new Script(readFileSync(bundle, 'latin1'));
// V8 takes compiled code only under the flags that it was compiled with.
setFlagsFromString('--lazy');
const cache = script.createCachedData();
for (let at = 0; at < cache.length;) at += writeSync(1, cache, at);
