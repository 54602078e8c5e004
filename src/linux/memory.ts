// What the kernel says about the memory of this container: its limit, and how often the limit killed somebody.
import { readFileSync } from 'node:fs';
import { ifCode, orElse } from '../errors.ts';

const counters = ['/sys/fs/cgroup/memory.events', '/sys/fs/cgroup/memory/memory.oom_control'];

/** How many processes of this container the kernel killed for want of memory so far; undefined where it doesn't say. */
export function outOfMemoryKills(): number | undefined {
  for (const path of counters) {
    const count = /^oom_kill (\d+)$/m.exec(readIfThere(path) ?? '')?.[1];
    if (count !== undefined) return Number(count);
  }
  return undefined;
}

/** Bytes of memory that this container may use; undefined without a limit. */
export function memoryLimit(): number | undefined {
  const bytes = process.constrainedMemory();
  // cgroup v1 says "no limit" by a number near 2^63, and libuv by 0.
  return bytes > 0 && bytes < Number.MAX_SAFE_INTEGER ? bytes : undefined;
}

function readIfThere(path: string): string | undefined {
  return orElse(() => readFileSync(path, 'utf8'), ifCode(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM']));
}
