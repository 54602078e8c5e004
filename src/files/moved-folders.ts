// Folders whose content is somewhere else for a while: what is asked for by its own path is found where it is now.
import { type ByteString } from '../bytes.ts';
import { isWithin, pathIn } from '../paths.ts';

interface Moved {
  /** Asked each time: it may move on. */
  readonly place: () => ByteString;
  readonly staying: ReadonlySet<ByteString>;
}

export class MovedFolders {
  readonly #moved = new Map<ByteString, Moved>();

  /** Says that all in `folder` (absolute, free of links) but the names `staying` is at `place`. */
  move(folder: ByteString, place: () => ByteString, staying: readonly ByteString[]): void {
    this.#moved.set(folder, { place, staying: new Set(staying) });
  }

  /** Says that it is back. */
  comeBack(folder: ByteString): void {
    this.#moved.delete(folder);
  }

  /** Where what belongs at the absolute path `path` is now. */
  placeOf(path: ByteString): ByteString {
    for (const [folder, { place, staying }] of this.#moved) {
      if (!isWithin(path, folder)) continue;
      const below = (path === folder ? '.' : path.slice(folder.length + 1)) as ByteString; // a part of bytes
      const slash = below.indexOf('/');
      const first = (slash === -1 ? below : below.slice(0, slash)) as ByteString; // a part of bytes
      return staying.has(first) ? path : pathIn(place(), below);
    }
    return path;
  }

  /** The names that are in `folder` still. */
  staying(folder: ByteString): readonly ByteString[] {
    return [...(this.#moved.get(folder)?.staying ?? [])];
  }
}
