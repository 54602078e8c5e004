// The one root that all stages share: what it holds now, and how it comes to hold what the next stage starts from.
import { chmodSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { type ByteString, bytesFromText, fsPath, joinBytes } from '../bytes.ts';
import type { Emit } from '../events.ts';
import { openEntries } from '../layer/open-entries.ts';
import type { Owner } from '../linux/owners.ts';
import type { Layer } from '../oci/image.ts';
import { clearRoot } from '../rootfs/clear.ts';
import type { Root } from '../rootfs/root.ts';
import { createProtection } from '../rootfs/protect.ts';
import { ContentNotes } from '../rootfs/content-notes.ts';
import { restoreRoot, stashRoot } from '../rootfs/stash.ts';
import { createLedger, type Ledger, reportLedger } from '../rootfs/ledger.ts';
import { unpackLayer } from '../rootfs/unpack.ts';

/** Layers of one base: `key` tells equal ones apart from different ones. */
export interface BaseLayers {
  readonly key: string;
  readonly layers: readonly (Layer | Promise<Layer>)[];
}

/** What the root holds: the untouched files of a base, or those of a stage. */
type Holding =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'base'; readonly key: string }
  | { readonly kind: 'stage'; readonly index: number; readonly key?: string };

interface Known {
  /** Whom files belong to that could not be given to him here. */
  readonly owners: ReadonlyMap<ByteString, Owner>;
  readonly notes: ContentNotes;
}

const nothingKnown = (): Known => ({ owners: new Map(), notes: new ContentNotes() });

export class Workspace {
  readonly root: Root;
  readonly #folder: ByteString;
  readonly #emit: Emit;
  readonly #signal: AbortSignal;
  readonly #stashed = new Map<number, ByteString>();
  /** What the disk can't tell of the files of the root, and of those of stages that are set aside. */
  #known: Known = nothingKnown();
  readonly #stashedKnown = new Map<number, Known>();
  readonly #images = new Map<string, Promise<Root>>();
  // At first whatever the engine, or an earlier build in this container, left behind: no layer says so, and it must go.
  #holding: Holding = { kind: 'unknown' };

  /** `folder` is the builder's own, for the roots of stages that are set aside; it must be protected in `root`. */
  constructor(options: { readonly root: Root; readonly folder: ByteString; readonly emit: Emit; readonly signal: AbortSignal }) {
    this.root = options.root;
    this.#folder = options.folder;
    this.#emit = options.emit;
    this.#signal = options.signal;
  }

  /** Whom a path of the base belongs to, where it could not be given to him here. */
  ownerOf(path: ByteString): Owner | undefined {
    return this.#known.owners.get(path);
  }

  /** What the files of the root hold, as far as it was noted. */
  get notes(): ContentNotes {
    return this.#known.notes;
  }

  /** The finished stage whose files the root holds. */
  get heldStage(): number | undefined {
    return this.#holding.kind === 'stage' ? this.#holding.index : undefined;
  }

  /** The root as the files of a base; nothing is done where it is that already. */
  async enterBase(base: BaseLayers): Promise<void> {
    if (
      (this.#holding.kind === 'base' && this.#holding.key === base.key) ||
      (this.#holding.kind === 'stage' && this.#holding.key === base.key)
    ) {
      this.#holding = { kind: 'base', key: base.key };
      return;
    }
    // Some engines make it 0555, and no layer says what it should be; root without capabilities can't even empty it then.
    chmodSync(fsPath(this.root.path), 0o755);
    await this.#empty();
    const ledger = createLedger(this.#known.notes);
    await this.#unpack(this.root, base.layers, ledger);
    this.#known = { owners: ledger.owners, notes: this.#known.notes };
    this.#holding = { kind: 'base', key: base.key };
  }

  /** Says that the present root was made into the files of a base. */
  holdBase(key: string): void {
    this.#holding = { kind: 'base', key };
  }

  /** The root as a finished stage left it; `layers` are unpacked again where its files are no longer there to be moved. */
  async enterStage(index: number, layers: BaseLayers, mayTake: boolean): Promise<void> {
    if (this.#holding.kind === 'stage' && this.#holding.index === index) return;
    const stash = this.#stashed.get(index);
    if (stash === undefined || !mayTake) return await this.enterBase(layers);
    await this.#empty();
    await restoreRoot(this.root, stash, this.#signal);
    this.#stashed.delete(index);
    this.#known = this.#stashedKnown.get(index) ?? nothingKnown();
    this.#stashedKnown.delete(index);
    this.#holding = { kind: 'stage', index };
  }

  /** Says that the present root is now that of a finished stage; `isUntouched` where it made no change to its base. */
  finishStage(index: number, isUntouched: boolean): void {
    const key = this.#holding.kind === 'base' && isUntouched ? this.#holding.key : undefined;
    this.#holding = { kind: 'stage', index, ...(key === undefined ? {} : { key }) };
  }

  /** Moves the present root aside because a later stage reads from it. */
  async setAside(index: number): Promise<void> {
    const folder = joinBytes(this.#folder, bytesFromText(`stage-${index}`));
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await stashRoot(this.root, folder, this.#signal);
    this.#stashed.set(index, folder);
    this.#stashedKnown.set(index, this.#known);
    this.#known = nothingKnown();
    this.#holding = { kind: 'nothing' };
  }

  /** Where a stage's files are: aside, or still in the root. */
  folderOfStage(index: number): ByteString | undefined {
    if (this.#holding.kind === 'stage' && this.#holding.index === index) return this.root.path;
    return this.#stashed.get(index);
  }

  /** An image unpacked beside the root, for COPY --from=IMAGE; once per key. */
  async unpackBeside(base: BaseLayers): Promise<Root> {
    const known = this.#images.get(base.key);
    if (known !== undefined) return await known;
    const path = joinBytes(this.#folder, bytesFromText(`image-${this.#images.size}`));
    const unpacked = (async (): Promise<Root> => {
      await mkdir(path, { recursive: true, mode: 0o755 });
      const root = { path, protection: createProtection([]) };
      await this.#unpack(root, base.layers, createLedger());
      return root;
    })();
    this.#images.set(base.key, unpacked);
    return await unpacked;
  }

  /** Leaves the root as empty as before the build. */
  async clear(): Promise<void> {
    this.#holding = { kind: 'unknown' };
    await this.#empty();
  }

  async #empty(): Promise<void> {
    if (this.#holding.kind === 'nothing') return;
    clearRoot(this.root, this.#signal);
    this.#known = nothingKnown();
    this.#holding = { kind: 'nothing' };
  }

  async #unpack(root: Root, layers: BaseLayers['layers'], ledger: Ledger): Promise<void> {
    const started = performance.now();
    let entries = 0;
    for (const [index, pending] of layers.entries()) {
      this.#emit({ kind: 'phase', phase: 'pulling', detail: `layer ${index + 1} of ${layers.length}` });
      const layer = await pending;
      this.#emit({ kind: 'phase', phase: 'unpacking', detail: `layer ${index + 1} of ${layers.length}` });
      const records = openEntries(layer, this.#signal, (oddity) => ledger.oddities.add(oddity));
      entries += await unpackLayer(root, records, ledger, this.#signal);
    }
    reportLedger(ledger, this.#emit);
    if (layers.length > 0) this.#emit({ kind: 'unpack.finished', entries, durationMs: performance.now() - started });
  }
}
