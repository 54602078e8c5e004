// Whole builds, from empty stores to the registry: two builders in turns, and what each costs.
import { loadavg } from 'node:os';
import { type BuildCase, farCases } from './cases.ts';
import { type Build, type Builder, farMs, Place } from './place.ts';
import { inTurns, ratios, spread } from './ratio.ts';

export interface Contest {
  readonly folder: string;
  readonly rounds: number;
  /** The OCI layout of our builder. */
  readonly builder: string;
  /** Another one that it is compared with; buildah when absent. */
  readonly against?: string | undefined;
}

export const buildColumns = ['case', 'builder', 'wall s', 'CPU s', 'memory MB', 'note'] as const;

/** Compares the builders in one case; gives rows of cells as of `buildColumns`. */
export async function benchBuild(test: BuildCase, contest: Contest, signal: AbortSignal): Promise<readonly (readonly string[])[]> {
  const { folder, rounds, builder, against } = contest;
  const isFar = farCases.has(test.name);
  const before = loadavg()[0];
  await using place = await Place.make(folder, test, (rounds + 1) * (isFar ? 4 : 2), signal);
  const ours = await place.ours(builder);
  const theirs = against === undefined ? place.buildah() : await place.ours(against);
  const sides = [() => ours('near'), () => theirs('near'), ...(isFar ? [() => ours('far'), () => theirs('far')] : [])];
  const [a = [], b = [], farA = [], farB = []] = await inTurns(rounds, sides);
  const names = against === undefined ? (['ours', 'buildah'] as const) : (['A', 'B'] as const);
  const aim = against === undefined && test.aim !== undefined ? `, aim ${test.aim}` : '';
  const load = `load ${before?.toFixed(1)} to ${loadavg()[0]?.toFixed(1)}${aim}`;
  const rows = [costRow(test.name, names[0], a), costRow(test.name, names[1], b), ratioRow(test.name, [a, b], load)];
  if (!isFar) return rows;
  const far = `${test.name}, far`;
  return [
    ...rows,
    costRow(far, names[0], farA, waits(farA, a)),
    costRow(far, names[1], farB, waits(farB, b)),
    ratioRow(far, [farA, farB], ''),
  ];
}

function costRow(name: string, builder: string, builds: readonly Build[], note = ''): readonly string[] {
  const cells = [seconds(builds, 'wallMs'), seconds(builds, 'cpuMs')].map((values) => spread(values, 2));
  const memory = builds.map((build) => build.peakBytes / 1e6);
  return [name, builder, ...cells, spread(memory, 0), note];
}

function ratioRow(name: string, [a, b]: readonly [readonly Build[], readonly Build[]], note: string): readonly string[] {
  const keys = ['wallMs', 'cpuMs', 'peakBytes'] as const;
  const cells = keys.map((key) =>
    ratios(
      a.map((build) => build[key]),
      b.map((build) => build[key]),
    ),
  );
  return [name, 'ratio', ...cells.map((values) => spread(values, 2)), note];
}

/** Answers waited for, by what the distance costs in time, and as the proxy counted them. */
function waits(far: readonly Build[], near: readonly Build[]): string {
  const lost = far.map((build, index) => (build.wallMs - (near[index]?.wallMs ?? Number.NaN)) / (2 * farMs));
  const counted = far.map((build) => build.traffic?.inARow ?? 0);
  const connections = far.map((build) => build.traffic?.connections ?? 0);
  return `${spread(lost, 0)} round trips of time, ${spread(counted, 0)} in a row, ${spread(connections, 0)} connections`;
}

function seconds(builds: readonly Build[], key: 'wallMs' | 'cpuMs'): readonly number[] {
  return builds.map((build) => build[key] / 1000);
}

/** One build of ours alone, not repeated. */
export async function buildOnce(test: BuildCase, folder: string, layout: string, signal: AbortSignal): Promise<Build> {
  await using place = await Place.make(folder, test, 1, signal);
  const builder: Builder = await place.ours(layout);
  return await builder('near'); // the place has to last until then
}
