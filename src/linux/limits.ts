// What the kernel says about the limits of this container: what they are, and how often they struck.
import { readFileSync } from 'node:fs';
import { ifCode, orElse } from '../errors.ts';

/** How often limits struck so far; 0 also where the kernel doesn't say. */
export interface Strikes {
  /** Processes of this container that were killed for want of memory. */
  readonly memory: number;
  /** Processes that could not be started, as there were as many as there may be. */
  readonly processes: number;
}

export function limitStrikes(): Strikes {
  return {
    memory: numberIn(['memory.events', 'memory/memory.oom_control'], /^oom_kill (\d+)$/m) ?? 0,
    processes: numberIn(['pids.events', 'pids/pids.events'], /^max (\d+)$/m) ?? 0,
  };
}

/** How many processes and threads this container may have; undefined without a limit of its own. */
export function processLimit(): number | undefined {
  return numberIn(['pids.max', 'pids/pids.max'], /^(\d+)$/m);
}

/** Bytes of memory that this container may use; undefined without a limit. */
export function memoryLimit(): number | undefined {
  const bytes = process.constrainedMemory();
  // cgroup v1 says "no limit" by a number near 2^63, and libuv by 0.
  return bytes > 0 && bytes < Number.MAX_SAFE_INTEGER ? bytes : undefined;
}

// By the names that cgroups have in version 2 and in version 1.
function numberIn(names: readonly string[], pattern: RegExp): number | undefined {
  for (const name of names) {
    const number = pattern.exec(readIfThere(`/sys/fs/cgroup/${name}`) ?? '')?.[1];
    if (number !== undefined) return Number(number);
  }
  return undefined;
}

function readIfThere(path: string): string | undefined {
  return orElse(() => readFileSync(path, 'utf8'), ifCode(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM']));
}
