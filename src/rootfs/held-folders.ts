// Folders of the disk that stay whatever image it holds, since something is mounted below them. Between two images they are as they
// were before the first.
import { foldersAbove } from '../paths.ts';
import { lstatSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { statOf } from '../files/disk-view.ts';
import { applyMetadata, readXattrs, removeStaleXattrs } from '../files/metadata.ts';
import { absolutePath } from '../files/resolve.ts';
import type { Root } from '../files/root.ts';
import type { Metadata } from '../layer/entry.ts';
import { statFieldCount, statInto } from '../linux/files.ts';

export class HeldFolders {
  readonly #metadata = new Map<ByteString, Metadata>();

  /** Notes what the folders are like now. */
  constructor(root: Root) {
    for (const path of root.protection.paths) {
      for (const below of foldersAbove(path)) {
        if (root.protection.covers(below)) continue;
        const folder = absolutePath(root, below);
        if (this.#metadata.has(folder)) break;
        const numbers = new Float64Array(statFieldCount);
        if (!statInto(folder, numbers)) continue;
        const stat = statOf(numbers);
        if (stat.type === 'directory') this.#metadata.set(folder, { ...stat, xattrs: readXattrs(folder) });
      }
    }
  }

  /** Makes them so again; what is no folder of ours to change stays. */
  restore(): void {
    for (const [folder, metadata] of this.#metadata) {
      if (!lstatSync(fsPath(folder), { throwIfNoEntry: false })?.isDirectory()) continue;
      removeStaleXattrs(folder, metadata);
      applyMetadata(folder, metadata, false, () => undefined);
    }
  }
}
