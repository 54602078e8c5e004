// The inside, built on the empty folder that becomes `/`: our own mounts, then what a container runtime gives every container.
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { makeFolder } from '../folders.ts';
import { call } from '../linux/libc.ts';
import { bindMount, mountNew } from './mount.ts';
import { type Bind, type SandboxPlan, builderFolder, hostFolder } from './plan.ts';

const devices = ['null', 'zero', 'full', 'random', 'urandom', 'tty'] as const;
const deviceLinks = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['ptmx', 'pts/ptmx'],
] as const;
// Without a user namespace, root writes these for the whole machine (core_pattern starts programs outside).
const readOnlyProc = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'] as const;
const hiddenProc = ['acpi', 'asound', 'kcore', 'keys', 'latency_stats', 'scsi', 'sched_debug', 'timer_list', 'timer_stats'] as const;
const sharedMemoryBytes = 64 * 1024 * 1024;

/** Mounts everything of `plan` below its root folder; call in fresh mount, pid, ipc and uts namespaces. @throws SystemError */
export function buildWorld(plan: SandboxPlan): void {
  const root = plan.rootFolder;
  // A device that a RUN makes may be kept in a layer, but never opened: nothing else guards the host's disks from real root.
  bindMount(root, root, ['nodev']);
  for (const bind of plan.binds) {
    bindInto(root, bind);
    if (bind.target === builderFolder) holdInMemory(join(root, hostFolder));
  }
  const targets = { proc: join(root, 'proc'), sys: join(root, 'sys'), dev: join(root, 'dev') };
  for (const target of Object.values(targets)) mkdirSync(target);
  mountSystem(targets, plan.terminalGroup);
  setHostName(plan.hostName);
}

/** Mounts what a container runtime gives every container on folders that are there. @throws SystemError */
export function mountSystem(
  targets: { readonly proc: string; readonly sys: string; readonly dev: string },
  terminalGroup: number | undefined,
): void {
  mountProc(targets.proc);
  showSys(targets.sys);
  makeDevices(targets.dev, terminalGroup);
}

/** Names the calling process's uts namespace. @throws SystemError */
export function setHostName(name: string): void {
  const bytes = Buffer.from(name, 'utf8');
  call('sethostname', [bytes, bytes.length]);
}

function bindInto(root: string, bind: Bind): void {
  const target = join(root, bind.target);
  if (bind.mode === 'copy') {
    copyInto(bind.source, target);
    return;
  }
  if (bind.kind === 'folder') makeFolder(target);
  else makeFile(target);
  bindMount(bind.source, target, bind.mode === 'rw' ? ['nodev'] : ['readonly', 'nodev']);
}

/** Copies of secrets must never reach a disk. */
function holdInMemory(folder: string): void {
  mkdirSync(folder);
  mountNew('tmpfs', folder, ['nosuid', 'nodev', 'noexec'], 'mode=0755');
}

/** A file of its own, which can be removed where a mount can't. */
function copyInto(source: string, target: string): void {
  if (existsSync(target)) return; // it shows through from an outer bind
  makeFolder(dirname(target));
  writeFileSync(target, readFileSync(source), { mode: 0o600, flag: 'wx' });
}

function mountProc(proc: string): void {
  mountNew('proc', proc, ['nosuid', 'nodev', 'noexec'], '');
  for (const path of present(proc, readOnlyProc)) bindMount(path, path, ['readonly']);
  for (const path of present(proc, hiddenProc)) hide(path);
}

function showSys(sys: string): void {
  if (!existsSync('/sys')) return; // a host without sysfs has nothing to show
  bindMount('/sys', sys, ['readonly', 'nosuid', 'nodev', 'noexec']);
  for (const path of present(sys, ['firmware'])) hide(path);
}

function makeDevices(dev: string, terminalGroup: number | undefined): void {
  // The nodes below are mounts of their own and open all the same.
  mountNew('tmpfs', dev, ['nosuid', 'nodev', 'noexec'], 'mode=0755,size=65536k');
  for (const name of devices) {
    makeFile(join(dev, name));
    // Read-only, a device can still be written to, but its mode and owner are safe: it is the machine's very own.
    bindMount(join('/dev', name), join(dev, name), ['readonly', 'nosuid', 'noexec']);
  }
  for (const [name, target] of deviceLinks) symlinkSync(target, join(dev, name));
  const group = terminalGroup === undefined ? '' : `,gid=${terminalGroup}`;
  mkdirSync(join(dev, 'pts'));
  mountNew('devpts', join(dev, 'pts'), ['nosuid', 'noexec'], `newinstance,ptmxmode=0666,mode=0620${group}`);
  mkdirSync(join(dev, 'shm'));
  mountNew('tmpfs', join(dev, 'shm'), ['nosuid', 'nodev', 'noexec'], `mode=1777,size=${sharedMemoryBytes}`);
}

/** Covers what tells of, or reaches into, the machine: a file by the null device, a folder by an empty one. */
function hide(path: string): void {
  if (statSync(path).isDirectory()) mountNew('tmpfs', path, ['nosuid', 'nodev', 'noexec'], 'size=0,mode=0555');
  else bindMount('/dev/null', path, []);
}

function present(folder: string, names: readonly string[]): readonly string[] {
  return names.map((name) => join(folder, name)).filter((path) => existsSync(path));
}

/** An empty file to mount on; one that shows through from an outer bind is as good. */
function makeFile(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  writeFileSync(path, '');
}
