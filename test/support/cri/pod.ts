// Pods as a kubelet asks for them: a sandbox, its volumes, init containers one after another, then the container, each with
// the mounts and limits that a kubelet adds. The network is the node's, so that tests reach their registries.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { CommandResult } from '../command.ts';
import { asNumber, asObject, asText, type ParsedObject } from '../parsed.ts';
import { containerConfig, onNodeNetwork, type PodContainer, type PodMount } from './container.ts';
import { isNotFound } from './client.ts';
import { type Containerd, nodeName } from './containerd.ts';
import { type LogPart, LogReader } from './log.ts';
import { type MadeVolume, makeVolume, pathInVolume, type PodVolume, serviceAccountToken } from './volumes.ts';

export interface Pod extends PodContainer {
  readonly initContainers?: readonly PodContainer[];
  readonly volumes?: Readonly<Record<string, PodVolume>>;
  readonly automountServiceAccountToken?: boolean;
}

export interface PodResult extends CommandResult {
  /** `Completed`, `Error` or `OOMKilled`. */
  readonly reason: string;
  /** What the container wrote to /dev/termination-log. */
  readonly terminationMessage: string;
}

export interface PodOptions {
  readonly onOutput?: (text: string) => void;
  /** After this many milliseconds the pod is killed; 10 minutes by default. */
  readonly timeoutMs?: number;
}

/** A container that runs. */
export interface RunningPod {
  /** Settled once the pod is gone. */
  readonly ended: Promise<PodResult>;
  /** As for a deleted pod: the image's stop signal, SIGTERM if it names none, and SIGKILL after the grace period. */
  readonly stop: (graceSeconds: number) => Promise<void>;
  /** Runs a command in the container, as `kubectl exec` does. */
  readonly exec: (argv: readonly string[]) => Promise<{ readonly status: number; readonly output: string }>;
  /** Sends it by standard input, and is gone, as `kubectl attach --stdin` does. */
  readonly send: (bytes: Uint8Array) => Promise<void>;
}

/** Runs a pod to its end and removes it. @throws Error when it does not start. */
export async function runPod(containerd: Containerd, pod: Pod, options: PodOptions = {}): Promise<PodResult> {
  const running = await startPod(containerd, pod, options);
  return await running.ended;
}

/** Starts a pod; its init containers have ended by then. @throws Error when it does not start, or an init container fails. */
export async function startPod(containerd: Containerd, pod: Pod, options: PodOptions = {}): Promise<RunningPod> {
  const sandbox = await startSandbox(containerd, pod);
  try {
    for (const [index, init] of (pod.initContainers ?? []).entries()) {
      const { ended } = await startContainer(sandbox, `init-${index}`, init, {});
      const { status, output } = await ended;
      if (status !== 0) throw new Error(`init container ${index} ended with exit status ${status}: ${output}`);
    }
    const running = await startContainer(sandbox, 'main', pod, options);
    return { ...running, ended: removed(sandbox, running.ended) };
  } catch (error) {
    await removeSandbox(sandbox);
    throw error;
  }
}

interface Sandbox {
  readonly containerd: Containerd;
  readonly id: string;
  readonly config: object;
  /** Of the pod, on the node. */
  readonly folder: string;
  readonly volumes: ReadonlyMap<string, MadeVolume>;
  readonly hasToken: boolean;
}

const tokenVolume = 'kube-api-access-x7f2q';
const tokenFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

const hostsFile = `# Kubernetes-managed hosts file (host network).
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
127.0.1.1\t${nodeName}
`;

async function startSandbox(containerd: Containerd, pod: Pod): Promise<Sandbox> {
  const uid = randomUUID();
  const folder = join(containerd.pods, uid);
  const hasToken = pod.automountServiceAccountToken !== false;
  await mkdir(join(folder, 'logs'), { recursive: true });
  const volumes = new Map<string, MadeVolume>();
  for (const [name, volume] of Object.entries({ ...pod.volumes, ...(hasToken ? { [tokenVolume]: serviceAccountToken } : {}) }))
    volumes.set(name, await makeVolume(containerd, folder, name, volume));
  await writeFile(join(folder, 'etc-hosts'), hostsFile);
  const config = {
    metadata: { name: `pod-${uid.slice(0, 8)}`, uid, namespace: 'default', attempt: 0 },
    logDirectory: join(folder, 'logs'),
    linux: {
      cgroupParent: `${containerd.cgroup}/pod${uid}`,
      securityContext: { namespaceOptions: onNodeNetwork, seccomp: { profileType: 'RuntimeDefault' } },
    },
  };
  const { podSandboxId } = await containerd.client.call('RunPodSandbox', { config });
  return { containerd, id: asText(podSandboxId), config, folder, volumes, hasToken };
}

async function removeSandbox({ containerd, id, folder, volumes }: Sandbox): Promise<void> {
  await containerd.client.call('StopPodSandbox', { podSandboxId: id });
  await containerd.client.call('RemovePodSandbox', { podSandboxId: id });
  const mounted = [...volumes.values()].flatMap(({ path, isMounted }) => (isMounted ? [path] : []));
  if (mounted.length > 0) await containerd.inside(['umount', ...mounted]);
  await rm(folder, { recursive: true, force: true });
}

async function removed(sandbox: Sandbox, ended: Promise<PodResult>): Promise<PodResult> {
  try {
    return await ended;
  } finally {
    await removeSandbox(sandbox);
  }
}

