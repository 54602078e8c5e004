// A whole build in this process, in a folder instead of `/`: tests see its events, what it read, and what it left behind.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildImage } from '../../src/build/build.ts';
import type { BuildPorts } from '../../src/build/ports.ts';
import type { BuildRequest } from '../../src/build/request.ts';
import { bytesFromText } from '../../src/bytes.ts';
import { parseDockerfile } from '../../src/dockerfile/parse.ts';
import { BuilderError } from '../../src/errors.ts';
import type { BuildEvent } from '../../src/events.ts';
import { diskView } from '../../src/files/disk-view.ts';
import { createLauncher } from '../../src/linux/launch.ts';
import { runThread } from '../../src/surroundings/guarded-launch.ts';
import { Processes } from '../../src/linux/process.ts';
import type { Image } from '../../src/oci/image.ts';
import { parseReference } from '../../src/oci/reference.ts';
import type { RegistryClient } from '../../src/registry/client.ts';
import { readLayout } from '../../src/store/oci-layout.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const layout = join(import.meta.dirname, '../conformance/base');

export interface RootBuild {
  readonly events: readonly BuildEvent[];
  /** What was pushed: config and history; its layers are gone with the build. */
  readonly image: Image | undefined;
  readonly error: unknown;
  /** Of what was published. */
  readonly digest: string | undefined;
  /** How often a layer of a base was opened. */
  readonly layersRead: number;
  /** What the root holds at the end, the builder's own folder included. */
  readonly leftovers: readonly string[];
}

/** Builds `dockerfile`; every name of an image is the small base of the conformance cases. */
export async function buildInRoot(
  dockerfile: string,
  changes: {
    readonly request?: Partial<BuildRequest>;
    readonly ports?: Partial<BuildPorts>;
    /** Files of the context, `path → content`. */
    readonly files?: Readonly<Record<string, string>>;
    /** Does something to the context's folder before the build begins. */
    readonly arrange?: (context: string) => void;
    /** Does something to the root before the build begins. */
    readonly arrangeRoot?: (rootPath: string) => void;
    /** Looks at the root when the build has ended. */
    readonly inspectRoot?: (rootPath: string) => void;
    /** What sending a layer early does; nothing where left out. */
    readonly pushLayer?: RegistryClient['pushLayer'];
  } = {},
): Promise<RootBuild> {
  const folder = mkdtempSync(join(tmpdir(), 'yadokari-in-root-'));
  const rootPath = join(folder, 'root');
  const context = join(folder, 'context');
  for (const path of [rootPath, context]) mkdirSync(path);
  for (const [path, content] of Object.entries(changes.files ?? {})) {
    mkdirSync(dirname(join(context, path)), { recursive: true });
    writeFileSync(join(context, path), content);
  }
  changes.arrange?.(context);
  changes.arrangeRoot?.(rootPath);
  const processes = new Processes();
  const launcher = await createLauncher(processes, { thread: runThread, graceMs: 500 });
  const events: BuildEvent[] = [];
  const seen: { -readonly [Name in 'image' | 'layersRead' | 'error' | 'digest']: RootBuild[Name] } = {
    image: undefined,
    layersRead: 0,
    error: undefined,
    digest: undefined,
  };
  const signal = AbortSignal.timeout(60_000);
  const never = async (): Promise<never> => await Promise.reject(new BuilderError('ERR_INTERNAL', 'not expected'));
  const neverOpened = (): never => {
    throw new BuilderError('ERR_INTERNAL', 'not expected');
  };
  const ports: BuildPorts = {
    registry: {
      pullImage: never,
      findImage: never,
      resolve: never,
      pushLayer: changes.pushLayer ?? (async () => await Promise.resolve()),
      pushGrowing: async () => await Promise.resolve(),
      download: never,
      exchange: never,
      openSource: never,
      findOwn: never,
      listTags: never,
      deleteImage: never,
      openSink: neverOpened,
      checkLogin: async () => await Promise.resolve(),
      checkPush: async () => await Promise.resolve(),
      pushImage: async (image) => {
        seen.image = image.image;
        return await Promise.resolve([]);
      },
      close: async () => await Promise.resolve(),
    },
    download: never,
    resolveImage: async () => {
      const { image } = await readLayout({ folder: layout, tag: 'base' }, platform, signal);
      const layers = image.layers.map((layer) => ({ ...layer, open: (abort: AbortSignal) => (seen.layersRead++, layer.open(abort)) }));
      return { ...image, layers };
    },
    context: { files: diskView(bytesFromText(context)), label: 'the build context', keepsOwners: false },
    namedFolders: new Map(),
    launch: launcher.launch,
    verifySeal: () => undefined,
    secrets: new Map(),
    ssh: new Map(),
    protectedPaths: [],
    now: () => 1_700_000_000_000,
    emit: (event) => events.push(event),
    signal,
    ...changes.ports,
  };
  try {
    const request = { ...plainRequest, builderFolder: join(folder, 'own'), rootPath, ...changes.request };
    const result = await buildImage(parseDockerfile(Buffer.from(dockerfile), 'Dockerfile'), request, ports);
    seen.digest = result?.digest;
  } catch (error) {
    seen.error = error;
  }
  changes.inspectRoot?.(rootPath);
  const leftovers = readdirSync(rootPath).toSorted();
  await launcher.close();
  processes.close();
  rmSync(folder, { recursive: true, force: true });
  return { ...seen, events, leftovers };
}

export const plainRequest: Omit<BuildRequest, 'builderFolder' | 'rootPath'> = {
  dockerfile: 'Dockerfile',
  context: '.',
  appliesUnpackedRules: false,
  namedContexts: [],
  git: new Map(),
  targets: [],
  buildArgs: new Map(),
  secrets: [],
  ssh: new Map(),
  labels: new Map(),
  env: new Map(),
  unsetEnv: [],
  annotations: new Map(),
  platforms: [platform],
  platform,
  buildPlatform: platform,
  compression: 'gzip',
  imageFormat: 'inherit',
  reproducible: false,
  omitsHistory: false,
  alwaysUnpack: false,
  borrowsContext: true,
  ignorePaths: [],
  network: 'default',
  cleanup: false,
  preCleanup: false,
  preservesRoot: false,
  tellsContents: false,
  printChecks: false,
  printsPlan: false,
  planOnly: false,
  downloadRetries: 0,
  output: {
    destinations: [parseReference('registry.example/a:1')],
    noPush: false,
    exports: [],
    skipPushPermissionCheck: true,
    ignoreImmutableTags: false,
    pushRetries: 0,
  },
};
