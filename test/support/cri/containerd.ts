// Debian's containerd as a node's container runtime: its state in a temporary folder, its mounts and processes in namespaces
// of their own, so that they end with it, and with us, however we end.
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { must } from '../command.ts';
import { missingDockerRegistry, type RunningRegistry, startDockerRegistry } from '../docker-registry.ts';
import { type HandmadeImage, pushImage, pushLayout } from '../image-writer.ts';
import { asList, asObject } from '../parsed.ts';
import { tar } from '../tar.ts';
import { CriClient } from './client.ts';

export interface Containerd {
  readonly client: CriClient;
  /** Where the kubelet would keep its pods. */
  readonly pods: string;
  /** The cgroup that all pods are in, as CRI names it. */
  readonly cgroup: string;
  /** The path by which this process sees what containerd sees at `path`, mounts included. */
  readonly outside: (path: string) => string;
  /** Runs a program among containerd's mounts. */
  readonly inside: (argv: readonly string[]) => Promise<string>;
  /** Brings a tag of an OCI layout to the node by way of a registry; gives the image's name. */
  readonly load: (layout: string, tag: string, name: string) => Promise<string>;
  /** Ends every pod and leaves nothing: no process, mount, cgroup or file. */
  readonly stop: () => Promise<void>;
}

/** The node's host name, and so the name of pods on its network. */
export const nodeName = 'cri-node';

const programs = ['/usr/bin/containerd', '/usr/bin/containerd-shim-runc-v2', '/usr/sbin/runc', '/bin/busybox'];

/** Why pods can't be run here; undefined where they can. */
export function missingContainerd(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root to run containerd';
  const missing = programs.find((program) => !existsSync(program));
  if (missing !== undefined) return `${missing} is not installed (apt-get install containerd runc busybox-static)`;
  const { status, stderr } = spawnSync('unshare', ['--mount', '--pid', '--fork', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], {
    encoding: 'utf8',
  });
  return status === 0 ? missingDockerRegistry() : `containerd can't have mounts of its own here: ${stderr.trim()}`;
}

/** Starts one with an empty store. @throws Error with its log when it does not come up. */
export async function startContainerd(): Promise<Containerd> {
  const folder = await mkdtemp(join(tmpdir(), 'yadokari-cri-'));
  const registry = await startDockerRegistry();
  const cgroup = `/${folder.slice(folder.lastIndexOf('/') + 1)}`;
  const pods = join(folder, 'pods');
  await mkdir(pods);
  await pushImage(registry.host, 'pause', await pauseImage());
  await writeFile(join(folder, 'config.toml'), configuration(folder, registry));
  const node = await startNode(folder);
  const client = new CriClient(join(folder, 'containerd.sock'));
  const stop = async (): Promise<void> => {
    client.close();
    await node.end();
    await registry.stop();
    await removeCgroups(cgroup);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilReady(client);
  } catch (error) {
    const log = await readFile(join(folder, 'containerd.log'), 'utf8').catch(() => '');
    await stop();
    throw new Error(`containerd did not start: ${log.slice(-3000)}`, { cause: error });
  }
  return {
    client,
    pods,
    cgroup,
    outside: (path) => `/proc/${node.pid}/root${path}`,
    inside: (argv) => must(['nsenter', `--target=${node.pid}`, '--mount', '--pid', ...argv]),
    load: async (layout, tag, name) => {
      const image = `${registry.host}/${name}:${tag}`;
      await pushLayout(layout, tag, image);
      await client.call('PullImage', { image: { image } });
      return image;
    },
    stop,
  };
}

/** What holds a pod's namespaces while its containers come and go. */
async function pauseImage(): Promise<HandmadeImage> {
  const busybox = await readFile('/bin/busybox');
  return {
    layers: [tar([{ path: 'busybox', mode: 0o755, content: busybox }])],
    config: { Entrypoint: ['/busybox', 'sleep', '2147483647'] },
  };
}

function configuration(folder: string, registry: RunningRegistry): string {
  return `version = 2
root = "${folder}/root"
state = "${folder}/state"
[grpc]
  address = "${folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${registry.host}/pause:latest"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${folder}/cni"
    conf_dir = "${folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    Root = "${folder}/runc"
    SystemdCgroup = false
`;
}

// Process 1 of the namespaces. It says its own number as others see it, and lives as long as its standard input is open: when
// it ends, the kernel ends all that it held. Shims insist on sockets in /run/containerd, whatever the configuration says.
const firstProcess = `
read -r pid rest < /proc/self/stat
hostname "$2"
mount -t proc proc /proc
mkdir -p /run/containerd
mount -t tmpfs tmpfs /run/containerd
containerd --config "$1/config.toml" </dev/null >"$1/containerd.log" 2>&1 &
echo "$pid"
cat
`;

interface Node {
  readonly pid: number;
  readonly end: () => Promise<void>;
}

async function startNode(folder: string): Promise<Node> {
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(
    'unshare',
    ['--mount', '--pid', '--uts', '--fork', '--kill-child', 'sh', '-ec', firstProcess, 'sh', folder, nodeName],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'exit');
  const [line] = await Promise.race([once(child.stdout, 'data'), exited]);
  const pid = Number(String(line).trim());
  if (!Number.isSafeInteger(pid) || child.exitCode !== null) throw new Error('the namespaces for containerd could not be made');
  return {
    pid,
    end: async () => {
      child.stdin.end();
      await exited;
      await rmdir('/run/containerd').catch(() => undefined); // not ours where it has something in it
    },
  };
}

async function untilReady(client: CriClient): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      const { status } = await client.call('Status', {}, 1000);
      const conditions = asList(asObject(status)['conditions']).map((condition) => asObject(condition));
      // the network is never ready: pods use the node's
      if (conditions.some(({ type, status: isTrue }) => type === 'RuntimeReady' && isTrue === true)) return;
      throw new Error(`the runtime is not ready: ${JSON.stringify(conditions)}`);
    } catch (error) {
      if (tries === 200) throw error;
      await setTimeout(50);
    }
  }
}

/** Every controller has the folders of the pods' cgroup once more in version 1, and once in version 2. */
async function removeCgroups(cgroup: string): Promise<void> {
  const roots = ['/sys/fs/cgroup', ...(await readdir('/sys/fs/cgroup')).map((name) => join('/sys/fs/cgroup', name))];
  for (const root of roots) if (existsSync(join(root, cgroup))) await removeFolders(join(root, cgroup));
}

async function removeFolders(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) await removeFolders(join(folder, entry.name));
  await rmdir(folder);
}
