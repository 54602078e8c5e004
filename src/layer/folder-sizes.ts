// Sizes of folders, as a list that stays short: a million files come to the largest folders and the largest files in them.
import { type ByteString, textFromBytes } from '../bytes.ts';
import type { FolderSize } from '../events.ts';

const deepest = 6;
const mostFolders = 4000;
const filesPerFolder = 8;

interface Folder {
  bytes: number;
  files: number;
  /** Undefined where only the sum is kept. */
  folders: Map<string, Folder> | undefined;
  readonly largest: { readonly name: string; readonly bytes: number }[];
}

/** Adds up. Every sum is exact; what is small loses its parts first. */
export class FolderSizes {
  readonly #root = newFolder();
  #folders = 0;

  get bytes(): number {
    return this.#root.bytes;
  }

  get files(): number {
    return this.#root.files;
  }

  add(path: ByteString, bytes: number): void {
    const names = path.split('/');
    let folder = this.#root;
    addFile(folder, bytes);
    for (const name of names.slice(0, Math.min(names.length - 1, deepest))) {
      if (folder.folders === undefined) return;
      let next = folder.folders.get(name);
      if (next === undefined) {
        next = newFolder();
        folder.folders.set(name, next);
        this.#folders++;
      }
      folder = next;
      addFile(folder, bytes);
    }
    if (folder.folders !== undefined && names.length <= deepest + 1) noteLargest(folder, names.at(-1) ?? '', bytes);
    if (this.#folders > mostFolders) this.#forget();
  }

  /** At most so many folders and files that have content, each right before what is in it; a folder's path ends with a slash. */
  list(most: number): readonly FolderSize[] {
    const all: { readonly path: string; readonly bytes: number; readonly files: number; readonly order: number }[] = [];
    const visit = (folder: Folder, above: string): void => {
      const parts = [
        ...[...(folder.folders ?? [])].map(([name, { bytes, files }]) => ({ name, bytes, files, inner: folder.folders?.get(name) })),
        ...folder.largest.map(({ name, bytes }) => ({ name, bytes, files: 1, inner: undefined })),
      ].sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
      for (const { name, bytes, files, inner } of parts) {
        const path = `${above}${name}${inner === undefined ? '' : '/'}`;
        all.push({ path, bytes, files, order: all.length });
        if (inner !== undefined) visit(inner, path);
      }
    };
    visit(this.#root, '');
    // What is in a folder is never larger than it, and comes after it: so no part stays without its folder.
    const kept = all
      .filter(({ bytes }) => bytes > 0)
      .toSorted((a, b) => b.bytes - a.bytes || a.order - b.order)
      .slice(0, most);
    return kept
      .toSorted((a, b) => a.order - b.order)
      .map(({ path, bytes, files }) => ({ path: textFromBytes(path as ByteString), bytes, files }) /* bytes joined */);
  }

  // Folders below a size become a sum, and then those below twice the size, until there is room again.
  #forget(): void {
    for (let limit = Math.max(1, this.#root.bytes / 1000); this.#folders > mostFolders / 2; limit *= 2) {
      const isLast = limit > this.#root.bytes;
      this.#folders = closeBelow(this.#root, limit);
      if (isLast && this.#folders > mostFolders / 2) [this.#root.folders, this.#folders] = [undefined, 0];
    }
  }
}

/** Gives how many folders are left in it. */
function closeBelow({ folders }: Folder, limit: number): number {
  let left = 0;
  for (const inner of folders?.values() ?? []) {
    if (inner.bytes < limit) inner.folders = undefined;
    left += 1 + closeBelow(inner, limit);
  }
  return left;
}

function newFolder(): Folder {
  return { bytes: 0, files: 0, folders: new Map(), largest: [] };
}

function addFile(folder: Folder, bytes: number): void {
  folder.bytes += bytes;
  folder.files += 1;
}

function noteLargest({ largest }: Folder, name: string, bytes: number): void {
  if (largest.length >= filesPerFolder && bytes <= (largest.at(-1)?.bytes ?? 0)) return;
  largest.push({ name, bytes });
  largest.sort((a, b) => b.bytes - a.bytes);
  if (largest.length > filesPerFolder) largest.pop();
}
