// What the container uses, as its control group counts it. The files are opened before the build: later their paths may lead elsewhere.
import { closeSync, existsSync, openSync, readSync } from 'node:fs';

export interface UsageReader extends Disposable {
  /**
   * Processor time since it was opened, and the memory of its processes and of files in memory; undefined where nobody counts. What
   * the kernel keeps of files and their names is not in it: where memory is short, that goes.
   */
  readonly read: () => { readonly cpuMs: number; readonly memoryBytes: number } | undefined;
}

interface Source {
  /** True where the group is that of the whole machine, which says nothing of the build. */
  readonly isMachine: () => boolean;
  readonly cpu: string;
  /** From the text to milliseconds. */
  readonly cpuMs: (text: string) => number;
  readonly memory: string;
  /** What of the text to add up. */
  readonly held: RegExp;
}

const sources: readonly Source[] = [
  {
    isMachine: () => !existsSync('/sys/fs/cgroup/cgroup.events'), // cgroup-v2.rst: all groups but the root have it
    cpu: '/sys/fs/cgroup/cpu.stat',
    cpuMs: (text) => Number(/^usage_usec (\d+)$/m.exec(text)?.[1]) / 1e3,
    memory: '/sys/fs/cgroup/memory.stat',
    held: /^(?:anon|shmem) (\d+)$/gm,
  },
  {
    isMachine: () => existsSync('/sys/fs/cgroup/memory/release_agent'), // cgroup-v1/cgroups.rst: the root alone has it
    cpu: '/sys/fs/cgroup/cpuacct/cpuacct.usage',
    cpuMs: (text) => Number(text.trim()) / 1e6,
    memory: '/sys/fs/cgroup/memory/memory.stat',
    held: /^total_(?:rss|shmem) (\d+)$/gm,
  },
];

export function openUsage(): UsageReader {
  for (const source of sources) {
    if (source.isMachine()) continue;
    const opened: number[] = [];
    try {
      for (const path of [source.cpu, source.memory]) opened.push(openSync(path, 'r'));
    } catch {
      for (const fd of opened) closeSync(fd);
      continue; // another kernel's
    }
    const [cpu = -1, memory = -1] = opened;
    const cpuMs = (): number => source.cpuMs(textOf(cpu));
    const started = cpuMs();
    const read: UsageReader['read'] = () => {
      const held = [...textOf(memory).matchAll(source.held)].map((match) => Number(match[1]));
      const sample = { cpuMs: cpuMs() - started, memoryBytes: held.reduce((sum, bytes) => sum + bytes, 0) };
      return held.length > 0 && Number.isFinite(sample.cpuMs) ? sample : undefined;
    };
    return { read, [Symbol.dispose]: () => opened.forEach((fd) => closeSync(fd)) };
  }
  return { read: () => undefined, [Symbol.dispose]: () => undefined };
}

function textOf(fd: number): string {
  const bytes = Buffer.alloc(16 * 1024);
  return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0));
}
