// Layers leave for the registry as soon as they are written, large ones while they are, and later steps run meanwhile. It is a head start and no more: what
// fails here is sent again with the image, and only then is it an error. No tag points to what an unfinished build sent.
import { BuilderError, messageOf } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { GrowingLayer, Layer } from '../oci/image.ts';
import type { Reference } from '../oci/reference.ts';
import type { RegistryClient } from '../registry/client.ts';

/** Disposing it stops what is still under way, and waits until nothing reads a layer any more. */
export interface EarlyPush extends AsyncDisposable {
  /** Says whether the layers that come now are the image's; those of a stage that is only copied from stay here. */
  readonly startStage: (isOfImage: boolean) => void;
  /** Starts to send the layer. Never fails. */
  readonly send: (layer: Layer) => void;
  /** Starts to send a layer that is still being written. Never fails; `send` has nothing left to do then. */
  readonly sendGrowing: (growing: GrowingLayer) => void;
}

export interface EarlyPushOptions {
  readonly registry: Pick<RegistryClient, 'pushLayer' | 'pushGrowing'>;
  /** None: nothing is sent. */
  readonly destinations: readonly Reference[];
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** An earlyPush for one build. */
export function openEarlyPush({ registry, destinations, emit, signal }: EarlyPushOptions): EarlyPush {
  const controller = new AbortController();
  const inner = AbortSignal.any([signal, controller.signal]);
  let isOpen = false;
  const underWay = new Set<Promise<void>>();
  const sendOne = async (name: string, push: () => Promise<void>): Promise<void> => {
    try {
      await push();
    } catch (error) {
      if (inner.aborted) return;
      const reason = messageOf(error);
      emit({ kind: 'note', level: 'debug', message: `${name} could not be sent early: ${reason}` });
    }
  };
  const start = (name: string, push: () => Promise<void>): void => {
    if (!isOpen || inner.aborted) return;
    const sending = sendOne(name, push).finally(() => underWay.delete(sending));
    underWay.add(sending);
  };
  return {
    startStage: (isOfImage) => {
      isOpen = isOfImage && destinations.length > 0;
    },
    send: (layer) => start(layer.descriptor.digest, async () => await registry.pushLayer(layer, destinations, inner)),
    sendGrowing: (growing) => start('a growing layer', async () => await registry.pushGrowing(growing, destinations, inner)),
    [Symbol.asyncDispose]: async () => {
      controller.abort(new BuilderError('ERR_ABORTED', 'the build is over'));
      await Promise.all(underWay);
    },
  };
}
