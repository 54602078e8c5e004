// podman of the machine, told to be content with what a small virtual machine gives.
import { type CommandOptions, type CommandResult, run } from './command.ts';

const ulimits = ['--ulimit', 'nofile=20000:20000', '--ulimit', 'nproc=5000:5000'];

export interface ContainerOptions {
  readonly image: string;
  readonly command?: readonly string[];
  /** `HOST:CONTAINER[:OPTIONS]` each. */
  readonly volumes?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Exactly these capabilities, without a way to new ones; podman's default set when absent. */
  readonly capabilities?: readonly string[];
  /** As podman's `-m`: `256m`; no swap beyond it. */
  readonly memory?: string;
  readonly name?: string;
  readonly workdir?: string;
  readonly entrypoint?: string;
  readonly readOnly?: boolean;
  /** Stays when it has ended, for the caller to remove. */
  readonly isKept?: boolean;
  /** Further options of `podman run`. */
  readonly extra?: readonly string[];
}

/** `podman --runtime runc <args>`. */
export function podman(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return run(podmanCommand(args), options);
}

/** The argument vector that `podman()` runs, for a caller that wants to hold the process. */
export function podmanCommand(args: readonly string[]): readonly string[] {
  return ['podman', '--runtime', 'runc', '--cgroup-manager', 'cgroupfs', ...args];
}

/** Runs a container on the host's network and removes it. */
export function runContainer(container: ContainerOptions, options: CommandOptions = {}): Promise<CommandResult> {
  return podman(runArguments(container), options);
}

/** `run …` for a container. */
export function runArguments(container: ContainerOptions): readonly string[] {
  const limited = container.capabilities;
  return [
    'run',
    ...(container.isKept === true ? [] : ['--rm']),
    '--network=host',
    ...ulimits,
    ...(container.name === undefined ? [] : ['--name', container.name]),
    ...(container.memory === undefined ? [] : ['-m', container.memory, `--memory-swap=${container.memory}`]),
    ...(container.workdir === undefined ? [] : ['-w', container.workdir]),
    ...(container.entrypoint === undefined ? [] : ['--entrypoint', container.entrypoint]),
    ...(container.readOnly === true ? ['--read-only'] : []),
    ...(limited === undefined ? [] : ['--cap-drop=all', ...limited.map((name) => `--cap-add=${name}`), '--security-opt=no-new-privileges']),
    ...(container.volumes ?? []).flatMap((volume) => ['-v', volume]),
    ...Object.entries(container.env ?? {}).flatMap(([name, value]) => ['-e', `${name}=${value}`]),
    ...(container.extra ?? []),
    container.image,
    ...(container.command ?? []),
  ];
}
