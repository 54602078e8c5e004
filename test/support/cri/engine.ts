// Pods for tests that say what they want in the words of podman's command line.
import type { Engine } from '../engine.ts';
import type { ContainerOptions } from '../podman.ts';
import { startContainerd } from './containerd.ts';
import { type Pod, startPod } from './pod.ts';
import type { PodMount } from './container.ts';
import type { PodVolume } from './volumes.ts';

/** A containerd of its own, which ends with `stop`. */
export async function podsEngine(): Promise<Engine> {
  const containerd = await startContainerd();
  return {
    load: (layout, tag) => containerd.load(layout, tag, 'loaded'),
    start: async (container, options = {}) => {
      const pod = await startPod(containerd, podOf(container), options);
      return {
        ended: pod.ended,
        kill: async (signal) => {
          if (signal === 'SIGINT') throw new TypeError('a container runtime sends SIGTERM and SIGKILL only');
          await pod.stop(signal === 'SIGTERM' ? 30 : 0);
        },
      };
    },
    stop: containerd.stop,
  };
}

/** @throws TypeError for what has no like in a pod. */
function podOf(container: ContainerOptions): Pod {
  const { extra = [], volumes = [], command = [], capabilities, memory, entrypoint, workdir, env, readOnly } = container;
  if (extra.length > 0) throw new TypeError(`a pod knows no ${extra.join(' ')}`);
  const named: [string, PodVolume][] = [];
  const mounts = volumes.map((volume, index): PodMount => {
    const [path = '', target = '', mode] = volume.split(':');
    named.push([`volume-${index}`, { kind: 'hostPath', path }]);
    return { path: target, volume: `volume-${index}`, readOnly: mode === 'ro' };
  });
  return {
    image: container.image,
    args: command,
    mounts,
    volumes: Object.fromEntries(named),
    ...(entrypoint === undefined ? {} : { command: [entrypoint] }),
    ...(workdir === undefined ? {} : { workingDir: workdir }),
    ...(env === undefined ? {} : { env }),
    ...(memory === undefined ? {} : { memoryLimitBytes: bytesOf(memory) }),
    securityContext: {
      seccompProfile: 'RuntimeDefault',
      readOnlyRootFilesystem: readOnly === true,
      ...(capabilities === undefined ? {} : { capabilities: { drop: ['ALL'], add: capabilities }, allowPrivilegeEscalation: false }),
    },
  };
}

function bytesOf(size: string): number {
  const match = /^(\d+)([kmg])$/.exec(size);
  if (match === null) throw new TypeError(`not a size: ${size}`);
  return Number(match[1]) * 1024 ** ('kmg'.indexOf(match[2] ?? '') + 1);
}
