// Accounts of this machine, for tests that become other users. Made by shadow's own programs alone, which lock its files: tests run
// side by side, and newuidmap reads meanwhile.
import { execFileSync, spawnSync } from 'node:child_process';

/** Adds a user with a group of the same id, and with `first` 65,536 ids from there on to map; one that a run left behind goes. */
export function addAccount(name: string, uid: number, first?: number): void {
  removeAccount(name);
  must('groupadd', '--gid', String(uid), name);
  // A system account gets no ranges by itself.
  must('useradd', '--system', '--no-create-home', '--no-log-init', '--uid', String(uid), '--gid', name, name);
  if (first === undefined) return;
  const range = `${first}-${first + 65_535}`;
  must('usermod', '--add-subuids', range, '--add-subgids', range, name);
}

/** @throws Error with what the program says. */
function must(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: 'pipe' });
}

/** Removes it with its group and ranges, if it is there. */
export function removeAccount(name: string): void {
  spawnSync('userdel', [name], { stdio: 'ignore' });
}
