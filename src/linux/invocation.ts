// How the builder gets its arguments and environment. A process shows both in /proc to all, as they stood when it was started; so the
// first stage takes them into memory that has no name, and goes on as the second: in place where it can, else by execve(2).
import { closeSync, fstatSync, readSync, readlinkSync, writeSync } from 'node:fs';
import { bytesFromText } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { assertSystemCallsWork, bind, call, cString } from './libc.ts';
import { memoryLimit } from './limits.ts';
import { protectSelf } from './process.ts';
import { hideStart } from './shown-start.ts';

/** What the builder was asked for, as a program is. */
export interface Invocation {
  /** Without Node and the script. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** True when neither shows in /proc, and nobody but us can look into this process. */
  readonly isSealed: boolean;
}

const memoryName = 'yadokari-invocation';
/** The builder's only visible argument; the descriptor follows. */
export const invocationOption = '--invocation-fd=';
const largestHeapMiB = 1024;
const smallestHeapMiB = 96;
/** V8 lets the space for new objects grow to 32 MiB a half, which 50,000 files fill: 155 MB in all, with 4 MiB 106 in the same time. */
const youngHalfMiB = 4;
/** All that the second stage needs of the environment; none of it is a secret. */
const keptVariables = ['PATH', 'HOME', 'LANG'];
/**
 * For glibc, which else takes pieces of up to 32 MiB from one heap: there what is given back stays, and what is new is filled with zeros
 * and so in memory before it is used. 300,000 files take 60 MB instead of 75, everything else 13 MB less.
 */
const leastMappedBytes = 1024 * 1024;
const mmapThreshold = -3; // M_MMAP_THRESHOLD
/** What the image starts Node with; Linux takes one option from the first line of a script. */
export const youngOption = `--max-semi-space-size=${youngHalfMiB}`;
/** What Node, its libraries and the loader go by when a process starts: with such a variable the builder needs a start without it. */
const startVariables = /^(?:NODE_|UV_|LD_|LC_|MALLOC_|GLIBC_|OPENSSL_|ICU_|TZ$)/;

/**
 * Goes on as the second stage, with nothing in arguments and environment: `main` is then to be loaded here. Where this process was not
 * started as the second has to be, or still shows what it was started with, it becomes `node main`, and does not return.
 * @throws ERR_UNSUPPORTED where system calls do not work.
 */
export function becomeBuilder(invocation: Omit<Invocation, 'isSealed'>, paths: { readonly node: string; readonly main: string }): void {
  assertSystemCallsWork();
  protectSelf();
  const options = nodeOptions(memoryLimit());
  const isAsStarted = process.execArgv.includes(youngOption) && options.includes(heapOption(largestHeapMiB));
  const isPlain = isAsStarted && !Object.keys(invocation.env).some((name) => startVariables.test(name));
  const fd = holdInvocation(invocation);
  const kept = keptVariables.flatMap((name): [string, string][] => {
    const value = invocation.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  const env = Object.fromEntries(kept);
  if (isPlain && hideStart('yadokari', env)) {
    bind('mallopt', ['int', 'int'])(mmapThreshold, leastMappedBytes);
    // Without a listener this signal opens a debugger.
    process.on('SIGUSR1', () => undefined);
    process.argv = [paths.node, paths.main, `${invocationOption}${fd}`];
    return;
  }
  const variables = { ...env, MALLOC_MMAP_THRESHOLD_: String(leastMappedBytes) };
  process.execve?.(paths.node, [paths.node, ...options, paths.main, `${invocationOption}${fd}`], variables);
  throw new BuilderError('ERR_UNSUPPORTED', 'Cannot start the builder: this Node.js has no process.execve()');
}

/** A descriptor that holds `invocation` for `receiveInvocation()`, and stays open over execve. @throws SystemError */
export function holdInvocation(invocation: Omit<Invocation, 'isSealed'>): number {
  const fd = call('memfd_create', [cString(bytesFromText(memoryName)), 0]);
  const bytes = Buffer.from(JSON.stringify(invocation));
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, at);
  return fd;
}

/**
 * What the builder was asked for: from the first stage if there was one, else as Node got it. The first is read only once.
 * @throws ERR_USAGE when `--invocation-fd` names anything but what the first stage left.
 */
export function receiveInvocation(): Invocation {
  const argv = process.argv.slice(2);
  const [first = ''] = argv;
  if (!first.startsWith(invocationOption)) return { argv, env: process.env, isSealed: false };
  const fd = Number(first.slice(invocationOption.length));
  const isOurs = Number.isInteger(fd) && fd > 2 && isInvocation(fd);
  if (!isOurs || argv.length > 1) throw new BuilderError('ERR_USAGE', `Cannot use ${first}: it is for the builder's own use`);
  const bytes = Buffer.alloc(fstatSync(fd).size);
  for (let at = 0; at < bytes.length;) at += readSync(fd, bytes, at, bytes.length - at, at);
  closeSync(fd);
  protectSelf();
  const handed = JSON.parse(bytes.toString()) as Omit<Invocation, 'isSealed'>; // written by becomeBuilder()
  bytes.fill(0);
  return { ...handed, isSealed: true };
}

/**
 * Options of Node for the second stage. Left alone, V8 takes no limit below 262 MiB for one, and SIGUSR1 opens a debugger to
 * every RUN on the same machine.
 */
export function nodeOptions(memoryLimitBytes: number | undefined): readonly string[] {
  const half = memoryLimitBytes === undefined ? largestHeapMiB : Math.floor(memoryLimitBytes / 2 / 1_048_576);
  const heapMiB = Math.max(smallestHeapMiB, Math.min(half, largestHeapMiB));
  return ['--disable-sigusr1', youngOption, heapOption(heapMiB)];
}

function heapOption(megabytes: number): string {
  return `--max-old-space-size=${megabytes}`;
}

function isInvocation(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`/memfd:${memoryName} `);
  } catch {
    return false; // no such descriptor
  }
}
