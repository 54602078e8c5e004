// The layers of a stage that the root does not have yet, one after the other.
import { textFromBytes } from '../bytes.ts';
import type { Emit } from '../events.ts';
import type { Root } from '../files/root.ts';
import type { Entry } from '../layer/entry.ts';
import { openEntries } from '../layer/open-entries.ts';
import type { Layer } from '../oci/image.ts';
import type { FolderMoves } from './folder-moves.ts';
import { namingLayer } from './follow-layer.ts';
import type { HeldImage } from './held-image.ts';
import { type StageLayer, readArriving } from './stage-layer.ts';
import { type CheckedScan, type KnownFiles, checkRoot } from './undo.ts';
import { unpackLayer } from './unpack.ts';
import type { UnpackReport } from './unpack-report.ts';

export interface MissingOptions {
  readonly root: Root;
  /** What the root has; gets the layers that are unpacked. */
  readonly held: HeldImage;
  /** Passes the entries of layer `number` on. */
  readonly follow: (entries: AsyncIterable<Entry>, number: number) => AsyncIterable<Entry>;
  readonly known?: KnownFiles;
  /** Where folders may be moved, which `known` has to confirm. */
  readonly moves: FolderMoves | undefined;
  readonly report: UnpackReport;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/**
 * Gives how many entries there were, and where folders were moved what the root is like. Undefined where one of the layers turned out to
 * be another one. @throws ERR_LAYER, ERR_DIGEST_MISMATCH, ERR_ROOTFS
 */
export async function unpackMissing(
  layers: readonly StageLayer[],
  options: MissingOptions,
): Promise<({ readonly entries: number } & Partial<CheckedScan>) | undefined> {
  const { root, held, follow, known, moves, report, emit, signal } = options;
  let [count, hasMoved] = [0, false];
  for (const [number, stageLayer] of layers.entries()) {
    if (number < held.chain.length) continue;
    const detail = `layer ${number + 1} of ${layers.length}`;
    const unpack = async (layer: Layer): Promise<number> => {
      emit({ kind: 'phase', phase: 'unpacking', detail });
      const entries = openEntries(layer, signal, (oddity) => report.oddities.add(oddity));
      return await namingLayer(number, layers.length, layer, () => unpackLayer(root, follow(entries, number), report, signal));
    };
    const isMoving = known !== undefined && moves?.has(stageLayer.diffId) === true;
    // What moving leaves undone the layer does.
    const moved = isMoving ? await moves.moveIn(root, stageLayer.diffId, known.tree, report, signal) : undefined;
    hasMoved ||= isMoving;
    if (moved === undefined) emit({ kind: 'phase', phase: 'pulling', detail });
    const unpacked = moved ?? (await readArriving(stageLayer, unpack));
    if (unpacked === undefined) return undefined;
    count += unpacked;
    held.chain.push(stageLayer.diffId);
  }
  if (!hasMoved || known === undefined) return { entries: count };
  const checked = await checkRoot(root, known.tree, held.map, signal);
  if (checked.other !== undefined) {
    const message = `the root is emptied: /${textFromBytes(checked.other)} is not what the image has`;
    emit({ kind: 'note', level: 'debug', message });
  }
  return { entries: count, ...checked };
}
