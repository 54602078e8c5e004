// Opens everything a build needs of the world, before the first stage: afterwards /lib, /etc and /tmp belong to the image,
// so names, credentials, certificates, secrets and the launcher are loaded here or never.
import { existsSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Materials } from '../attest/materials.ts';
import { type ByteString, bytesFromText } from '../bytes.ts';
import type { SourceTree } from '../context/tree.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import { mountsBelow } from '../rootfs/protect.ts';
import { readMounts } from '../linux/mounts.ts';
import { protectSelf } from '../linux/process.ts';
import { sealFolder } from '../linux/seal.ts';
import { type Clouds, cloudKeyFiles } from '../cloud/clouds.ts';
import { configPaths } from '../registry/credentials.ts';
import type { RegistryClient } from '../registry/client.ts';
import type { GitAccess } from './git-access.ts';
import { openImages } from './open-images.ts';
import { openGit } from './open-git.ts';
import { withDownloadSecrets } from './download-secrets.ts';
import { notingContent, notingObjects } from './noted-downloads.ts';
import { MovedFolders } from '../files/moved-folders.ts';
import { pathIn } from '../paths.ts';
import type { BuildPorts } from '../build/ports.ts';
import { type ContextWatch, watchContexts } from './context-watch.ts';
import { type Contexts, contextsFolder, openContexts } from './contexts.ts';
import { imageFolders, imageWorkFolder, keepFolder, placesInRoot, protectedPaths } from './protected-paths.ts';
import { recoverContexts } from './recover-contexts.ts';
import { type RegistryAccess, accessRegistries, openRegistries } from './registries.ts';
import { type ContainerFiles, findContainerFiles, containerFilesList } from './container-files.ts';
import { watchMounts } from './mount-watch.ts';
import { followSteps, guardLaunch, launcherOf } from './guarded-launch.ts';
import { isKeptOnDisk } from '../build/ignored-paths.ts';
import { type OutputRequest, outputPaths } from '../outputs/output-request.ts';
import type { BuildRequest, RegistryRequest } from '../build/request.ts';
import { type Signer, openSigner } from '../trust/signer.ts';
import { type SecretFile, findSecretFiles, isForOnce, presentSecretFiles, readSecret, takeForGood } from './secret-files.ts';
import { realPlace } from '../files/real-place.ts';

export interface Surroundings extends AsyncDisposable {
  readonly ports: BuildPorts;
  readonly contextFolder: string;
}

export interface SurroundingsOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  /** Folders and files of the builder that no RUN may change; what is not there is left out. */
  readonly ownFolders: readonly string[];
  /** What the builder itself writes from beginning to end: reports, and what its output is redirected to. Absolute. */
  readonly growingFiles: readonly string[];
  /** What has come by standard input, where somebody has looked at it already. */
  readonly standardInput?: AsyncIterable<Buffer> | undefined;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** Where the builder's own files are, and their other name in its image: a link. */
const home = '/kaniko';
const homeNames = ['kaniko', 'yadokari'];

