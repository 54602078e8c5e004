// The container's own files, put away before an image is unpacked over them, and back after the build (--preserve-context).
import { existsSync } from 'node:fs';
import { makeFolder } from '../folders.ts';
import { type ByteString, bytesFromText, fsPath } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import type { Root } from '../files/root.ts';
import { clearRoot } from './clear.ts';
import { setRootAside, takeRootBack } from './set-aside.ts';

export class OwnRoot {
  readonly #root: Root;
  readonly #folder: ByteString;
  #isAway = false;

  /** `folder` is the builder's own and protected. @throws ERR_ROOTFS where a build that was killed left files in it */
  constructor(root: Root, folder: string) {
    if (existsSync(folder)) {
      throw new BuilderError(
        'ERR_ROOTFS',
        `Cannot preserve the root: ${folder} holds the files of one that a killed build has not put back`,
        {
          hint: 'move them back to /, or remove the folder; a new container has neither',
        },
      );
    }
    this.#root = root;
    this.#folder = bytesFromText(folder);
  }

  /** Moves all that is not protected out of the root, the first time that it is called; tells whether it did. @throws ERR_ROOTFS */
  async putAway(signal: AbortSignal): Promise<boolean> {
    if (this.#isAway) return false;
    makeFolder(fsPath(this.#folder), 0o755);
    this.#isAway = true;
    await setRootAside(this.#root, this.#folder, signal);
    return true;
  }

  /** Empties the root and moves everything back, whatever stopped the build. @throws ERR_ROOTFS */
  async putBack(): Promise<void> {
    if (!this.#isAway) return;
    const { signal } = new AbortController();
    clearRoot(this.#root, signal);
    await takeRootBack(this.#root, this.#folder, signal);
    this.#isAway = false;
  }
}
