// Runs a program of the machine and waits for it, with everything it said.
import { spawn } from 'node:child_process';

export interface CommandResult {
  readonly status: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Both streams in the order in which they arrived. */
  readonly output: string;
  readonly durationMs: number;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** After this many milliseconds the program is killed; 10 minutes by default. */
  readonly timeoutMs?: number;
  /** Told about each piece of output as it comes. */
  readonly onOutput?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** Runs `argv` whatever its exit status; `env` is added to our own. Output is decoded as UTF-8. */
export async function run(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new TypeError('run() needs a program');
  const started = performance.now();
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 600_000,
    killSignal: 'SIGKILL',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: { ...process.env, ...options.env } }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const parts: { readonly stream: 'stdout' | 'stderr'; readonly text: string }[] = [];
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      parts.push({ stream, text });
      options.onOutput?.(text);
    });
  }
  child.stdin.on('error', () => undefined); // the program may end before it has read its input
  child.stdin.end(options.input ?? '');
  const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, killer) => resolve([code, killer]));
  });
  const joined = (stream?: 'stdout' | 'stderr') =>
    parts
      .filter((part) => stream === undefined || part.stream === stream)
      .map((part) => part.text)
      .join('');
  return {
    status: status ?? undefined,
    signal: signal ?? undefined,
    stdout: joined('stdout'),
    stderr: joined('stderr'),
    output: joined(),
    durationMs: performance.now() - started,
  };
}

/**
 * Runs `argv` and gives what it wrote to stdout.
 * @throws Error with the command and its output when the exit status is not 0.
 */
export async function must(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await run(argv, options);
  if (result.status === 0) return result.stdout;
  throw new Error(`${argv.join(' ').slice(0, 300)}: ${describeEnd(result)}\n${result.output.slice(-4000)}`);
}

/** "exit status 3" or "killed by SIGTERM". */
export function describeEnd(result: CommandResult): string {
  return result.signal === undefined ? `exit status ${result.status}` : `killed by ${result.signal}`;
}
