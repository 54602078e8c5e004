// usage: npm run bench [-- OPTION... NAME...]
//   NAME               unpack, scan, tiny, runs5, copyonly, manyfiles, multistage, bigcopy; all of them without one
//   --rounds N         pairs, at least 3; 5 without it
//   --builder LAYOUT   our builder's image, an OCI layout; build/image without it
//   --against LAYOUT   another build of it, instead of buildah
//   --curves FILE      how the cost grows, as CSV and a picture, instead of comparisons; --minutes N (20 without it) bounds it
//   --folder FOLDER    where the disk is made, some GB; build/bench without it
// Compares what the builder does with the tools that people know, in turns on a disk of its own, and prints costs and ratios as
// a table: median (least–most). "far" is a registry 25 ms away. Builds take root.
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { benchBuild, buildColumns } from '../test/bench/builds.ts';
import { buildCases } from '../test/bench/cases.ts';
import { benchCurves } from '../test/bench/curves.ts';
import { checkMeter } from '../test/bench/meter.ts';
import { ratios, spread, type Ratio } from '../test/bench/ratio.ts';
import { benchScan } from '../test/bench/scan.ts';
import { benchUnpack } from '../test/bench/unpack.ts';
import { builderLayout } from '../test/support/builder.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    builder: { type: 'string' },
    against: { type: 'string' },
    curves: { type: 'string' },
    minutes: { type: 'string', default: '20' },
    folder: { type: 'string', default: join(import.meta.dirname, '../build/bench') },
  },
});
const parts: Readonly<Record<string, (rounds: number, folder: string) => Promise<Ratio>>> = { unpack: benchUnpack, scan: benchScan };
const known = [...Object.keys(parts), ...buildCases.map(({ name }) => name)];

function numberOf(option: 'rounds' | 'minutes', least: number): number {
  const value = Number(values[option]);
  if (Number.isInteger(value) && value >= least) return value;
  throw new Error(`Cannot use --${option}=${values[option]}: it takes a whole number from ${least} on`);
}

function row(cells: readonly string[]): void {
  console.log(`| ${cells.join(' | ')} |`);
}

function header(cells: readonly string[]): void {
  row(cells);
  row(cells.map(() => '---'));
}

async function benchParts(names: readonly string[], rounds: number, folder: string): Promise<void> {
  const chosen = names.flatMap((name) => parts[name] ?? []);
  if (chosen.length > 0) header(['work', 'ours s', 'theirs s', 'against', 'ratio', 'aim']);
  for (const part of chosen) {
    const { name, ours, theirs, reference, aim } = await part(rounds, folder);
    const seconds = [ours, theirs].map((list) => list.map((ms) => ms / 1000));
    row([name, ...seconds.map((list) => spread(list, 2)), reference, spread(ratios(ours, theirs), 2), aim.toFixed(1)]);
  }
}

async function main(signal: AbortSignal): Promise<void> {
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`Cannot run bench ${unknown}: there are ${known.join(', ')}`);
  const [rounds, minutes] = [numberOf('rounds', 3), numberOf('minutes', 1)];
  const names = positionals.length === 0 ? known : positionals;
  const folder = resolve(values.folder);
  await mkdir(folder, { recursive: true });
  const builder = values.builder === undefined ? builderLayout() : resolve(values.builder);
  if (values.curves !== undefined) {
    checkMeter();
    return benchCurves({ folder, builder, minutes, output: values.curves, onLine: (line) => console.log(line) }, signal);
  }
  await benchParts(names, rounds, folder);
  const cases = buildCases.filter(({ name }) => names.includes(name));
  if (cases.length === 0) return;
  checkMeter();
  header(buildColumns);
  const against = values.against === undefined ? undefined : resolve(values.against);
  for (const test of cases) for (const cells of await benchBuild(test, { folder, rounds, builder, against }, signal)) row(cells);
}

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    stop.abort(new Error(`stopped by ${name}`));
  });
}
try {
  await main(stop.signal);
} catch (error) {
  const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
  console.error(reason instanceof Error ? reason.message : reason);
  process.exitCode = 1;
}
