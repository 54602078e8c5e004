// A control group of its own for one command, with limits on memory and processes, where the kernel lets us have one: version 2 below
// the nearest group of ours that hands the controllers down, version 1 in each controller's tree. cgroups(7).
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { setTimeout as sleep } from 'node:timers/promises';
import { BuilderError, messageOf, systemCode } from '../errors.ts';

export interface Limits {
  readonly memoryBytes?: number;
  /** Processes and threads. */
  readonly pids?: number;
}

/** The two files by which a process gets into a group and out of it. */
export interface GroupDoor {
  readonly enter: string;
  readonly leave: string;
  /** A limit on processes: while who starts the command is in the group, too, his threads come on top. */
  readonly late?: { readonly file: string; readonly value: number };
}

/** Groups that were made for one command. */
export interface LimitedGroups {
  /** Files that a process writes `0` to in order to be in the groups, and to be where we are again. */
  readonly doors: readonly GroupDoor[];
  /** Removes the groups, once nobody is in them. */
  readonly remove: () => Promise<void>;
}

/** Where the kernel shows its groups, and which of them we are in. */
export interface GroupTree {
  readonly mountPoint: string;
  /** As /proc/self/cgroup. */
  readonly own: string;
}

const kernelTree: GroupTree = { mountPoint: '/sys/fs/cgroup', own: '/proc/self/cgroup' };
const none: LimitedGroups = { doors: [], remove: async () => undefined };

/** Makes groups called `name` with these limits; none where there is no limit. @throws ERR_UNSUPPORTED naming the limit and what refused */
export function makeLimitedGroups(name: string, { memoryBytes, pids }: Limits, tree = kernelTree): LimitedGroups {
  const wanted = [
    ...(memoryBytes === undefined ? [] : [{ controller: 'memory', flag: '--memory', value: memoryBytes }]),
    ...(pids === undefined ? [] : [{ controller: 'pids', flag: '--pids-limit', value: pids }]),
  ];
  if (wanted.length === 0) return none;
  const made: string[] = [];
  const doors: GroupDoor[] = [];
  try {
    const { mountPoint } = tree;
    const isUnified = existsSync(join(mountPoint, 'cgroup.controllers'));
    const own = ownGroups(tree);
    const controllers = wanted.map(({ controller }) => controller);
    const unified = isUnified ? unifiedFolder(mountPoint, own.get('') ?? '/', controllers) : undefined;
    for (const { controller, value } of wanted) {
      const folder = unified ?? legacyFolder(mountPoint, own, controller);
      const group = join(folder, name);
      if (!made.includes(group)) {
        mkdirSync(group);
        made.push(group);
        const home = isUnified ? join(mountPoint, own.get('') ?? '/') : folder;
        doors.push({ enter: join(group, 'cgroup.procs'), leave: join(home, 'cgroup.procs') });
      }
      const file = join(group, limitFile(controller, isUnified));
      // Whether it is taken shows now.
      writeFileSync(file, String(value));
      if (controller === 'pids') doors.push(late(doors.pop(), file, value));
    }
    return { doors, remove: async () => await removeGroups(made) };
  } catch (error) {
    for (const group of made) rmdirSync(group);
    const flags = wanted.map(({ flag }) => flag).join(' and ');
    const reason = messageOf(error);
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot honour ${flags}: no control group can be had here: ${reason}`, {
      cause: error,
      hint: 'run as root, or in a session that systemd delegates control groups to',
    });
  }
}

function late(door: GroupDoor | undefined, file: string, value: number): GroupDoor {
  if (door === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot limit processes: there is no group');
  writeFileSync(file, 'max');
  return { ...door, late: { file, value } };
}

function limitFile(controller: string, isUnified: boolean): string {
  if (controller === 'pids') return 'pids.max';
  return isUnified ? 'memory.max' : 'memory.limit_in_bytes';
}

/** By controller, `''` for version 2: the path of the group that we are in. */
function ownGroups({ own }: GroupTree): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  for (const line of readFileSync(own, 'utf8').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers !== undefined && path !== undefined) for (const each of controllers.split(',')) groups.set(each, path);
  }
  return groups;
}

/** The nearest group from ours upward that hands these controllers down, or can be made to. */
function unifiedFolder(mountPoint: string, own: string, controllers: readonly string[]): string {
  let refusal: unknown;
  for (let path = own; ; path = dirname(path)) {
    const folder = join(mountPoint, path);
    const control = join(folder, 'cgroup.subtree_control');
    try {
      const enabled = readFileSync(control, 'utf8').trim().split(' ');
      const missing = controllers.filter((each) => !enabled.includes(each));
      if (missing.length > 0) writeFileSync(control, missing.map((each) => `+${each}`).join(' '));
      return folder;
    } catch (error) {
      refusal = error; // one with processes in it can't, nor one that is not ours
    }
    if (path === '/' || path === '.') throw refusal;
  }
}

function legacyFolder(mountPoint: string, own: ReadonlyMap<string, string>, controller: string): string {
  const tree = join(mountPoint, controller);
  if (!existsSync(tree)) throw new Error(`${tree} is not there`);
  const folder = join(tree, own.get(controller) ?? '/');
  // In a container the path may be that of the machine.
  return existsSync(folder) ? folder : tree;
}

/** Processes that were killed a moment ago may still be leaving. */
async function removeGroups(groups: readonly string[]): Promise<void> {
  for (const group of groups) {
    for (let tries = 0; ; tries++) {
      try {
        rmdirSync(group);
        break;
      } catch (error) {
        if (systemCode(error) === 'ENOENT' || tries === 50) break;
        await sleep(20);
      }
    }
  }
}
