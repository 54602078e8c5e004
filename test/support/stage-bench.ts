// What the stages of one build share, in folders of a test: a disk, a store for layers, a spool, and layers from literals whose
// openings are counted.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ByteString, bytesFromText } from '../../src/bytes.ts';
import { leftOutBy } from '../../src/build/ignored-paths.ts';
import type { BuildEvent } from '../../src/events.ts';
import { diskView } from '../../src/files/disk-view.ts';
import { given } from '../../src/given.ts';
import type { FileView } from '../../src/files/file-view.ts';
import { Spool } from '../../src/files/spool.ts';
import type { Entry } from '../../src/layer/entry.ts';
import { openEntries } from '../../src/layer/open-entries.ts';
import { readEntries } from '../../src/layer/read.ts';
import { type BlobStore, openBlobStore } from '../../src/layer/store.ts';
import { writeLayer } from '../../src/layer/write.ts';
import type { Layer } from '../../src/oci/image.ts';
import { childPath, rootPath } from '../../src/paths.ts';
import { BaseTrees } from '../../src/rootfs/base-trees.ts';
import { Disk } from '../../src/rootfs/disk.ts';
import type { StageLayer } from '../../src/rootfs/stage-layer.ts';
import { createUnpackReport } from '../../src/rootfs/unpack-report.ts';
import type { Ground } from '../../src/rootfs/ground.ts';
import { createProtection } from '../../src/rootfs/protect.ts';
import { RunChanges } from '../../src/rootfs/run-changes.ts';
import { StageFiles, type StageFilesOptions, type StageOutlook } from '../../src/rootfs/stage-files.ts';
import type { TreeDraft } from '../../src/rootfs/tree-draft.ts';
import { unpackLayer } from '../../src/rootfs/unpack.ts';
import { type TarOptions, chunks, tar } from './tar.ts';

export interface BenchOptions {
  /** Below the root. */
  readonly protect?: readonly string[];
  readonly ignoredPaths?: readonly string[];
  readonly latestTime?: number;
  /** The folder that is the root; `root` in the bench's folder where left out. */
  readonly root?: string;
  readonly ground?: Ground;
}

export class StageBench implements AsyncDisposable {
  readonly rootFolder: string;
  readonly events: BuildEvent[];
  readonly disk: Disk;
  readonly store: BlobStore;
  readonly spool: Spool;
  readonly options: StageFilesOptions;
  readonly signal = AbortSignal.timeout(60_000);
  /** Layers of literals that were opened, in order. */
  readonly opened: string[] = [];
  /** Layers that left. */
  readonly sent: Layer[] = [];

