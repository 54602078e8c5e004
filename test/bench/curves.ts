// How the cost of a build grows with what is built: bytes copied, files made, RUNs.
import { appendFile, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { buildOnce } from './builds.ts';
import { type BuildCase, makeFiles, smallRuns } from './cases.ts';
import { type CurvePoint, drawCurves } from './curve-picture.ts';

interface Curve {
  readonly name: string;
  readonly sizes: readonly number[];
  readonly caseOf: (size: number) => BuildCase;
}

const curves: readonly Curve[] = [
  {
    name: 'RUNs',
    sizes: [1, 10, 50, 100],
    caseOf: (size) => ({ name: 'RUNs', lines: ['FROM @debian', ...smallRuns(size)], gigabytes: 1 }),
  },
  {
    name: 'files made, then three RUNs',
    sizes: [10_000, 100_000, 300_000, 1_000_000],
    caseOf: (size) => ({
      name: 'files',
      lines: ['FROM @debian', makeFiles(size / 100), ...smallRuns(3)],
      gigabytes: 1 + size * 6e-6, // a block of data and an inode each
    }),
  },
  {
    name: 'GiB copied, half of them random',
    sizes: [1, 4, 8, 16],
    caseOf: (size) => ({
      name: 'bytes',
      lines: ['FROM @debian', 'COPY big /opt/big'],
      context: [
        `for i in $(seq ${size}); do head -c 512M /dev/urandom >> big`,
        'for j in $(seq 4); do cat /usr/lib/x86_64-linux-gnu/*.so* 2>/dev/null | head -c 128M >> big; done; done',
      ].join('; '),
      gigabytes: 1 + size * 2.7, // the context, its layer here and at the registry
    }),
  },
];

export interface CurvesOptions {
  readonly folder: string;
  readonly builder: string;
  /** Where the numbers go, as CSV, with a picture beside it; `onLine` gets the same lines. */
  readonly output: string;
  /** A size is left out, with the reason, when all would take longer. */
  readonly minutes: number;
  readonly onLine: (line: string) => void;
}

/** Measures every size once; writes each number when it is there. */
export async function benchCurves(options: CurvesOptions, signal: AbortSignal): Promise<void> {
  const end = performance.now() + options.minutes * 60_000;
  const header = 'curve,size,wall_s,cpu_s,memory_mb,load';
  await writeFile(options.output, `${header}\n`);
  options.onLine(header);
  const points: CurvePoint[] = [];
  for (const curve of curves) await benchCurve(curve, { ...options, end, points }, signal);
  await writeFile(options.output.replace(/(\.csv)?$/, '.svg'), drawCurves(points));
}

async function benchCurve(
  { name, sizes, caseOf }: Curve,
  { folder, builder, output, onLine, end, points }: CurvesOptions & { readonly end: number; readonly points: CurvePoint[] },
  signal: AbortSignal,
): Promise<void> {
  // What is known of the sizes before: there the last one took `tookMs`, and each step of the size as long as `msEach`.
  let [last, tookMs, msEach] = [0, 0, 0];
  for (const size of sizes) {
    const [started, left] = [performance.now(), end - performance.now()];
    const expected = tookMs + (size - last) * msEach;
    const leaveOut = (reason: string): void => {
      onLine(`# left out: ${name}, ${size} and more: ${reason}`);
    };
    if (left <= expected) return leaveOut(`at least ${minutesOf(expected)} minutes are needed, ${minutesOf(left)} are left`);
    const late = AbortSignal.timeout(Math.round(left));
    try {
      const { wallMs, cpuMs, peakBytes } = await buildOnce(caseOf(size), folder, builder, AbortSignal.any([signal, late]));
      const numbers = [wallMs / 1000, cpuMs / 1000, peakBytes / 1e6, loadavg()[0] ?? Number.NaN];
      const line = `"${name}",${size},${numbers.map((value) => value.toFixed(2)).join(',')}`;
      await appendFile(output, `${line}\n`);
      onLine(line);
      points.push({ curve: name, size, cpuSeconds: cpuMs / 1000, memoryMb: peakBytes / 1e6 });
    } catch (error) {
      signal.throwIfAborted();
      if (late.aborted) return leaveOut(`it took longer than the ${minutesOf(left)} minutes that were left`);
      if (last === 0) throw error; // it isn't for the size
      return leaveOut(error instanceof Error ? error.message : String(error));
    }
    const took = performance.now() - started;
    msEach = last === 0 ? 0 : Math.max(0, (took - tookMs) / (size - last));
    [last, tookMs] = [size, took];
  }
}

function minutesOf(ms: number): string {
  return (Math.max(0, ms) / 60_000).toFixed(1);
}
