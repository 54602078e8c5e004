// What a kubelet asks a runtime for when a manifest says so little: environment, capabilities, masked paths, limits.

export interface PodMount {
  readonly path: string;
  /** A name in the pod's volumes. */
  readonly volume: string;
  readonly subPath?: string;
  readonly readOnly?: boolean;
}

/** The words are those of a Pod's manifest, and so are the defaults. */
export interface PodContainer {
  readonly image: string;
  /** Instead of the image's ENTRYPOINT. */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly workingDir?: string;
  readonly tty?: boolean;
  /** Its standard input is open until the first who is attached to it is gone (stdinOnce). */
  readonly stdin?: boolean;
  readonly mounts?: readonly PodMount[];
  readonly securityContext?: SecurityContext;
  readonly memoryLimitBytes?: number;
}

export interface SecurityContext {
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  /** False sets no_new_privs. */
  readonly allowPrivilegeEscalation?: boolean;
  readonly runAsUser?: number;
  readonly readOnlyRootFilesystem?: boolean;
  readonly seccompProfile?: 'RuntimeDefault' | 'Unconfined';
}

/** The node's network, a tree of processes of its own, and the pod's IPC. */
export const onNodeNetwork = { network: 'NODE', pid: 'CONTAINER', ipc: 'POD' } as const;

// variables of the service that every pod can see
const clusterEnv = {
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  KUBERNETES_SERVICE_PORT: '443',
  KUBERNETES_SERVICE_PORT_HTTPS: '443',
  KUBERNETES_PORT: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP: 'tcp://10.96.0.1:443',
  KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
  KUBERNETES_PORT_443_TCP_PORT: '443',
  KUBERNETES_PORT_443_TCP_ADDR: '10.96.0.1',
};

// procMount: Default
const maskedPaths = [
  ...['asound', 'acpi', 'kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug', 'scsi'].map(
    (name) => `/proc/${name}`,
  ),
  '/sys/firmware',
];
const readonlyPaths = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`);

/** A ContainerConfig of CRI, but for its mounts. */
export function containerConfig(name: string, container: PodContainer): object {
  return {
    metadata: { name, attempt: 0 },
    image: { image: container.image },
    command: container.command ?? [],
    args: container.args ?? [],
    workingDir: container.workingDir ?? '',
    envs: Object.entries({ ...clusterEnv, ...container.env }).map(([key, value]) => ({ key, value })),
    logPath: `${name}.log`,
    tty: container.tty === true,
    ...(container.stdin === true ? { stdin: true, stdinOnce: true } : {}),
    linux: { resources: resourcesOf(container), securityContext: securityContextOf(container.securityContext ?? {}) },
  };
}

function resourcesOf({ memoryLimitBytes }: PodContainer): object {
  // BestEffort without a limit, Burstable with one and without a request
  if (memoryLimitBytes === undefined) return { cpuShares: 2, oomScoreAdj: 1000 };
  return { cpuShares: 2, oomScoreAdj: 999, memoryLimitInBytes: memoryLimitBytes };
}

function securityContextOf(context: SecurityContext): object {
  const { add = [], drop = [] } = context.capabilities ?? {};
  return {
    capabilities: { addCapabilities: add, dropCapabilities: drop },
    namespaceOptions: onNodeNetwork,
    ...(context.runAsUser === undefined ? {} : { runAsUser: { value: context.runAsUser } }),
    readonlyRootfs: context.readOnlyRootFilesystem === true,
    noNewPrivs: context.allowPrivilegeEscalation === false,
    maskedPaths,
    readonlyPaths,
    seccomp: { profileType: context.seccompProfile ?? 'Unconfined' },
  };
}
