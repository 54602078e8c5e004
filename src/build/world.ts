// Opens everything a build needs of the world, before the first stage: afterwards /lib, /etc and /tmp belong to the image,
// so names, credentials, certificates, secrets and the launcher are loaded here or never.
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { bytesFromText } from '../bytes.ts';
import { openContext, type OpenedContext } from '../context/source.ts';
import type { SourceTree } from '../context/tree.ts';
import { BuilderError, systemCode } from '../errors.ts';
import type { Emit } from '../events.ts';
import { hideFiles } from '../linux/hidden-files.ts';
import { createLauncher, type Launcher } from '../linux/launch.ts';
import { Processes, protectSelf } from '../linux/process.ts';
import { sealFolder } from '../linux/seal.ts';
import { parseReference, withDefaultTag } from '../oci/reference.ts';
import { configPaths, loadCredentials } from '../registry/credentials.ts';
import { loadNames } from '../registry/names.ts';
import type { RegistryClient } from '../registry/client.ts';
import { parseLayoutPlace, readLayout } from '../store/oci-layout.ts';
import type { ResolveImage } from './base-images.ts';
import type { BuildPorts } from './ports.ts';
import { protectedPaths } from './protected-paths.ts';
import { openRegistries, trustCertificates } from './registries.ts';
import type { BuildRequest, RegistryRequest, SecretSpec } from './request.ts';

export interface World extends AsyncDisposable {
  readonly ports: BuildPorts;
  readonly contextFolder: string;
  /** @throws ERR_TAMPERED when a RUN changed the builder's own files. */
  readonly verifySeal: () => void;
}

export interface WorldOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  /** Folders and files of the builder that no RUN may change. */
  readonly ownFolders: readonly string[];
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const secretLimitBytes = 512 * 1024;

/** @throws BuilderError for what is missing or unreadable; then nothing was touched */
export async function openWorld(request: BuildRequest, registry: RegistryRequest, options: WorldOptions): Promise<World> {
  const { env, emit, signal } = options;
  const stack = new AsyncDisposableStack();
  try {
    protectSelf();
    trustCertificates(env, emit);
    const names = await loadNames();
    const folders = [join(request.builderFolder, '.docker')];
    const onWarning = (message: string): void => emit({ kind: 'warning', code: `credentials ${message}`, message });
    const credentials = await loadCredentials({ env, folders, onWarning });
    const clients = openRegistries(registry, { env, names, credentials, emit });
    stack.defer(clients.pull.close);
    stack.defer(clients.push.close);
    const processes = new Processes();
    stack.defer(() => processes.close());
    const launcher = await createLauncher(processes);
    stack.defer(launcher.close);
    const secrets = new Map(request.secrets.map((secret) => [secret.id, readSecret(secret)]));
    const context = await openOne(request.context, request, clients.pull, options);
    stack.defer(context.close);
    const named = await openNamed(request, clients.pull, options, stack);
    const own = [
      request.builderFolder,
      '/yadokari',
      '/kaniko',
      '/busybox',
      context.folder,
      ...named.owned,
      ...request.ignorePaths,
      ...request.ssh.values(),
    ];
    const verifySeal = sealFolder(...options.ownFolders.map((path) => bytesFromText(realpathSync(path))));
    const ports: BuildPorts = {
      registry: clients.push,
      download: clients.pull.download,
      resolveImage: imageResolver(clients.pull, named.layouts),
      context: context.tree,
      namedFolders: named.folders,
      launch: guardedLaunch(launcher, verifySeal, configPaths(env, folders), emit),
      secrets,
      ssh: request.ssh,
      protectedPaths: protectedPaths(request.rootPath, own),
      now: Date.now,
      emit,
      signal,
    };
    const disposable = stack.move();
    return { ports, contextFolder: context.folder, verifySeal, [Symbol.asyncDispose]: () => disposable.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Credential files are out of reach while a RUN lasts, and the builder's own files are compared after it. */
function guardedLaunch(launcher: Launcher, verifySeal: () => void, credentialFiles: readonly string[], emit: Emit): Launcher['launch'] {
  let isTold = false;
  return async (request) => {
    const hidden = hideFiles(credentialFiles);
    try {
      if (!isTold)
        for (const { path, reason } of hidden.left)
          emit({ kind: 'note', level: 'debug', message: `${path} stays readable for RUN: ${reason}` });
      isTold = true;
      return await launcher.launch(request);
    } finally {
      hidden.restore();
      verifySeal();
    }
  };
}

async function openOne(place: string, request: BuildRequest, client: RegistryClient, options: WorldOptions): Promise<OpenedContext> {
  return await openContext(place, {
    workingDirectory: options.workingDirectory,
    privateFolder: join(request.builderFolder, 'contexts'),
    ...(request.contextSubPath === undefined ? {} : { subPath: request.contextSubPath }),
    git: request.git,
    download: client.download,
    emit: options.emit,
    signal: options.signal,
  });
}

interface NamedContexts {
  readonly folders: ReadonlyMap<string, SourceTree>;
  /** Image names and layouts, by lower-case context name. */
  readonly layouts: ReadonlyMap<string, string>;
  /** Folders to protect. */
  readonly owned: readonly string[];
}

async function openNamed(
  request: BuildRequest,
  client: RegistryClient,
  options: WorldOptions,
  stack: AsyncDisposableStack,
): Promise<NamedContexts> {
  const folders = new Map<string, SourceTree>();
  const layouts = new Map<string, string>();
  const owned: string[] = [];
  for (const { name, place } of request.namedContexts) {
    if (/^(?:docker-image|oci-layout):\/\//.test(place)) {
      layouts.set(name.toLowerCase(), place);
      continue;
    }
    const opened = await openOne(place, request, client, options);
    stack.defer(opened.close);
    folders.set(name.toLowerCase(), { ...opened.tree, label: `context ${name}` });
    owned.push(opened.folder);
  }
  return { folders, layouts, owned };
}

function imageResolver(client: RegistryClient, named: ReadonlyMap<string, string>): ResolveImage {
  return async (name, platform, signal) => {
    const place = named.get(name.toLowerCase());
    if (place?.startsWith('oci-layout://') === true)
      return (await readLayout(parseLayoutPlace(place.slice('oci-layout://'.length)), platform, signal)).image;
    const text = place === undefined ? name : place.slice('docker-image://'.length);
    return (await client.pullImage(withDefaultTag(parseReference(text)), platform, signal)).image;
  };
}

function readSecret(secret: SecretSpec): Buffer {
  if (secret.source.kind === 'value') return Buffer.from(secret.source.value);
  const { path } = secret.source;
  try {
    const bytes = readFileSync(path);
    if (bytes.length <= secretLimitBytes) return bytes;
  } catch (error) {
    throw new BuilderError('ERR_USAGE', `Cannot read secret ${secret.id} from ${path}: ${systemCode(error) ?? 'unreadable'}`, {
      cause: error,
    });
  }
  throw new BuilderError('ERR_USAGE', `Cannot use secret ${secret.id}: ${path} has more than ${secretLimitBytes} bytes`);
}
