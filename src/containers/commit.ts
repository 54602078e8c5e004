// `commit`: what a container's files are now, and its settings, as an image: the layers of the one that it began as, and one more.
import { bytesFromText } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import { plainRoot } from '../files/root.ts';
import type { BlobStore } from '../layer/store.ts';
import type { Compression, MediaFamily } from '../oci/media-type.ts';
import type { LocalEntry } from '../layer/entry.ts';
import { type WrittenLayer, writeLayer } from '../layer/write.ts';
import type { Image, Layer } from '../oci/image.ts';
import type { HistoryEntry, ImageConfig } from '../oci/image-config.ts';
import { type StoredImage, encodeImage } from '../oci/stored-image.ts';
import { formatTime } from '../oci/time.ts';
import { captureChanges } from '../rootfs/capture.ts';
import type { ChangeList } from '../rootfs/change-list.ts';
import { diffTrees } from '../rootfs/diff.ts';
import { readLayerInto } from '../rootfs/follow-layer.ts';
import { scanRoot } from '../rootfs/scan.ts';
import { keepsChangeTimes } from '../linux/statfs.ts';
import { type ImageBefore, settleTouched } from '../rootfs/settle.ts';
import { readSnapshot } from '../rootfs/snapshot-file.ts';
import { TreeColumns } from '../rootfs/tree-columns.ts';
import { ImageTree } from '../tree/image-tree.ts';
import { plainPodMap } from '../tree/pod-map.ts';
import type { OpenContainer } from './container-store.ts';
import type { ContainerState } from './state.ts';

export interface CommitOptions {
  readonly family: MediaFamily;
  /** One layer of everything, and a history of one entry. */
  readonly squashes: boolean;
  /** Seconds since 1970 for all that the layer and the config say of times. */
  readonly timestamp?: number;
  readonly omitsHistory: boolean;
  /** Labels of the builder's own. */
  readonly labels: ReadonlyMap<string, string>;
  /** Variables that the image does not get. */
  readonly unsetEnv: readonly string[];
  readonly compression: Compression;
  readonly now: () => Date;
}

/** Where a layer waits, and who is told. */
export interface CommitScope {
  readonly store: BlobStore;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/**
 * The image of a container, whose files nobody may be changing meanwhile. Its new layer stands in the scope's store.
 * @throws ERR_ROOTFS, ERR_LAYER
 */
export async function commitContainer(
  container: OpenContainer,
  base: StoredImage | undefined,
  options: CommitOptions,
  scope: CommitScope,
): Promise<StoredImage> {
  const { state } = container;
  if (state.image !== undefined && base === undefined && !options.squashes) throw missingBase(state);
  const changes = await findChanges(container, options.squashes ? undefined : (base?.image.layers ?? []), scope.signal);
  const { layer } = await writeChanges(container, changes, options, scope);
  const below = options.squashes ? [] : (base?.image.layers ?? []);
  const created = timeOf(options);
  const config = configOf(state, options, created, scope.emit);
  const image: Image = {
    layers: [...below, layer],
    family: options.family,
    // Docker's manifests have no place for them.
    annotations: options.family === 'oci' ? state.settings.annotations : new Map(),
    config: {
      ...config,
      diffIds: [...below.map(({ diffId }) => diffId), layer.diffId],
      history: options.omitsHistory ? [] : historyOf(state, options, created),
    },
  };
  return encodeImage(image);
}

/** What a container has that the layers below it don't; all of it where there are none. */
async function findChanges(container: OpenContainer, below: readonly Layer[] | undefined, signal: AbortSignal): Promise<ChangeList> {
  const root = plainRoot(bytesFromText(container.rootFolder));
  if (below === undefined) return diffTrees(new TreeColumns().build(), await scanRoot(root, signal));
  const found = diffTrees(await readSnapshot(container.snapshotPath, signal), await scanRoot(root, signal));
  const settling = { image: () => readImage(below, signal), timesDrift: !keepsChangeTimes(root.path) };
  return await settleTouched(root, found, settling, signal);
}

async function readImage(layers: readonly Layer[], signal: AbortSignal): Promise<ImageBefore> {
  const tree = new ImageTree();
  const warn = (): void => undefined; // who unpacked them was told
  for (const [number, layer] of layers.entries()) await readLayerInto(tree, number, layer, new Map(), { warn, signal });
  return { tree, layers: layers.map((layer) => ({ layer: () => layer })), map: plainPodMap };
}

async function writeChanges(
  container: OpenContainer,
  changes: ChangeList,
  { family, compression, timestamp }: CommitOptions,
  { store, signal }: CommitScope,
): Promise<WrittenLayer> {
  const root = plainRoot(bytesFromText(container.rootFolder));
  const entries = captureChanges(root, changes, signal);
  return await writeLayer(timestamp === undefined ? entries : withTime(entries, timestamp), { family, compression, store }, signal);
}

function* withTime(entries: Iterable<LocalEntry>, seconds: number): Generator<LocalEntry> {
  for (const entry of entries) yield { ...entry, mtime: { seconds, nanoseconds: 0 } };
}

function timeOf({ timestamp, now }: CommitOptions): string {
  return formatTime(timestamp === undefined ? now().getTime() : timestamp * 1000);
}

/** The container's history and the layer's own entry, as buildah words it. */
function historyOf(
  { config, settings, imageName, image }: ContainerState,
  { squashes }: CommitOptions,
  created: string,
): readonly HistoryEntry[] {
  const shell = config.config.shell?.join(' ') ?? '';
  const comment = `${settings.historyComment ?? ''}${image === undefined ? '' : `FROM ${imageName}`}`;
  const own: HistoryEntry = {
    created,
    createdBy: settings.createdBy ?? (shell === '' ? '/bin/sh' : shell),
    ...given({ author: config.author }),
    ...(comment === '' ? {} : { comment }),
  };
  return squashes ? [own] : [...config.history, ...settings.history, own];
}

function configOf({ config }: ContainerState, options: CommitOptions, created: string, emit: Emit): ImageConfig {
  const { unsetEnv, labels, family } = options;
  const run = config.config;
  const env = run.env.filter((item) => !unsetEnv.includes(item.split('=', 1)[0] ?? ''));
  const common = { ...config, created, config: { ...run, env, labels: new Map([...run.labels, ...labels]) } };
  return family === 'oci' ? withoutDockerMembers(common, emit) : common;
}

/** image-spec config.md has no such members; buildah leaves them out of OCI images too, and says so. */
function withoutDockerMembers(image: ImageConfig, emit: Emit): ImageConfig {
  const { shell, healthcheck, onBuild = [], ...run } = image.config;
  const unknown = new Map(image.unknown);
  const left = [
    ...(shell === undefined ? [] : ['a shell']),
    ...(healthcheck === undefined ? [] : ['a healthcheck']),
    ...(onBuild.length === 0 ? [] : ['ONBUILD triggers']),
    ...(unknown.delete('comment') ? ['a comment'] : []),
  ];
  if (left.length > 0) {
    const message = `OCI images have no place for ${left.join(', ')}: left out (--format docker keeps it)`;
    emit({ kind: 'warning', code: 'commit-oci', message });
  }
  return { ...image, config: run, unknown };
}

function missingBase({ name, imageName }: ContainerState): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot commit ${name}: the store has lost the image that it began as, ${imageName}`, {
    hint: '--squash makes one layer of all files',
  });
}
