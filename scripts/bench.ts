// usage: npm run bench [-- NAME...]     NAME: unpack, scan, build (all of them without one)
// Times what the builder does against the tools that people know, in turns, and prints the ratios.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchBuild } from '../test/bench/build.ts';
import type { Ratio } from '../test/bench/ratio.ts';
import { median } from '../test/bench/ratio.ts';
import { benchScan } from '../test/bench/scan.ts';
import { benchUnpack } from '../test/bench/unpack.ts';

const benches: Readonly<Record<string, (rounds: number, folder: string) => Promise<Ratio>>> = {
  unpack: benchUnpack,
  scan: benchScan,
  build: benchBuild,
};

const { values, positionals } = parseArgs({ allowPositionals: true, options: { rounds: { type: 'string', default: '5' } } });
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 3) throw new Error('Cannot compare in fewer than 3 rounds: a median needs them');
const folder = join(import.meta.dirname, '../build/bench');
await mkdir(folder, { recursive: true });

const row = (...cells: readonly string[]) =>
  console.log(cells.map((cell, index) => (index === 0 ? cell.padEnd(38) : cell.padStart(13))).join(' '));
const seconds = (list: readonly number[]) => `${(median(list) / 1000).toFixed(2)} s`;

row('', 'ours', 'theirs', 'against', 'ratio', 'aim');
for (const name of positionals.length === 0 ? Object.keys(benches) : positionals) {
  const bench = benches[name];
  if (bench === undefined) throw new Error(`Cannot run bench ${name}: there are ${Object.keys(benches).join(', ')}`);
  const result = await bench(rounds, folder);
  const verdict = result.ratio <= result.aim ? 'met' : 'missed';
  row(
    result.name,
    seconds(result.ours),
    seconds(result.theirs),
    result.reference,
    result.ratio.toFixed(2),
    `${result.aim.toFixed(1)} ${verdict}`,
  );
}