/** @throws BuilderError for what is missing or unreadable; then nothing was touched */
export async function openSurroundings(
  request: BuildRequest,
  registry: RegistryRequest,
  options: SurroundingsOptions,
): Promise<Surroundings> {
  const { signal } = options;
  const { rootPath, builderFolder } = request;
  let watch: ContextWatch | undefined;
  const { emit, step } = followSteps(options.emit, (ended) => watch?.tellReads(ended));
  const stack = new AsyncDisposableStack();
  try {
    protectSelf();
    for (const folder of [options.workingDirectory, imageWorkFolder]) stack.defer(keepFolder(folder));
    await recoverContexts(request, { ...options, emit });
    const materials = request.provenance === undefined ? undefined : new Materials();
    const network = await openNetwork(request, registry, { ...options, materials, emit }, stack);
    const { launch, ...launcher } = launcherOf(stack);
    const moved = new MovedFolders();
    const contexts = await openContexts(request, { ...network, moved, materials, standardInput: options.standardInput }, options, stack);
    const claims = claimPaths(request, contexts, options, stack);
    const isMoved = (folder: ByteString): boolean => moved.placeOf(folder) !== folder;
    watch = watchContexts(claims.foreignFolders, { rootPath, builderFolder, isMoved, ownFiles: options.growingFiles, emit });
    const contextWatch = watch;
    const realFolders = claims.foreignFolders.map((folder) => realpathSync(folder));
    const mounts = watchMounts(readMounts(), claims.containerFiles.names, { rootPath, known: claims.own, emit });
    const { secretFiles, inputs } = filesOf(request, registry, network.credentialFiles, { ...claims, ...options });
    const ports: BuildPorts = {
      registry: network.clients.push,
      ...given({ signer: network.signer, materials }),
      download: network.download,
      git: network.git.add,
      ...(await openImages(request, network, contexts.named.layouts, { materials, emit, signal }, stack)),
      context: watched(contexts.main.tree, contextWatch),
      namedFolders: new Map([...contexts.named.folders].map(([name, tree]) => [name, watched(tree, contextWatch)])),
      verifySeal: claims.verifySeal,
      ...launcher,
      launch: guardLaunch(launch, { ...claims, secretFiles, folders: claims.foreignFolders, watch, mounts, step, emit }),
      secrets: network.secrets,
      ssh: request.ssh,
      protectedPaths: claims.protectedPaths,
      keptPlaces: [...claims.containerFiles.kept, ...options.growingFiles, ...inputs],
      volumes: { claimed: claims.builders, onCache: mounts.leave },
      lendable: { folders: realFolders, moved, isAllowed: request.borrowsContext, imageFolders },
      now: Date.now,
      emit,
      signal,
    };
    const disposable = stack.move();
    return { ports, contextFolder: contexts.main.folder, [Symbol.asyncDispose]: () => disposable.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** What speaks to others: registries, web and git servers, with what they may be told. */
interface Network extends Pick<RegistryAccess, 'clients' | 'conf' | 'policy'> {
  readonly signer?: Signer;
  readonly download: RegistryClient['download'];
  readonly git: GitAccess;
  readonly secrets: ReadonlyMap<string, Buffer>;
  /** Where credentials were looked for. */
  readonly credentialFiles: readonly SecretFile[];
  readonly openObject: Clouds['openObject'];
}

async function openNetwork(
  request: BuildRequest,
  registry: RegistryRequest,
  { env, materials, emit }: SurroundingsOptions & { readonly materials: Materials | undefined },
  stack: AsyncDisposableStack,
): Promise<Network> {
  // In a sandbox that folder is nobody's.
  const folders = env['YADOKARI_SANDBOX'] === '1' ? [] : [join(request.builderFolder, '.docker')];
  const { clients, names, credentials, clouds, conf, policy, rules } = stack.use(await accessRegistries(registry, { env, folders, emit }));
  const secrets = new Map(request.secrets.map((secret) => [secret.id, readSecret(secret)]));
  const git = openGit(request, secrets, {
    env,
    names,
    materials,
    emit,
    client: clients.pull,
    openUnverified: () => openRegistries({ ...registry, skipTlsVerifyPull: true }, { env, names, credentials, conf, emit }),
  });
  stack.defer(git.close);
  const download = notingContent(withDownloadSecrets(clients.pull.download, secrets), materials);
  const openObject = notingObjects(clouds.openObject, materials);
  const { signing } = request.output;
  // Also where only a plan is made: a mistake in it is told before the build that it is for.
  const signer = signing === undefined ? undefined : openSigner(signing, rules);
  const credentialFiles = [
    ...configPaths(env, folders).map((path) => ({ path, instead: 'credentials as DOCKER_AUTH_CONFIG in the environment', isRead: true })),
    ...cloudKeyFiles(env).map((path) => ({ path, instead: 'keys in the environment, or a workload identity', isRead: false })),
    ...signingFiles(request.output),
  ];
  return { clients, conf, policy, ...given({ signer }), download, git, secrets, credentialFiles, openObject };
}

/** The key and its passphrase, where they are in files. */
function signingFiles({ signing }: OutputRequest): readonly SecretFile[] {
  const instead = ['the key in the environment as --sign-by-sigstore-private-key env://NAME', 'COSIGN_PASSWORD in the environment'];
  return [signing?.key, signing?.passphrase].flatMap((source, position) =>
    source?.kind === 'file' ? [{ path: source.path, instead: instead[position] ?? '', isRead: true }] : [],
  );
}

/** Which paths are whose. */
interface Claims {
  /** Not the image's: never in a layer, never cleared. */
  readonly protectedPaths: readonly ByteString[];
  /** Folders that somebody gave us to read from. */
  readonly foreignFolders: readonly string[];
  /** What the builder has, reads and writes by itself. */
  readonly own: readonly string[];
  /** The same below the root, without ignored paths, which are the user's. */
  readonly builders: readonly ByteString[];
  readonly containerFiles: ContainerFiles;
  /** @throws ERR_TAMPERED when a RUN changed the builder's own files. */
  readonly verifySeal: () => void;
}

function claimPaths(
  request: BuildRequest,
  { main, named }: Contexts,
  { ownFolders, growingFiles }: Pick<SurroundingsOptions, 'ownFolders' | 'growingFiles'>,
  stack: AsyncDisposableStack,
): Claims {
  const { builderFolder, rootPath } = request;
  // With its work elsewhere, a RUN may see what the image has in place of the builder's own files: all of them are in memory by now.
  const isElsewhere = !`${builderFolder}/`.startsWith(`${home}/`);
  const bases = request.baseFolder === undefined || !existsSync(request.baseFolder.path) ? [] : [request.baseFolder.path];
  const ignored = request.ignorePaths.filter(isKeptOnDisk);
  const kept = request.store === undefined ? [] : [request.store.folder];
  const foreign = [main.folder, ...named.owned, ...bases, ...kept, ...ignored, ...request.ssh.values(), ...cacheFolders(request)];
  const own = [builderFolder, ...(isElsewhere ? [] : [home]), ...foreign];
  const shared = isElsewhere ? new Set([...imageFolders, ...homeNames]) : imageFolders;
  const containerFiles = findContainerFiles(rootPath, builderFolder, shared, {
    mounts: mountsBelow(bytesFromText(rootPath)),
    written: [...outputPaths(request.output), ...growingFiles],
  });
  stack.defer(containerFiles.leave);
  const contexts = [main.wholeFolder, ...named.wholeFolders];
  const used = [...own, ...contexts, '/busybox', '/yadokari'];
  const isPrivate = (folder: string): boolean => folder.startsWith(`${join(builderFolder, contextsFolder)}/`);
  const sealed = [...(isElsewhere ? [] : ownFolders), join(builderFolder, containerFilesList), ...contexts.filter(isPrivate)];
  return {
    protectedPaths: protectedPaths(rootPath, own, containerFiles.names),
    foreignFolders: contexts.filter((folder) => !isPrivate(folder)),
    own: [...used, ...growingFiles],
    builders: placesInRoot(
      rootPath,
      used.filter((path) => !ignored.includes(path)),
    ),
    containerFiles,
    verifySeal: sealFolder(...writable(sealed)),
  };
}

/** The files with secrets that outlive the unpacking, and all others that this build reads: a later one in the container may want them, too. */
function filesOf(
  request: BuildRequest,
  { certificates, clientCertificates }: RegistryRequest,
  credentialFiles: readonly SecretFile[],
  { protectedPaths: claimed, workingDirectory }: Pick<Claims, 'protectedPaths'> & Pick<SurroundingsOptions, 'workingDirectory'>,
): { readonly secretFiles: readonly SecretFile[]; readonly inputs: readonly string[] } {
  const present = presentSecretFiles(request, credentialFiles);
  const secretFiles = findSecretFiles(present, request, claimed);
  const others = present.filter((file) => !secretFiles.includes(file));
  takeForGood(others.filter(isForOnce));
  const shown = [...clientCertificates.values()].flatMap(({ certificate, key }) => [certificate, key]);
  const named = [resolve(workingDirectory, request.dockerfile), ...(request.ignoreFile === undefined ? [] : [request.ignoreFile])];
  return { secretFiles, inputs: [...others.map(({ path }) => path), ...certificates.values(), ...shown, ...named].map(realPlace) };
}

/** The tree, of which each file that is read is told to the watch. */
function watched(tree: SourceTree, watch: ContextWatch): SourceTree {
  const { folder } = tree.files;
  if (folder === undefined) return tree;
  const onDisk = (path: ByteString): ByteString => pathIn(folder, path);
  return { ...tree, noteRead: (path) => watch.noteRead(onDisk(path)), lostIn: (path) => watch.lostIn(onDisk(path)) };
}

/** Those a RUN could change at all: the sandbox shows the machine's own files read-only, and there others may change them. */
function writable(paths: readonly string[]): readonly ByteString[] {
  const readOnly = readMounts().filter((mount) => mount.isReadOnly && mount.target !== '/');
  return [...new Set(paths.filter((path) => existsSync(path)).map((path) => bytesFromText(realpathSync(path))))].filter(
    (path) => !readOnly.some(({ target }) => path === target || path.startsWith(`${target}/`) || target.startsWith(`${path}/`)),
  );
}

function cacheFolders({ cache }: BuildRequest): readonly string[] {
  const places = cache === undefined ? [] : [...cache.from, ...(cache.to === undefined ? [] : [cache.to])];
  return places.flatMap((place) => (place.kind === 'layout' ? [place.folder] : []));
}
