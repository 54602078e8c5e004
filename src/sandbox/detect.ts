// Is `/` ours to build in? Being in some container is not enough: in a CI job's own image it would wipe that image's files.
import { existsSync, readFileSync } from 'node:fs';

/** What is known of the surroundings; paths and texts as they are before anything is unpacked. */
export interface ContainerFacts {
  /** Real path of the module that was started. */
  readonly mainPath: string;
  /** Whether the environment has `sandboxVariable`, which the launcher of this room sets for the process inside. */
  readonly isSandboxed: boolean;
  /** `--force`: the person vouches for the container. */
  readonly isForced: boolean;
  /** Sign of a container runtime, in words; undefined where there is none. */
  readonly sign: string | undefined;
}

/** The answer and, for people, the reason. */
export interface ContainerVerdict {
  readonly isInside: boolean;
  readonly reason: string;
}

/** Where the builder image keeps its code; the sandbox shows it at the same place. */
export const appFolder = '/kaniko/app';

/** In the environment of the builder inside the sandbox, with value `1`. */
export const sandboxVariable = 'YADOKARI_SANDBOX';

/**
 * True only where `/` was made for the builder: its own image in a container, or the sandbox's inside. Elsewhere the
 * caller makes a sandbox; `--force` replaces the sign of a container, never the builder's own image.
 */
export function insideContainer(facts: ContainerFacts): ContainerVerdict {
  if (!facts.mainPath.startsWith(`${appFolder}/`)) {
    return { isInside: false, reason: `the builder runs from ${facts.mainPath}, not from its own image` };
  }
  // A variable alone would let a stray setting on a host pass for the sandbox; the place of the code can't be set by accident.
  if (facts.isSandboxed) return { isInside: true, reason: 'the root is the sandbox' };
  if (facts.sign !== undefined) return { isInside: true, reason: `the builder's own image in a container (${facts.sign})` };
  if (facts.isForced) return { isInside: true, reason: "the builder's own image, and --force" };
  return { isInside: false, reason: 'nothing here looks like a container' };
}

/** Reads files and one variable; a place where a test lays out its own answers. */
export interface Surroundings {
  readonly exists: (path: string) => boolean;
  /** Empty text where the file can't be read. */
  readonly text: (path: string) => string;
  /** The variable `container`, which podman, systemd-nspawn and LXC set. */
  readonly containerVariable: string | undefined;
}

/** The machine itself as surroundings. */
export function realSurroundings(containerVariable: string | undefined): Surroundings {
  return {
    containerVariable,
    exists: existsSync,
    text: (path) => {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return ''; // an unreadable file is no sign
      }
    },
  };
}

const files = ['/run/.containerenv', '/.dockerenv', '/var/run/secrets/kubernetes.io/serviceaccount', '/__runsc_containers__'] as const;
const groupWords = ['docker', 'kubepods', 'containerd', 'libpod', 'crio', 'lxc', 'garden', 'ecs', 'buildkit'] as const;

/** The first sign of a container runtime, in the order in which kaniko looks; WSL is a machine, so it is none. */
export function findContainerSign(around: Surroundings): string | undefined {
  const file = files.find((path) => around.exists(path));
  if (file !== undefined) return file;
  const group = groupWords.find((word) => around.text('/proc/self/cgroup').includes(word));
  if (group !== undefined) return `"${group}" in /proc/self/cgroup`;
  if (around.exists('/proc/vz') && !around.exists('/proc/bc')) return '/proc/vz';
  if (around.containerVariable) return `container=${around.containerVariable}`;
  const runtime = around.text('/run/systemd/container').trim();
  if (runtime !== '') return `"${runtime}" in /run/systemd/container`;
  const isOverlay = around
    .text('/proc/mounts')
    .split('\n')
    .some((line) => /^\S+ \/ (?:overlay|fuse\.fuse-overlayfs|aufs) /.test(line));
  return isOverlay ? 'an overlay as root' : undefined;
}
