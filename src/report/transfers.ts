// How far the blobs are that are under way.
import type { BuildEvent } from '../events.ts';

export interface Moved {
  readonly doneBytes: number;
  /** 0 where nothing moves. */
  readonly sizeBytes: number;
}

/** The sums of downloads and uploads; a blob that has arrived counts until all of its direction have. */
export class Transfers {
  readonly #blobs = new Map<
    string,
    { readonly direction: 'pull' | 'push'; readonly done: number; readonly size: number; isDone: boolean }
  >();

  update(event: BuildEvent): void {
    if (event.kind !== 'blob.progress' && event.kind !== 'blob.finished') return;
    const { direction, descriptor } = event;
    const key = `${direction} ${descriptor.digest}`;
    if (event.kind === 'blob.progress') {
      this.#blobs.set(key, { direction, done: event.doneBytes, size: descriptor.size, isDone: false });
      return;
    }
    const known = this.#blobs.get(key);
    if (known === undefined) return;
    this.#blobs.set(key, { ...known, done: known.size, isDone: true });
    const ofDirection = [...this.#blobs].filter(([, blob]) => blob.direction === direction);
    if (ofDirection.every(([, blob]) => blob.isDone)) for (const [name] of ofDirection) this.#blobs.delete(name);
  }

  moving(): { readonly pull: Moved; readonly push: Moved } {
    return { pull: this.#sum('pull'), push: this.#sum('push') };
  }

  #sum(direction: 'pull' | 'push'): Moved {
    const blobs = [...this.#blobs.values()].filter((blob) => blob.direction === direction);
    return {
      doneBytes: blobs.reduce((sum, { done }) => sum + done, 0),
      sizeBytes: blobs.reduce((sum, { size }) => sum + size, 0),
    };
  }
}
