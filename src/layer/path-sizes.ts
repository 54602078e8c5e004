// What each path of an image holds, layer by layer: some 40 bytes a path and no name of any, so that a million of them cost little.
import type { ByteString } from '../bytes.ts';

/** No layer has content there, or what was there was removed. */
const nowhere = -1;

/** What was at a path before. */
export interface HeldContent {
  readonly layer: number;
  readonly bytes: number;
}

export class PathSizes {
  #index = new Int32Array(1024).fill(nowhere);
  #low = new Uint32Array(512);
  #high = new Uint32Array(512);
  #parent = new Int32Array(512);
  #layer = new Int16Array(512);
  #bytes = new Float64Array(512);
  #least = new Float64Array(512);
  #count = 0;

  /** A number for the path, the same each time; folders above it have lower ones. */
  at(path: ByteString): number {
    let [low, high, slot] = [0x811c9dc5, 0x9e3779b9, nowhere];
    for (let position = 0; position <= path.length; position++) {
      const code = position === path.length ? 47 : path.charCodeAt(position);
      if (code === 47) slot = this.#find(low >>> 0, high >>> 0, slot);
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul((high << 5) ^ (high >>> 27) ^ code, 0x85ebca6b);
    }
    return slot;
  }

  /** Puts content there; gives what was there, and by how much the smallest content that was ever there changes the sum of those. */
  put(slot: number, layer: number, bytes: number): { readonly before: HeldContent | undefined; readonly idealChange: number } {
    const held = this.#layer[slot] ?? nowhere;
    const before = held === nowhere ? undefined : { layer: held, bytes: this.#bytes[slot] ?? 0 };
    const least = this.#least[slot] ?? nowhere;
    this.#least[slot] = least === nowhere ? bytes : Math.min(least, bytes);
    this.#layer[slot] = layer;
    this.#bytes[slot] = bytes;
    return { before, idealChange: (this.#least[slot] ?? 0) - (least === nowhere ? 0 : least) };
  }

  /** Takes away what layers below `layer` have at or below the marked paths, `below` alone where that is said. */
  remove<Mark extends { readonly slot: number; readonly isOpaque: boolean }>(
    marks: readonly Mark[],
    layer: number,
    onRemoved: (mark: Mark, held: HeldContent) => void,
  ): void {
    const marked = new Map(marks.map((mark, position) => [mark.slot, { mark, position }]));
    const markOf = new Int32Array(this.#count).fill(nowhere);
    for (let slot = 0; slot < this.#count; slot++) {
      const own = marked.get(slot);
      const above = markOf[this.#parent[slot] ?? nowhere] ?? nowhere;
      markOf[slot] = above === nowhere ? (own?.position ?? nowhere) : above;
      const mark = above === nowhere && own?.mark.isOpaque === true ? undefined : marks[markOf[slot] ?? nowhere];
      const held = this.#layer[slot] ?? nowhere;
      if (mark === undefined || held === nowhere || held >= layer) continue;
      onRemoved(mark, { layer: held, bytes: this.#bytes[slot] ?? 0 });
      this.#layer[slot] = nowhere;
    }
  }

  #find(low: number, high: number, parent: number): number {
    const mask = this.#index.length - 1;
    for (let at = (low ^ high) & mask; ; at = (at + 1) & mask) {
      const slot = this.#index[at] ?? nowhere;
      if (slot === nowhere) return this.#add(low, high, parent);
      if (this.#low[slot] === low && this.#high[slot] === high) return slot;
    }
  }

  #add(low: number, high: number, parent: number): number {
    if (this.#count === this.#low.length) this.#grow();
    const slot = this.#count++;
    this.#low[slot] = low;
    this.#high[slot] = high;
    this.#parent[slot] = parent;
    this.#layer[slot] = nowhere;
    this.#least[slot] = nowhere;
    this.#enter(slot);
    return slot;
  }

  #enter(slot: number): void {
    const mask = this.#index.length - 1;
    let at = ((this.#low[slot] ?? 0) ^ (this.#high[slot] ?? 0)) & mask;
    while (this.#index[at] !== nowhere) at = (at + 1) & mask;
    this.#index[at] = slot;
  }

  #grow(): void {
    const length = this.#low.length * 2;
    const grown = <Column extends Uint32Array | Int32Array | Int16Array | Float64Array>(from: Column, to: Column): Column => {
      to.set(from);
      return to;
    };
    this.#low = grown(this.#low, new Uint32Array(length));
    this.#high = grown(this.#high, new Uint32Array(length));
    this.#parent = grown(this.#parent, new Int32Array(length));
    this.#layer = grown(this.#layer, new Int16Array(length));
    this.#bytes = grown(this.#bytes, new Float64Array(length));
    this.#least = grown(this.#least, new Float64Array(length));
    this.#index = new Int32Array(length * 2).fill(nowhere);
    for (let slot = 0; slot < this.#count; slot++) this.#enter(slot);
  }
}
