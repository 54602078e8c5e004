// How a stage begins: the image and the files that its FROM names.
import { selectSources } from '../context/select.ts';
import type { SourceTree } from '../context/tree.ts';
import type { PlannedStage } from '../dockerfile/stages.ts';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import type { WrittenLayer } from '../layer/write.ts';
import { appendLayer, type Image } from '../oci/image.ts';
import type { Platform } from '../oci/platform.ts';
import { rootPath } from '../paths.ts';
import { StageFiles, type StageFilesOptions, type StageOutlook } from '../rootfs/stage-files.ts';
import type { EarlyPush } from '../outputs/early-push.ts';
import type { BaseImages } from './base-images.ts';
import { CopyTarget } from './instructions/copy-target.ts';
import { copySelection, type CopyJob } from './instructions/copy-tree.ts';
import type { BuildPorts } from './ports.ts';
import { atFrom } from './image-trouble.ts';
import type { BuildRequest } from './request.ts';
import type { StageResult } from './stage.ts';
import { scratchImage, asBase } from './start-image.ts';

export interface EnteredBase {
  readonly image: Image;
  readonly files: StageFiles;
  readonly name: string;
  readonly inherited?: StageResult['state'];
}

export interface BaseScope {
  readonly request: BuildRequest;
  readonly ports: BuildPorts;
  readonly bases: BaseImages;
  readonly stageFiles: StageFilesOptions;
  readonly earlyPush: EarlyPush;
  readonly epoch?: number;
  /** RFC 3339, now. */
  readonly created: () => string;
  readonly finished: ReadonlyMap<number, StageResult>;
}

/** `isWanted` starts to download all layers of the base at once. @throws what pulling throws, pinned to the FROM */
export async function enterBase(
  scope: BaseScope,
  planned: PlannedStage,
  platform: Platform,
  { isWanted, ...outlook }: StageOutlook & { readonly isWanted: boolean },
): Promise<EnteredBase> {
  const { bases, finished, stageFiles } = scope;
  const { base } = planned;
  if (base.kind === 'stage') {
    const result = finished.get(base.index);
    if (result === undefined) throw new BuilderError('ERR_INTERNAL', 'Cannot start a stage: its base was not built');
    return { image: result.image, files: await result.files.continue(outlook), name: planned.stage.from.image, inherited: result.state };
  }
  if (base.kind === 'scratch') {
    return { image: scratchImage(platform, scope.request), files: new StageFiles(stageFiles, { layers: [] }), name: 'scratch' };
  }
  const folder = base.kind === 'context' ? scope.ports.namedFolders.get(base.name) : undefined;
  if (base.kind === 'context' && folder !== undefined) return await enterFolder(scope, base.name, folder, platform);
  const name = base.kind === 'image' ? base.image : base.name;
  return await atFrom(planned, async () => {
    const { image, layers } = await bases.fetch(name, platform, isWanted);
    image.layers.forEach(scope.earlyPush.send);
    return { image: asBase(image), files: new StageFiles(stageFiles, { ...outlook, layers }), name };
  });
}

/** True where an instruction asks for files of the base: settings and linked copies don't. */
export function needsFiles({ stage }: PlannedStage): boolean {
  return stage.instructions.some((each) => ['run', 'add', 'workdir'].includes(each.kind) || (each.kind === 'copy' && !each.link));
}

/** A folder as a base: the root of an image with an empty config; its content, ignore rules honoured, is one layer. */
async function enterFolder(scope: BaseScope, name: string, folder: SourceTree, platform: Platform): Promise<EnteredBase> {
  const { request, ports, stageFiles } = scope;
  const files = new StageFiles(stageFiles, { layers: [] });
  const { layer } = await copyFolder(files, folder, scope.epoch, ports);
  const history = { created: scope.created(), createdBy: `FROM ${name}`, comment: 'buildkit.exporter.image.v0' };
  return { image: appendLayer(scratchImage(platform, request), layer, history), files, name };
}

async function copyFolder(
  files: StageFiles,
  folder: SourceTree,
  mtimeSeconds: number | undefined,
  { emit, signal }: Pick<BuildPorts, 'emit' | 'signal'>,
): Promise<WrittenLayer> {
  const epoch = given({ mtimeSeconds });
  const draft = await files.draft();
  const target = new CopyTarget(draft, { instruction: `FROM ${folder.label}` });
  const job: CopyJob = {
    target,
    policy: { parents: { mode: 0o755, ...epoch }, ...epoch },
    destination: { path: rootPath, isDirectory: true },
    written: [],
    spool: files.spool,
    warn: (code, message) => emit({ kind: 'warning', code, message }),
    signal,
  };
  for (const selection of selectSources(folder, '/')) await copySelection(job, folder, selection);
  target.finish();
  return await files.write(draft);
}
