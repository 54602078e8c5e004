// Layers that leave before their image is finished, to the first repository of each registry; the others mount them when the image is
// pushed.
import { BuilderError } from '../errors.ts';
import { type Descriptor, isForeign } from '../oci/descriptor.ts';
import type { GrowingLayer, Layer } from '../oci/image.ts';
import type { Reference } from '../oci/reference.ts';
import { allOrAbort } from './all-or-abort.ts';
import { type PushContext, progressOf, pushBlob } from './push-blob.ts';
import { cancelMs, cancelUpload, patchGrowing, startUpload } from './upload-verbs.ts';
import { counted } from './upload.ts';

/** A registry that takes a blob while it comes has nothing left to do at its end but to say so. */
const answerMs = 60_000;

/** Sends a layer that is there. @throws RegistryError; nothing of it is remembered */
export async function pushAhead(
  context: PushContext,
  layer: Layer,
  destinations: readonly Reference[],
  signal: AbortSignal,
): Promise<void> {
  if (isForeign(layer.descriptor)) return;
  const send = async (reference: Reference, inner: AbortSignal): Promise<void> =>
    await pushBlob(context, layer, reference, { isFresh: true }, inner);
  await allOrAbort(signal, firstsOf(destinations), send);
}

/**
 * Sends a layer while it is still being written: all but its digest. Where a registry doesn't take it like that, it is sent when it is
 * there. @throws RegistryError, or what writing the layer fails with
 */
export async function pushGrowing(
  context: PushContext,
  growing: GrowingLayer,
  destinations: readonly Reference[],
  signal: AbortSignal,
): Promise<void> {
  await allOrAbort(signal, firstsOf(destinations), async (reference, inner) => {
    const stop = new AbortController();
    const begun = sendGrowing(context, growing, reference, AbortSignal.any([inner, stop.signal]));
    // Awaited once the layer is there; if it never is, nobody asks.
    begun.catch(() => undefined);
    try {
      await pushBlob(context, await growing.finished, reference, { isFresh: true, begun }, inner);
    } finally {
      stop.abort(new BuilderError('ERR_ABORTED', 'the layer has been sent, or there is none'));
      // Its session is taken back before the process ends.
      if (inner.aborted) await begun.catch(() => undefined);
    }
  });
}

async function sendGrowing(
  { open, emit, chunkBytes }: PushContext,
  growing: GrowingLayer,
  reference: Reference,
  signal: AbortSignal,
): Promise<URL> {
  const repository = await open(reference, signal);
  // It is one request, however long it gets.
  if (chunkBytes !== undefined || !repository.takesGrowing)
    throw new BuilderError('ERR_UNSUPPORTED', `${repository.name} takes no blob whose size is unknown`);
  const { location } = await startUpload(repository, signal, { retry: false });
  const tell = progressOf(emit, repository);
  let descriptor: Descriptor | undefined;
  growing.finished.then(
    (layer) => (descriptor = layer.descriptor),
    () => undefined,
  );
  const onBytes = (doneBytes: number): void => (descriptor === undefined ? undefined : tell(descriptor, doneBytes));
  try {
    return await patchGrowing(repository, location, () => counted(growing.chunks(signal), onBytes), answerMs, signal);
  } catch (error) {
    if (!signal.aborted) repository.takesGrowing = false;
    const cancelled = cancelUpload(repository, location, AbortSignal.timeout(cancelMs)).catch(() => undefined);
    if (signal.aborted) await cancelled;
    throw error;
  }
}

/** By registry, the first repository. */
function firstsOf(destinations: readonly Reference[]): readonly Reference[] {
  return [...Map.groupBy(destinations, (item) => item.registry).values()].flatMap((group) => group.slice(0, 1));
}
