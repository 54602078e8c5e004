// usage: npm test [-- [--quiet] SUITE...]     SUITE: unit, integration, conformance, unpacked, e2e, callers, pods (all of them without one)
// Runs the suites one after another and ends with one line that counts all of them.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { dot, spec } from 'node:test/reporters';
import { missingContainerd } from '../test/support/cri/containerd.ts';

interface Suite {
  readonly name: string;
  /** How many files run at once. */
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly needsImage: boolean;
  /** Patterns of its files; those of the folder with its name when absent. */
  readonly files?: readonly string[];
  readonly without?: readonly string[];
  /** Of its files those that run one after the other when the rest is through: what they measure, or take from an engine, is all of the machine's. */
  readonly alone?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Why it can't run here; undefined where it can. */
  readonly missing?: () => string | undefined;
}

// what has an engine of its own, or none
const otherEngines = ['bench', 'cri', 'gvisor', 'kube', 'quickstart'];
// what is long, and about bytes, memory or the cache rather than what a pod is
const asInAnyPod = [
  'copied-builder',
  'differential',
  'errors',
  'far-registry',
  'git',
  'kaniko-rows',
  'kept-mounts',
  'layer-cache',
  'memory',
  'platforms',
  'reports',
  'reproducible',
  'self-build',
  'telemetry',
  'warmer',
];
// what measures, needs the machine for itself, or removes an image that others may run
const alone = ['bench', 'quickstart', 'self-build', 'signals'].map((name) => `test/e2e/${name}.test.ts`);
const onlyPodman = [...otherEngines, ...asInAnyPod].map((name) => `test/e2e/${name}.test.ts`);

const suites: readonly Suite[] = [
  { name: 'unit', concurrency: 2, timeoutMs: 5 * 60_000, needsImage: false },
  { name: 'integration', concurrency: 2, timeoutMs: 15 * 60_000, needsImage: false },
  { name: 'conformance', concurrency: 1, timeoutMs: 40 * 60_000, needsImage: true },
  // The same cases with everything unpacked that can be: the image must not depend on what was on disk.
  {
    name: 'unpacked',
    concurrency: 1,
    timeoutMs: 40 * 60_000,
    needsImage: true,
    files: ['test/conformance/conformance.test.ts'],
    env: { CONFORMANCE_FLAGS: '--materialize' },
  },
  { name: 'e2e', concurrency: 2, timeoutMs: 60 * 60_000, needsImage: true, alone },
  { name: 'callers', concurrency: 1, timeoutMs: 10 * 60_000, needsImage: true, missing: missingContainerd },
  {
    name: 'pods',
    concurrency: 2,
    timeoutMs: 30 * 60_000,
    needsImage: true,
    // builds once more in pods as a kubelet makes them: mounts, signals, limits and capabilities are others than podman's
    files: ['test/conformance/conformance.test.ts', 'test/e2e/*.test.ts'],
    without: onlyPodman,
    alone,
    env: { TEST_ENGINE: 'pods' },
    missing: missingContainerd,
  },
];

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const root = join(import.meta.dirname, '..');

/** Runs one suite, prints its report and adds its numbers to `total`. */
async function runSuite(suite: Suite, quiet: boolean, total: Counts): Promise<void> {
  const files = globSync(suite.files ?? [`test/${suite.name}/**/*.test.ts`], { cwd: root, exclude: suite.without ?? [] }).sort();
  if (files.length === 0) return;
  const missing = suite.missing?.();
  console.log(`\n== ${suite.name}: ${files.length} files${missing === undefined ? '' : ` skipped: ${missing}`}`);
  if (missing !== undefined) {
    total.skipped += files.length;
    return;
  }
  const isAlone = (file: string): boolean => suite.alone?.includes(file) === true;
  const { concurrency } = suite;
  await runFiles({ ...suite, files: files.filter((file) => !isAlone(file)) }, concurrency, quiet, total);
  await runFiles({ ...suite, files: files.filter(isAlone) }, 1, quiet, total);
}

/** Runs so many files of a suite at once. */
async function runFiles(
  { files, timeoutMs, env }: Suite & { readonly files: readonly string[] },
  concurrency: number,
  quiet: boolean,
  total: Counts,
): Promise<void> {
  if (files.length === 0) return;
  const stream = run({
    files: files.map((file) => join(root, file)),
    concurrency,
    timeout: timeoutMs,
    cwd: root,
    env: { ...process.env, NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/yadokari'), ...env },
  });
  stream.on('test:summary', (summary) => {
    if (summary.file !== undefined) return; // the last summary, without a file, has the sums
    const { tests, passed, skipped, todo } = summary.counts;
    total.passed += passed;
    total.skipped += skipped + todo;
    total.failed += tests - passed - skipped - todo; // failed and cancelled
  });
  const report = quiet ? stream.compose(dot) : stream.compose(new spec());
  for await (const chunk of report) process.stdout.write(chunk);
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const quiet = args.includes('--quiet');
  const names = args.filter((arg) => arg !== '--quiet');
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0)
    throw new Error(`Cannot run suite ${unknown.join(', ')}: there are ${suites.map((suite) => suite.name).join(', ')}`);
  const chosen = suites.filter((suite) => names.length === 0 || names.includes(suite.name));

  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  if (chosen.some((suite) => suite.needsImage)) {
    const made = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', join(root, 'scripts/image.ts'), '--debug'], {
      stdio: 'inherit',
    });
    if (made.status !== 0) total.failed += 1; // the suites below then say what they miss
  }
  for (const suite of chosen) await runSuite(suite, quiet, total);
  console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  if (total.failed > 0 || total.passed === 0) process.exitCode = 1;
}

await main();
