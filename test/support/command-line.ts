// A command line of ours without a process of its own: to start one from the sources takes seconds of CPU.
import { runInvocation } from '../../src/cli/command-line.ts';
import type { Sink } from '../../src/report/sink.ts';

export interface CommandLineResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Both in the order in which they were written. */
  readonly output: string;
}

/** Runs it in this process, one at a time: without variables but those given, in `cwd`. No build: that starts this program again. Standard input is the tests'. */
export async function runHere(
  argv: readonly string[],
  { env = {}, cwd }: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<CommandLineResult> {
  const written: { readonly stream: 'stdout' | 'stderr'; readonly text: string }[] = [];
  const sink = (stream: 'stdout' | 'stderr'): Sink => ({
    isTerminal: false,
    columns: () => 80,
    rows: () => 24,
    write: (text) => void written.push({ stream, text }),
  });
  const textOf = (stream?: string): string =>
    written
      .filter((each) => stream === undefined || each.stream === stream)
      .map(({ text }) => text)
      .join('');
  const before = process.cwd();
  if (cwd !== undefined) process.chdir(cwd);
  try {
    const { signal } = new AbortController();
    const status = await runInvocation({ argv, env }, { stdout: sink('stdout'), stderr: sink('stderr') }, signal);
    return { status, stdout: textOf('stdout'), stderr: textOf('stderr'), output: textOf() };
  } finally {
    process.chdir(before);
  }
}
