// What main.js and the other programs of the image are: each runs the bundle beside it, with the code that V8 compiled of it when
// the image was made. Nothing is written; code that V8 doesn't know as its own is compiled again. Stack traces name the sources.
// Node's own compile cache can't do that: it has a folder for each user and processor, and writes into it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { entryBytes } from './source-lines.ts';

type Bundle = (require: NodeJS.Require, filename: string, dirname: string, url: string) => void;

const bundle = import.meta.filename.replace(/js$/, 'bundle.js');
// Read now: later the files may be a RUN's.
const lines = readFileSync(`${bundle}.lines`);
const firstEntry = lines.indexOf('\n') + 1;
// It is all ASCII.
const script = new Script(readFileSync(bundle, 'latin1'), { filename: bundle, cachedData: readFileSync(`${bundle}.cache`) });

let sources: readonly string[] | undefined;

Error.prepareStackTrace = (error, sites) => [headOf(error), ...sites.map((site) => `    at ${placeOf(site)}`)].join('\n');

function headOf(error: Error): string {
  try {
    return String(error);
  } catch {
    return 'Error'; // one that can't be shown
  }
}

function placeOf(site: NodeJS.CallSite): string {
  // oxlint-disable-next-line typescript/no-base-to-string -- V8 gives call sites words of their own
  const text = site.toString();
  const [line, column] = [site.getLineNumber(), site.getColumnNumber()];
  if (site.getFileName() !== bundle || line === null || column === null) return text;
  return text.replace(`${bundle}:${line}:${column}`, (place) => sourceOf(line - 1, column - 1) ?? place);
}

function sourceOf(line: number, column: number): string | undefined {
  const place = (entry: number): readonly [number, number] => {
    const at = firstEntry + entry * entryBytes;
    return [lines.readUInt32LE(at), lines.readUInt16LE(at + 4)];
  };
  // The last entry that is not behind it.
  let [low, high] = [-1, (lines.length - firstEntry) / entryBytes];
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    const [itsLine, itsColumn] = place(middle);
    if (itsLine < line || (itsLine === line && itsColumn <= column)) low = middle;
    else high = middle;
  }
  if (low < 0 || place(low)[0] !== line) return undefined;
  const at = firstEntry + low * entryBytes;
  sources ??= JSON.parse(lines.toString('utf8', 0, firstEntry)) as readonly string[]; // made by sourceLines()
  return `${sources[lines.readUInt16LE(at + 6)]}:${lines.readUInt32LE(at + 8) + 1}`;
}

const run: Bundle = script.runInThisContext();
run(createRequire(bundle), import.meta.filename, import.meta.dirname, pathToFileURL(import.meta.filename).href);
