// What runs the builder's image in a test: podman, or with TEST_ENGINE=pods containerd as a kubelet would ask it.
import { tmpdir } from 'node:os';
import { type CommandOptions, type CommandResult, must, run } from './command.ts';
import { podsEngine } from './cri/engine.ts';
import { inPod } from './pod-shape.ts';
import { type ContainerOptions, podman, podmanCommand, runArguments } from './podman.ts';

export interface Engine {
  /** Makes a tag of an OCI layout known to the engine; gives the name to run it by. */
  readonly load: (layout: string, tag: string) => Promise<string>;
  /** @throws Error when the container can't be started. */
  readonly start: (container: ContainerOptions, options?: StartOptions) => Promise<RunningContainer>;
  readonly stop: () => Promise<void>;
}

export type StartOptions = Pick<CommandOptions, 'onOutput' | 'timeoutMs'>;

export interface RunningContainer {
  /** Settled when the container has ended and is gone. */
  readonly ended: Promise<CommandResult>;
  /** Waits at most until the container has ended. */
  readonly kill: (signal: StopSignal) => Promise<void>;
}

export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGKILL';

/** Which engine the tests of this process run in. @throws Error for a name that is none. */
export function chosenEngine(): 'podman' | 'pods' {
  const name = process.env['TEST_ENGINE'] ?? 'podman';
  if (name === 'podman' || name === 'pods') return name;
  throw new Error(`TEST_ENGINE is ${name}: podman or pods`);
}

/** Whether the chosen engine can send this signal: a container runtime sends SIGTERM and SIGKILL only. */
export function canSend(signal: StopSignal): boolean {
  return chosenEngine() === 'podman' || signal !== 'SIGINT';
}

/** The chosen engine, ready; `stop` leaves nothing of it. */
export function startEngine(): Promise<Engine> {
  return chosenEngine() === 'podman' ? Promise.resolve(podmanEngine) : podsEngine();
}

let containers = 0;

const podmanEngine: Engine = {
  load: async (layout, tag) => (await must(podmanCommand(['pull', '-q', `oci:${layout}:${tag}`]))).trim(),
  start: (container, options) => {
    const name = container.name ?? `yadokari-test-${process.pid}-${++containers}`;
    // Where memory runs out, the engine's monitor leaves a file named "oom" in its working directory.
    const follow = async (): Promise<CommandResult> => {
      const result = await run(podmanCommand(runArguments(inPod({ ...container, name }))), { ...options, cwd: tmpdir() });
      // One that it could not wait for is still there; others it has removed itself.
      if (result.signal !== undefined || container.isKept === true) await podman(['rm', '-f', '-i', name]);
      return result;
    };
    return Promise.resolve({
      ended: follow(),
      kill: async (signal) => {
        await podman(['kill', '--signal', signal, name]);
      },
    });
  },
  stop: () => Promise.resolve(),
};