  /** `folder` must exist, and goes away with the test. */
  constructor(folder: string, { protect = [], ignoredPaths = [], latestTime, root, ground }: BenchOptions = {}, events: BuildEvent[] = []) {
    const [blobs, stages] = [join(folder, 'blobs'), join(folder, 'stages')];
    this.rootFolder = root ?? join(folder, 'root');
    for (const each of [this.rootFolder, blobs, stages]) mkdirSync(each, { recursive: true });
    this.events = events;
    this.store = openBlobStore(blobs);
    this.spool = new Spool(blobs);
    const common = { emit: (event: BuildEvent) => void events.push(event), signal: this.signal };
    const protection = createProtection(protect.map(bytesFromText));
    const own = { root: { path: bytesFromText(this.rootFolder), protection }, folder: bytesFromText(stages) };
    this.disk = new Disk({ ...own, ...given({ ground }), ...common });
    this.options = {
      disk: this.disk,
      runChanges: new RunChanges(this.disk, common),
      baseTrees: new BaseTrees(),
      spool: this.spool,
      layer: { compression: 'gzip', family: 'oci', store: this.store, ...(latestTime === undefined ? {} : { latestTime }) },
      leftOut: leftOutBy(ignoredPaths),
      onLayer: (layer) => void this.sent.push(layer),
      now: () => ({ seconds: 1_700_000_000, nanoseconds: 0 }),
      ...common,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.spool[Symbol.dispose]();
    await this.store.close();
  }

  /** A base's layer, called `name` in `opened`. */
  async layer(name: string, entries: readonly TarOptions[]): Promise<StageLayer> {
    const { layer } = await writeLayer(readEntries(chunks(tar(entries)), this.signal), this.options.layer, this.signal);
    return this.counted(name, layer);
  }

  counted(name: string, layer: Layer): StageLayer {
    const count = (): number => this.opened.push(name);
    const { chunks = layer.open } = layer;
    const opens: Layer = { ...layer, open: (signal) => (count(), layer.open(signal)), chunks: (signal) => (count(), chunks(signal)) };
    return { diffId: layer.diffId, layer: () => opens };
  }

  stage(layers: readonly StageLayer[], outlook: StageOutlook = {}): StageFiles {
    return new StageFiles(this.options, { layers, ...outlook });
  }

  /** Unpacks a layer onto the root, as a base would be. */
  async unpack(layer: Layer): Promise<void> {
    await unpackLayer(this.disk.root, openEntries(layer, this.signal), createUnpackReport(), this.signal);
  }

  get warnings(): readonly string[] {
    return this.events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
  }
}

/** All of a view, copied into an empty stage: the digest of the layer that this makes. */
export async function digestOf(bench: StageBench, files: FileView): Promise<string> {
  const copy = bench.stage([]);
  const draft = await copy.draft();
  const firsts = new Map<string, ByteString>();
  const visit = (path: ByteString): void => {
    for (const name of files.names(path)) {
      const child = childPath(path, name);
      const stat = files.stat(child);
      if (stat === undefined || stat.type === 'socket') throw new Error(`an image has no ${child}`);
      const { type, mode, uid, gid, size, mtime, identity } = stat;
      const first = type === 'directory' ? undefined : firsts.get(identity);
      firsts.set(identity, child);
      const target = type === 'symlink' ? { linkTarget: files.linkTarget(child) } : {};
      const value = { type, mode, uid, gid, size, mtime, xattrs: files.xattrs(child), ...target };
      if (first !== undefined) draft.link(child, first);
      else draft.put(child, value, type === 'file' ? { files, path: child, open: () => files.open(child) } : undefined);
      if (type === 'directory') visit(child);
      draft.setTime(child, mtime);
    }
  };
  visit(rootPath);
  return (await copy.write(draft)).layer.descriptor.digest;
}

/** All that is in a layer, contents as text. */
export async function entriesOf(layer: Layer): Promise<readonly (Omit<Entry, 'content'> & { readonly text: string })[]> {
  const found: (Omit<Entry, 'content'> & { readonly text: string })[] = [];
  for await (const { content, ...entry } of openEntries(layer, new AbortController().signal)) {
    const parts: Buffer[] = [];
    for await (const chunk of content ?? []) parts.push(Buffer.from(chunk));
    found.push({ ...entry, text: Buffer.concat(parts).toString('latin1') });
  }
  return found;
}

/** A layer as lines: path, type where it is no file, target, mode, owner and content. */
export async function linesOf(layer: Layer): Promise<readonly string[]> {
  return (await entriesOf(layer)).map(({ path, type, mode, uid, gid, linkTarget, text }) =>
    [
      path,
      ...(type === 'file' ? [] : [type]),
      ...(linkTarget === undefined ? [] : [`-> ${linkTarget}`]),
      mode.toString(8),
      ...(uid === 0 && gid === 0 ? [] : [`${uid}:${gid}`]),
      ...(text === '' ? [] : [JSON.stringify(text.length > 40 ? text.length : text)]),
    ].join(' '),
  );
}

/** Drafts all that is in a folder, as it is there; `leavesOut` tells what is not to be had. */
export function draftFolder(draft: TreeDraft, folder: string, leavesOut: (path: ByteString) => boolean = () => false): void {
  const files = diskView(bytesFromText(folder));
  const firsts = new Map<string, ByteString>();
  const times: (() => void)[] = [];
  const visit = (path: ByteString): void => {
    for (const name of files.names(path)) draftOne(childPath(path, name));
  };
  const draftOne = (path: ByteString): void => {
    const stat = files.stat(path);
    if (stat === undefined || stat.type === 'socket' || leavesOut(path)) return;
    const first = stat.type === 'directory' || stat.links < 2 ? undefined : firsts.get(stat.identity);
    if (first !== undefined) return draft.link(path, first);
    firsts.set(stat.identity, path);
    const { type, mode, uid, gid, size, mtime, device } = stat;
    const node = { type, mode, uid, gid, size, mtime, xattrs: files.xattrs(path) };
    const extra = { ...(type === 'symlink' ? { linkTarget: files.linkTarget(path) } : {}), ...(device === undefined ? {} : { device }) };
    draft.put(path, { ...node, ...extra }, type === 'file' ? sourceOf(files, path) : undefined);
    if (type !== 'directory') return;
    visit(path);
    times.push(() => draft.setTime(path, mtime));
  };
  visit(rootPath);
  for (const setTime of times) setTime();
}

function sourceOf(
  files: FileView,
  path: ByteString,
): { readonly files: FileView; readonly path: ByteString; readonly open: () => ReturnType<FileView['open']> } {
  return { files, path, open: () => files.open(path) };
}
