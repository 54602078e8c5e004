// May we push there? Asked while the bases are described, known before anything is built.
import { BuilderError } from '../errors.ts';
import { formatRepository } from '../oci/reference.ts';
import type { BuildPorts } from './ports.ts';
import type { BuildRequest } from './request.ts';

/** distribution-spec, Pulling manifests: of host and repository together. */
const longestName = 255;

/** One question for each repository. Disposing it stops what is still under way. */
export interface PushCheck extends AsyncDisposable {
  /** Begins to ask; the first call counts. */
  readonly begin: () => void;
  /** @throws RegistryError when we may not push to one of them: the first, in the order of the request */
  readonly done: () => Promise<void>;
}

/** The check that `output` wants, if any. */
export function openPushCheck({ output }: BuildRequest, { registry, emit, signal }: BuildPorts): PushCheck {
  const controller = new AbortController();
  const inner = AbortSignal.any([signal, controller.signal]);
  const isWanted = !output.noPush && !output.skipPushPermissionCheck;
  const places = new Map(isWanted ? output.destinations.map((reference) => [formatRepository(reference), reference]) : []);
  let answers: Promise<readonly PromiseSettledResult<void>[]> | undefined;
  const begin = (): void => {
    if (answers !== undefined || places.size === 0) return;
    emit({ kind: 'phase', phase: 'checking', detail: 'the right to push' });
    for (const name of [...places.keys()].filter(({ length }) => length > longestName)) {
      const message = `${name} has ${name.length} letters: many registries and clients take ${longestName}`;
      emit({ kind: 'warning', code: `long-name ${name}`, message });
    }
    answers = Promise.allSettled([...places.values()].map(async (reference) => await registry.checkPush(reference, inner)));
  };
  return {
    begin,
    done: async () => {
      begin();
      const refusal = (await answers)?.find((answer) => answer.status === 'rejected');
      if (refusal !== undefined) throw refusal.reason;
    },
    [Symbol.asyncDispose]: async () => {
      controller.abort(new BuilderError('ERR_ABORTED', 'nothing will be pushed'));
      await answers;
    },
  };
}
