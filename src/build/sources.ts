// What instructions read from besides the root: the context, other stages, images.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { bytesFromText } from '../bytes.ts';
import type { SourceTree } from '../context/tree.ts';
import type { Dockerfile } from '../dockerfile/instruction.ts';
import { contextName, referencesOf, resolveSource } from '../dockerfile/stage-needs.ts';
import type { PlannedStage } from '../dockerfile/stages.ts';
import { BuilderError, type SourceRange } from '../errors.ts';
import { given } from '../given.ts';
import type { Platform } from '../oci/platform.ts';
import type { BaseImages } from './base-images.ts';
import type { ExecutionContext } from './execute.ts';
import { type BuildPlan, isReadAtOnce } from './plan.ts';
import type { BuildPorts } from './ports.ts';
import type { KeptCaches } from './instructions/cache-mounts.ts';
import { CacheVolumes } from './instructions/cache-volumes.ts';
import type { BuildRequest } from './request.ts';
import { StageFiles, type StageFilesOptions } from '../rootfs/stage-files.ts';
import type { StageResult } from './stage.ts';
import { atRange, withStageHint } from './image-trouble.ts';

export interface BuildSources {
  /** Finds the images that instructions read from: what names none is told before the first step, and not behind an hour of them. */
  readonly findImages: () => Promise<void>;
  /** What the instructions of one stage need beyond their scope. */
  readonly contextFor: (planned: PlannedStage, platform: Platform) => Pick<ExecutionContext, 'run' | 'copy' | 'add'>;
}

interface SourceParts {
  /** Stages that are finished, by index. */
  readonly finished: ReadonlyMap<number, StageResult>;
  /** For the files of images that are only read from. */
  readonly stageFiles: StageFilesOptions;
  readonly bases: BaseImages;
  readonly ports: BuildPorts;
  readonly kept?: KeptCaches | undefined;
}

/** Sources of one build. */
export function openSources(dockerfile: Dockerfile, request: BuildRequest, plan: BuildPlan, parts: SourceParts): BuildSources {
  const contexts = new Set(request.namedContexts.map((context) => contextName(context.name)));
  const { ports, stageFiles } = parts;
  const images = new Map<string, StageFiles>();
  const namespace = cacheNamespace(request);
  // Hashed, since it may hold anything.
  const subfolder = namespace === '' ? 'default' : createHash('sha256').update(namespace).digest('hex');
  const cacheFolder = join(request.builderFolder, 'caches', subfolder);
  const volumes = ports.volumes === undefined ? undefined : new CacheVolumes(stageFiles.disk.root, ports.volumes);
  const platformOf = ({ stage }: PlannedStage): Platform => plan.platforms.get(stage.index) ?? request.platform;
  const findImage = async (planned: PlannedStage, { name, why, range }: ReturnType<typeof referencesOf>[number]): Promise<void> => {
    // What is named by a variable is refused where it is read.
    if (name.includes('$')) return;
    const source = resolveSource(dockerfile, name, contexts, { stage: planned.stage.index, allowsNumbers: why === 'copy', range });
    if (source.kind === 'stage' || source.kind === 'scratch') return;
    if (source.kind === 'context' && ports.namedFolders.has(source.name)) return;
    const image = source.kind === 'context' ? source.name : source.image;
    await atRange(range, () => parts.bases.describe(image, platformOf(planned))).catch((error: unknown) => {
      throw source.kind === 'image' ? withStageHint(error, name, dockerfile) : error;
    });
  };
  return {
    findImages: async () => {
      const built = plan.stages.filter(({ base }) => base.kind !== 'context' || !base.replacesStage);
      const finding = built.flatMap((planned) =>
        planned.stage.instructions.flatMap(referencesOf).map((reference) => findImage(planned, reference)),
      );
      await Promise.allSettled(finding);
      await Promise.all(finding); // of several failures the first one
    },
    contextFor: (planned, platform) => {
      const named = (from: string, allowsNumbers: boolean, range: SourceRange): Promise<SourceTree> => {
        const source = resolveSource(dockerfile, from, contexts, { stage: planned.stage.index, allowsNumbers, range });
        return openSource(source, planned, { platform, plan, ...parts }, images);
      };
      const { range } = planned.stage.from;
      return {
        run: {
          launch: ports.launch,
          network: request.network,
          proxies: proxiesOf(request.buildArgs),
          mounts: {
            tree: async (from) => (from === undefined ? ports.context : await named(from, false, range)),
            secret: (id) => ports.secrets.get(id),
            ssh: (id) => ports.ssh.get(id),
            cacheFolder: bytesFromText(cacheFolder),
            kept: parts.kept,
            volumes,
          },
        },
        copy: { sources: async (from) => (from?.value === undefined ? ports.context : await named(from.value, true, from.range)) },
        add: {
          download: async (url, signal) => await ports.download(url, { signal }),
          ...given({ git: ports.git }),
        },
      };
    },
  };
}

/** Ids of cache mounts of one namespace mean nothing in another. */
export function cacheNamespace({ buildArgs }: Pick<BuildRequest, 'buildArgs'>): string {
  return buildArgs.get('BUILDKIT_CACHE_MOUNT_NS') ?? '';
}

/** HTTP_PROXY and friends of --build-arg, which RUN gets without an ARG, in both spellings. */
export function proxiesOf(buildArgs: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const proxies = new Map<string, string>();
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY']) {
    const found = [...buildArgs].find(([key]) => key.toUpperCase() === name);
    if (found === undefined) continue;
    proxies.set(name, found[1]).set(name.toLowerCase(), found[1]);
  }
  return proxies;
}

async function openSource(
  source: ReturnType<typeof resolveSource>,
  planned: PlannedStage,
  { platform, plan, finished, stageFiles, bases, ports }: SourceParts & { readonly platform: Platform; readonly plan: BuildPlan },
  images: Map<string, StageFiles>,
): Promise<SourceTree> {
  if (source.kind === 'stage') {
    const stage = plan.stages.find((each) => each.stage.index === source.index)?.stage;
    const label = `stage ${stage?.name ?? source.index}`;
    const result = finished.get(source.index);
    if (result === undefined) throw new BuilderError('ERR_INTERNAL', `Cannot read from ${label}: it was not built`);
    const isLast = isReadAtOnce(plan, planned, source.index);
    return { files: await result.files.view(isLast), label, keepsOwners: true, isForeign: stageFiles.disk.root.protection.covers };
  }
  if (source.kind === 'scratch')
    return { files: await new StageFiles(stageFiles, { layers: [] }).view(), label: 'scratch', keepsOwners: true };
  const folder = source.kind === 'context' ? ports.namedFolders.get(source.name) : undefined;
  if (folder !== undefined) return folder;
  const name = source.kind === 'context' ? source.name : source.image;
  const fetched = await bases.fetch(name, platform, true);
  const key = fetched.image.config.diffIds.join(' ');
  const files = images.getOrInsertComputed(key, () => new StageFiles(stageFiles, { layers: fetched.layers }));
  return { files: await files.view(), label: `image ${name}`, keepsOwners: true };
}
