// What the kernel shows of how this process was started: the memory where its arguments and environment stood, whatever became of them.
import { readFileSync } from 'node:fs';
import { bind } from './libc.ts';

// proc_pid_stat(5), counted from the third field: where the environment begins and ends.
const [environmentStart, environmentEnd] = [50 - 3, 51 - 3];

/**
 * Overwrites arguments and environment where they stand: /proc shows `title` and nothing, and `process.env` is `environment`. False where
 * that can't be seen to have worked; `process.env` is another then all the same.
 */
export function hideStart(title: string, environment: Readonly<Record<string, string>>): boolean {
  try {
    // "pid (name) state …": the name may hold anything, parentheses too.
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [from = 0, to = 0] = [fields[environmentStart], fields[environmentEnd]];
    if (from === 0 || to < from) return false; // gVisor doesn't say
    // First libc has to let go of what is there.
    for (const name of Object.keys(process.env)) delete process.env[name];
    bind('memset', ['address', 'int', 'int'])(from, 0, to - from);
    Object.assign(process.env, environment);
    process.title = title;
    return /^\0*$/.test(shown('environ')) && shown('cmdline').replace(/\0+$/, '') === title;
  } catch {
    return false; // no /proc, or one that is not ours
  }
}

function shown(name: 'environ' | 'cmdline'): string {
  return readFileSync(`/proc/self/${name}`, 'latin1');
}
