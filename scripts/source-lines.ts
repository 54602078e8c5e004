// Which line of which source each part of a bundle comes from, in a form that can be looked up without being read first: streams
// format the stack of every error that ends one, so most builds ask for a few places. A source map takes 20 MB when it is read.

/** What esbuild says of a bundle (sourcemap specification, version 3), as far as it is needed. */
interface SourceMap {
  readonly sources: readonly string[];
  readonly mappings: string;
}

/** Bytes of an entry: line and column in the bundle, number of the source, line there; all from 0 on. */
export const entryBytes = 12;
const largestColumn = 0xffff;

/** The names of the sources in JSON, a line feed, and one entry for each place where the line of a source begins. */
export function sourceLines(mapJson: string): Buffer {
  const { sources, mappings } = JSON.parse(mapJson) as SourceMap; // esbuild's
  const entries: Buffer[] = [];
  let [source, sourceLine] = [0, 0];
  for (const [line, segments] of mappings.split(';').entries()) {
    let [column, last] = [0, ''];
    for (const segment of segments.split(',')) {
      const [columns = 0, sourcesOn, linesOn = 0] = numbersIn(segment);
      column += columns;
      if (sourcesOn === undefined) continue;
      source += sourcesOn;
      sourceLine += linesOn;
      const place = `${source} ${sourceLine}`;
      if (place === last || column > largestColumn) continue;
      last = place;
      const entry = Buffer.alloc(entryBytes);
      entry.writeUInt32LE(line, 0);
      entry.writeUInt16LE(column, 4);
      entry.writeUInt16LE(source, 6);
      entry.writeUInt32LE(sourceLine, 8);
      entries.push(entry);
    }
  }
  return Buffer.concat([Buffer.from(`${JSON.stringify(sources)}\n`), ...entries]);
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The numbers of a segment: five bits a digit, the sixth says that more follow, the lowest of all is the sign. */
function numbersIn(segment: string): readonly number[] {
  const numbers: number[] = [];
  let [value, shift] = [0, 0];
  for (const digit of segment) {
    const bits = alphabet.indexOf(digit);
    value += (bits & 31) << shift;
    shift += 5;
    if ((bits & 32) !== 0) continue;
    numbers.push((value & 1) === 0 ? value >>> 1 : -(value >>> 1));
    [value, shift] = [0, 0];
  }
  return numbers;
}
