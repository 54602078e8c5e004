// `run`: a command with the container's root as its own, as its config says or the command line.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path/posix';
import { makeFolder } from '../folders.ts';
import { bytesFromText, textFromBytes } from '../bytes.ts';
import { CacheMounts } from '../build/instructions/cache-mounts.ts';
import { BuilderError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import { accountFiles, homeOf, resolveUser } from '../linux/accounts.ts';
import { makeLimitedGroups } from '../linux/control-groups.ts';
import { tryLock } from '../linux/file-lock.ts';
import type { ContainerMemory, ContainerMount, ContainerPlan } from '../sandbox/container-plan.ts';
import { readText } from '../sandbox/host.ts';
import { type ContainerExit, runContainer } from '../sandbox/run-container.ts';
import { chosenCapabilities } from './capability-names.ts';
import type { ContainerStore, OpenContainer } from './container-store.ts';
import type { WantedMount } from './mounts.ts';
import { type FoundPlace, type WantedPlace, findPlace, makePlaces, removePlaces } from './root-places.ts';

export interface RunRequest {
  readonly argv: readonly string[];
  /** As `USER` of a Dockerfile; else the config's. */
  readonly user?: string;
  readonly workingDir?: string;
  /** `NAME=value` each, over the config's. */
  readonly env: readonly string[];
  /** Variables that count where the config has none of the name: proxies. */
  readonly fallbackEnv: ReadonlyMap<string, string>;
  readonly mounts: readonly WantedMount[];
  readonly hostName?: string;
  /** Without the machine's network. */
  readonly isOffline: boolean;
  /** `/etc/hosts` is the image's. */
  readonly keepsHosts: boolean;
  readonly addedCapabilities: readonly string[];
  readonly droppedCapabilities: readonly string[];
  readonly memoryBytes?: number;
  readonly pidsLimit?: number;
}

export interface RunScope {
  readonly store: ContainerStore;
  readonly nodePath: string;
  readonly onSignal: (send: (name: NodeJS.Signals) => void) => Disposable;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const terminalGroup = 5; // the group tty of every distribution

/**
 * Runs a command in a container that is opened `shared`, and gives how it ended. Places that only mounts needed are gone afterwards.
 * @throws ERR_UNSUPPORTED where namespaces, mounts or limits are refused; ERR_DOCKERFILE for a user that the image has not; ERR_USAGE
 */
export async function runInContainer(container: OpenContainer, request: RunRequest, scope: RunScope): Promise<ContainerExit> {
  const { nodePath, onSignal, emit, store } = scope;
  using held = new DisposableStack();
  const prepared = await prepare(container, request, scope, held);
  const { id } = container.state;
  const groups = makeLimitedGroups(`yadokari-${id.slice(0, 12)}-${process.pid}`, {
    ...given({ memoryBytes: request.memoryBytes, pids: request.pidsLimit }),
  });
  try {
    const exit = await runContainer({ ...prepared, controlGroups: groups.doors }, nodePath, onSignal);
    if (exit.lacksGroups)
      emit({ kind: 'warning', code: 'run-groups', message: 'supplementary groups could not be set here; the command ran with ours' });
    return exit;
  } finally {
    await groups.remove();
    container[Symbol.dispose]();
    using alone = tryLock(bytesFromText(join(container.folder, 'lock')), 'exclusive');
    // Whoever still runs there needs the places, and takes them away at last.
    if (alone !== undefined) await removeMountPoints(container, store);
  }
}

/** Takes away places that a command needed which nobody could tidy up after. The container has to be opened `exclusive`. */
export async function removeMountPoints({ state: { id }, rootFolder }: OpenContainer, store: ContainerStore): Promise<void> {
  const { signal } = new AbortController(); // it is short, and has to be done
  await store.update(
    id,
    (state) => {
      removePlaces(rootFolder, state.mountPoints);
      return { ...state, mountPoints: [] };
    },
    signal,
  );
}

type Place = WantedPlace & FoundPlace;

async function prepare(
  container: OpenContainer,
  request: RunRequest,
  { store, emit, signal }: RunScope,
  held: DisposableStack,
): Promise<Omit<ContainerPlan, 'controlGroups'>> {
  const { rootFolder, state } = container;
  const hostName = request.hostName ?? state.id.slice(0, 12);
  const places: Place[] = [];
  const placeAt = (path: string, kind: WantedPlace['kind']): string => {
    const found = findPlace(rootFolder, { path, kind });
    places.push({ path, kind, ...found });
    return found.hostPath;
  };
  const system = { proc: placeAt('/proc', 'folder'), sys: placeAt('/sys', 'folder'), dev: placeAt('/dev', 'folder') };
  const own = writeOwnFiles(container, hostName, request.keepsHosts);
  const mounts: ContainerMount[] = own.map(({ source, target, mode }) => ({ source, target: placeAt(target, 'file'), mode }));
  const memory: ContainerMemory[] = [];
  const caches = new CacheMounts({
    treeOf: () => Promise.reject(new BuilderError('ERR_USAGE', 'Cannot begin a cache with an image: that is for RUN in a Dockerfile')),
    cacheFolder: bytesFromText(store.cacheFolder),
    held,
    emit,
    signal,
  });
  await caches.lock(request.mounts.flatMap((wanted) => (wanted.kind === 'cache' ? [wanted.mount] : [])));
  for (const wanted of request.mounts) {
    if (wanted.kind === 'tmpfs') memory.push({ target: placeAt(wanted.target, 'folder'), options: wanted.options });
    else if (wanted.kind === 'cache') {
      const source = textFromBytes(await caches.folder(wanted.flag, wanted.mount));
      mounts.push({ source, target: placeAt(wanted.target, 'folder'), mode: wanted.mount.isReadOnly ? 'ro' : 'rw' });
    } else mounts.push({ source: wanted.source, target: placeAt(wanted.target, wanted.isFolder ? 'folder' : 'file'), mode: wanted.mode });
  }
  const made = places.flatMap(({ missing }) => missing.map(textFromBytes));
  // Noted before they are there: whoever comes after a kill -9 knows them.
  await store.update(state.id, (before) => ({ ...before, mountPoints: [...new Set([...before.mountPoints, ...made])] }), signal);
  makePlaces(rootFolder, places);
  const accounts = accountFiles(bytesFromText(rootFolder));
  const user = resolveUser(request.user ?? state.config.config.user, accounts);
  return {
    rootFolder,
    system,
    mounts,
    memory,
    hostName,
    isOffline: request.isOffline,
    ...(hasTerminalGroup() ? { terminalGroup } : {}),
    capabilities: chosenCapabilities(request.addedCapabilities, request.droppedCapabilities),
    argv: request.argv,
    env: [...environmentOf(container, request, hostName, homeOf(user.uid, accounts))],
    cwd: request.workingDir ?? state.config.config.workingDir ?? '/',
    user,
  };
}

function environmentOf(
  { state }: OpenContainer,
  { env, fallbackEnv }: RunRequest,
  hostName: string,
  home: string,
): ReadonlyMap<string, string> {
  const variables = new Map([...fallbackEnv, ['PATH', defaultPath], ['HOSTNAME', hostName]]);
  for (const item of [...state.config.config.env, ...env]) {
    const equals = item.indexOf('=');
    if (equals > 0) variables.set(item.slice(0, equals), item.slice(equals + 1));
  }
  if (!variables.has('HOME')) variables.set('HOME', home);
  return variables;
}

/** Files that every command sees in place of the image's; they are the container's, so that a command may change them. */
function writeOwnFiles(
  { folder, state }: OpenContainer,
  hostName: string,
  keepsHosts: boolean,
): readonly { readonly source: string; readonly target: string; readonly mode: 'ro' | 'rw' }[] {
  const own = join(folder, 'own');
  makeFolder(own, 0o755);
  const file = (name: string, target: string, text: string, mode: 'ro' | 'rw') => {
    const source = join(own, name);
    // Others may be running with the very file: it is written to, not replaced.
    writeFileSync(source, text, { mode: 0o644 });
    return { source, target, mode };
  };
  const hosts = state.run.hosts.map((host) => {
    const colon = host.indexOf(':');
    return `${host.slice(colon + 1)} ${host.slice(0, colon)}`;
  });
  const hostLines = [readText('/etc/hosts').trimEnd(), `127.0.1.1 ${hostName}`, ...hosts].filter((line) => line !== '');
  return [
    ...(keepsHosts ? [] : [file('hosts', '/etc/hosts', `${hostLines.join('\n')}\n`, 'rw')]),
    file('hostname', '/etc/hostname', `${hostName}\n`, 'rw'),
    file('resolv.conf', '/etc/resolv.conf', readText('/etc/resolv.conf'), 'rw'),
    // By this, programs know that they are in a container.
    file(
      'containerenv',
      '/run/.containerenv',
      `engine="yadokari"\nname="${state.name}"\nid="${state.id}"\nimage="${state.imageName}"\n`,
      'ro',
    ),
  ];
}

/** Whether the group of terminals is one that files can be given to here. */
function hasTerminalGroup(): boolean {
  const map = readText('/proc/self/gid_map');
  return map.split('\n').some((line) => {
    const [inside, , count] = line.trim().split(/\s+/).map(Number);
    return inside !== undefined && count !== undefined && inside <= terminalGroup && terminalGroup < inside + count;
  });
}
