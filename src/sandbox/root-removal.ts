// Removes a throwaway root, also when the launcher was killed and can't: a shell in a session of its own that waits for the end.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { constants } from 'node:os';
import type { Writable } from 'node:stream';
import { programPath } from './host.ts';
import { type IdMapping, mappingFlags } from './ids.ts';

/** A shell that waits; whoever holds `lifeline` keeps the folder. */
export interface RootRemoval {
  /** Passed on to the process that uses the folder; closed when that process ends. */
  readonly lifeline: Writable;
  /** Lets go of the folder and waits until it is gone; gives a sentence when something of it stays. */
  readonly finish: () => Promise<string | undefined>;
}

// Processes that were killed a moment ago may still write. --one-file-system leaves alone what may be mounted there by mistake.
const script = `
trap '' INT TERM HUP
read -r _
tries=0
while ! rm -rf --one-file-system -- "$1" 2>/dev/null && [ "$tries" -lt 20 ]; do tries=$((tries + 1)); sleep 0.1; done
exec rm -rf --one-file-system -- "$1"
`;

/** Starts waiting to remove `folder`, under the same ids as those who fill it. */
export function startRootRemoval(
  folder: string,
  mapping: IdMapping,
  programs: { readonly unshare: string; readonly shell: string },
): RootRemoval {
  const flags = mappingFlags(mapping);
  const command = [programs.shell, '-c', script, 'root-removal', folder] as const;
  const [program, ...args] = flags.length === 0 ? command : [programs.unshare, ...flags, '--', ...command];
  const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'inherit'], detached: true, cwd: '/', env: { PATH: programPath } });
  const ended = exitStatus(child);
  // It is only written to by closing; a shell that died early shows in its status.
  child.stdin.on('error', () => undefined);
  return {
    lifeline: child.stdin,
    finish: async () => {
      child.stdin.end();
      const status = await ended;
      if (status === 0) return undefined;
      // Where no namespace could be made, nothing was made with foreign ids either.
      await rm(folder, { recursive: true, force: true }).catch(() => undefined);
      return existsSync(folder) ? `Cannot remove ${folder}: rm ended with status ${status}` : undefined;
    },
  };
}

/** A child's status as a shell tells it: its code, or 128 and the signal's number; 127 where it never started. */
export async function exitStatus(child: ChildProcess): Promise<number> {
  return await new Promise((resolve) => {
    child.once('error', () => resolve(127));
    child.once('exit', (code, name) => resolve(code ?? 128 + (name === null ? 0 : constants.signals[name])));
  });
}
