// What layers hold, noted while they are written or read for something else: for who tells of them later, and need not read them again.
import type { ByteString } from '../bytes.ts';
import type { Digest } from '../oci/digest.ts';
import type { LayerWatch } from '../oci/image.ts';

/** What is noted of an entry. */
export type ListedEntry = Parameters<LayerWatch['add']>[0];

/** The entries of a layer that are no directories, in some twenty bytes each: of each path what differs from the one before. */
export class LayerListing {
  #bytes = Buffer.allocUnsafeSlow(4096);
  #end = 0;
  #last = '';

  add({ path, type, size }: ListedEntry): void {
    if (type === 'directory') return;
    let same = 0;
    const most = Math.min(path.length, this.#last.length);
    while (same < most && path.charCodeAt(same) === this.#last.charCodeAt(same)) same++;
    this.#last = path;
    this.#makeRoom(path.length - same + 3 * longestNumber);
    for (const number of [same, path.length - same, type === 'file' ? size : 0]) this.#putNumber(number);
    this.#end += this.#bytes.write(path.slice(same), this.#end, 'latin1');
  }

  /** All of them as files, in their order; what has no content has no bytes. */
  *entries(): Generator<ListedEntry> {
    const bytes = this.#bytes;
    let at = 0;
    const number = (): number => {
      for (let [value, scale] = [0, 1]; ; scale *= 128) {
        const byte = bytes[at++] ?? 0;
        value += (byte & 127) * scale;
        if (byte < 128) return value;
      }
    };
    for (let path = ''; at < this.#end;) {
      const [same, length, size] = [number(), number(), number()];
      path = path.slice(0, same) + bytes.toString('latin1', at, at + length);
      at += length;
      yield { path: path as ByteString, type: 'file', size }; // bytes joined
    }
  }

  #putNumber(number: number): void {
    let rest = number;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes[this.#end++] = (rest % 128) | 128;
    this.#bytes[this.#end++] = rest;
  }

  #makeRoom(length: number): void {
    if (this.#end + length <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#end + length, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}

/** Seven bits of a size a byte. */
const longestNumber = 8;

/** Of all layers that a build has written or read, by what they hold. */
export class LayerListings {
  readonly #known = new Map<Digest, LayerListing>();

  get(diffId: Digest): LayerListing | undefined {
    return this.#known.get(diffId);
  }

  set(diffId: Digest, listing: LayerListing): void {
    this.#known.set(diffId, listing);
  }

  /** For `Layer.watch`: undefined for a layer that is known. */
  watch(diffId: Digest): LayerWatch | undefined {
    if (this.#known.has(diffId)) return undefined;
    const listing = new LayerListing();
    return { add: (entry: ListedEntry) => listing.add(entry), end: () => this.set(diffId, listing) };
  }
}