async function startContainer(sandbox: Sandbox, name: string, container: PodContainer, options: PodOptions): Promise<RunningPod> {
  const { client } = sandbox.containerd;
  const started = performance.now();
  const terminationLog = join(sandbox.folder, 'containers', name);
  await mkdir(join(sandbox.folder, 'containers'), { recursive: true });
  await writeFile(terminationLog, '');
  await chmod(terminationLog, 0o666);
  const config = { ...containerConfig(name, container), mounts: await mountsOf(sandbox, container, terminationLog) };
  const { containerId } = await client.call('CreateContainer', { podSandboxId: sandbox.id, config, sandboxConfig: sandbox.config });
  await client.call('StartContainer', { containerId });
  const stop = async (graceSeconds: number): Promise<void> => {
    try {
      await client.call('StopContainer', { containerId, timeout: graceSeconds }, (graceSeconds + 60) * 1000);
    } catch (error) {
      // It has ended by itself and was removed meanwhile: as for a kubelet, that is what was wanted.
      if (!isNotFound(error)) throw error;
    }
  };
  const log = new LogReader(join(sandbox.folder, 'logs', `${name}.log`));
  const parts: LogPart[] = [];
  const take = (more: readonly LogPart[]): void => {
    parts.push(...more);
    for (const { text } of more) options.onOutput?.(text);
  };
  const look = async (): Promise<ParsedObject> => {
    // asked before the log is read: a container's log is complete when the runtime says that it has exited
    const { status } = await client.call('ContainerStatus', { containerId });
    take(await log.read());
    return asObject(status, 'the status of a container');
  };
  const follow = async (): Promise<PodResult> => {
    const status = await untilExited(() => stop(0), look, started + (options.timeoutMs ?? 600_000));
    take(log.unfinished());
    const terminationMessage = (await readFile(terminationLog, 'utf8')).slice(0, 4096);
    return { ...resultOf(status, parts), terminationMessage, durationMs: performance.now() - started };
  };
  return {
    ended: follow(),
    stop,
    send: async (bytes) => {
      const { url } = await client.call('Attach', { containerId, stdin: true, stdout: true, stderr: true });
      await sendInput(asText(url), bytes);
    },
    exec: async (argv) => {
      const answer = await client.call('ExecSync', { containerId, cmd: argv, timeout: 60 });
      const output = [answer['stdout'], answer['stderr']].map((bytes) =>
        bytes instanceof Uint8Array ? Buffer.from(bytes).toString() : '',
      );
      return { status: asNumber(answer['exitCode']), output: output.join('') };
    },
  };
}

/** By the protocol of kubectl's attach and exec: messages of a socket of the web, whose first byte is the number of the stream. */
async function sendInput(url: string, bytes: Uint8Array): Promise<void> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), ['v4.channel.k8s.io']);
  const failure = once(socket, 'error').then(() => Promise.reject(new Error(`cannot attach at ${url}`)));
  await Promise.race([once(socket, 'open'), failure]);
  const chunk = 32 * 1024;
  for (let at = 0; at < bytes.length; at += chunk) socket.send(Buffer.concat([Buffer.of(0), bytes.subarray(at, at + chunk)]));
  socket.close();
  await Promise.race([once(socket, 'close'), failure]);
}

/** In the order of a kubelet: those of the manifest, the token, then the files that it keeps for each container. */
async function mountsOf(sandbox: Sandbox, container: PodContainer, terminationLog: string): Promise<readonly object[]> {
  const asked = container.mounts ?? [];
  const isFree = (target: string): boolean => !asked.some(({ path }) => path === target);
  const token: readonly PodMount[] = sandbox.hasToken && isFree(tokenFolder) ? [{ path: tokenFolder, volume: tokenVolume }] : [];
  const mounts: object[] = [];
  for (const { path, volume: name, subPath, readOnly } of [...asked, ...token]) {
    const volume = sandbox.volumes.get(name);
    if (volume === undefined) throw new TypeError(`the pod has no volume ${name}`);
    const hostPath = subPath === undefined ? volume.path : await pathInVolume(sandbox.containerd, volume.path, subPath);
    mounts.push({ containerPath: path, hostPath, readonly: volume.isReadOnly || readOnly === true });
  }
  if (isFree('/etc/hosts')) mounts.push({ containerPath: '/etc/hosts', hostPath: join(sandbox.folder, 'etc-hosts') });
  return [...mounts, { containerPath: '/dev/termination-log', hostPath: terminationLog }];
}

async function untilExited(stop: () => Promise<void>, look: () => Promise<ParsedObject>, deadline: number): Promise<ParsedObject> {
  let isStopped = false;
  for (;;) {
    const status = await look();
    if (status['state'] === 'CONTAINER_EXITED') return status;
    if (performance.now() > deadline && !isStopped) {
      isStopped = true;
      await stop();
    }
    await setTimeout(50);
  }
}

function resultOf(status: ParsedObject, parts: readonly LogPart[]): Omit<PodResult, 'terminationMessage' | 'durationMs'> {
  const joined = (stream?: LogPart['stream']): string =>
    parts
      .filter((part) => stream === undefined || part.stream === stream)
      .map((part) => part.text)
      .join('');
  return {
    status: asNumber(status['exitCode']),
    signal: undefined, // a runtime tells 128 and the signal's number as the status
    reason: asText(status['reason']),
    stdout: joined('stdout'),
    stderr: joined('stderr'),
    output: joined(),
  };
}
