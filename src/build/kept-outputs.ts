// Results that lie in the root: a tar archive in /tmp, the log that the output is redirected to, what an earlier build in this container
// wrote. Each time the root is emptied they would go with it, and while it is an image's a RUN would see them.
import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { bytesFromText } from '../bytes.ts';
import { MovedFolders } from '../files/moved-folders.ts';
import { createProtection } from '../rootfs/protect.ts';
import { ShelvedFolder } from './shelved-folder.ts';
import type { BuildRequest } from './request.ts';
import type { BuildPorts } from './ports.ts';

export class KeptOutputs {
  readonly #builderFolder: string;
  readonly #places: readonly string[];
  readonly #hidden: ShelvedFolder[] = [];

  /** Of these absolute places those that are in the root and not out of an image's way as it is: what is protected, or holds that, stays. */
  constructor(
    places: readonly string[],
    { rootPath, builderFolder }: Pick<BuildRequest, 'rootPath' | 'builderFolder'>,
    { protectedPaths }: Pick<BuildPorts, 'protectedPaths'>,
  ) {
    const protection = createProtection(protectedPaths);
    const isImages = (place: string): boolean => {
      const path = relative(rootPath, place);
      if (path === '' || path.startsWith('..')) return false;
      return !protection.covers(bytesFromText(path)) && !protection.holds(bytesFromText(path));
    };
    this.#builderFolder = builderFolder;
    // Folders before what is in them.
    this.#places = [...new Set(places)].filter(isImages).sort();
  }

  /** Moves what is there by now into the builder's folder, if nothing is. Who has one of the files open goes on writing it. */
  hide(): void {
    if (this.#hidden.length > 0) return;
    for (const place of this.#places) {
      if (!existsSync(place)) continue;
      const shelved = ShelvedFolder.shelve({ folder: bytesFromText(place), mounts: [] }, this.#builderFolder, new MovedFolders());
      if (shelved !== undefined) this.#hidden.push(shelved);
    }
  }

  /** Moves all of it back; what an image has there goes. */
  giveBack(): void {
    for (const shelved of this.#hidden.splice(0)) shelved.giveBack();
  }
}
