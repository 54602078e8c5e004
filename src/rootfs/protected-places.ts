// What of the root is not the image's, wherever RUN puts it: who renames a folder takes along what is mounted in it (`mv /opt /opt2`
// with a volume at /opt/data), and whoever still looked for that where it was would take a volume for the image's, and empty it.
import { relative } from 'node:path';
import { type ByteString, bytesFromText, textFromBytes } from '../bytes.ts';
import { readMounts } from '../linux/mounts.ts';
import { cleanPath } from '../paths.ts';

/** Absolute paths. */
export interface MovedMount {
  readonly from: ByteString;
  readonly to: ByteString;
}

export class ProtectedPlaces {
  readonly #rootPath: string;
  #paths: readonly ByteString[];
  #mounts: ReadonlyMap<number, ByteString>;

  /** `paths` are below the root. */
  constructor(rootPath: string, paths: readonly ByteString[]) {
    this.#rootPath = rootPath;
    this.#paths = paths.map(cleanPath);
    this.#mounts = this.#mountsNow();
  }

  get paths(): readonly ByteString[] {
    return this.#paths;
  }

  /** What is mounted somewhere else than when this was asked before; `paths` has it there. */
  follow(): readonly MovedMount[] {
    const moved = this.#moved();
    const left = new Set(moved.map(({ from }) => this.#inRoot(from)));
    this.#paths = [...this.#paths.filter((path) => !left.has(path)), ...moved.map(({ to }) => this.#inRoot(to))];
    return moved;
  }

  /** Forgets what the builder has moved itself, which knows where that is. */
  settle(): void {
    this.#moved();
  }

  #moved(): readonly MovedMount[] {
    const before = this.#mounts;
    this.#mounts = this.#mountsNow();
    return [...this.#mounts].flatMap(([id, to]) => {
      const from = before.get(id);
      return from === undefined || from === to ? [] : [{ from, to }];
    });
  }

  #inRoot(path: ByteString): ByteString {
    return bytesFromText(relative(this.#rootPath, textFromBytes(path)));
  }

  // Those of the root by their ids. Others come and go on a machine, and who comes gets the id of who went.
  #mountsNow(): ReadonlyMap<number, ByteString> {
    const inRoot = readMounts().filter(({ target }) => !this.#inRoot(target).startsWith('..'));
    return new Map(inRoot.map(({ id, target }) => [id, target]));
  }
}
