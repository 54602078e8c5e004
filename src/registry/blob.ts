// A blob from a registry as one verified stream: it survives broken connections, and ends only if every byte is right.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { BuilderError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { splitDigest } from '../oci/digest.ts';
import type { Repository } from './repository.ts';
import { type Response, header } from './response.ts';
import { TransientError } from './retry.ts';
import { networkError } from './wire.ts';

/** This much progress between two failures makes them count anew; less is a line that leads nowhere. */
const progressBytes = 1024 * 1024;

/**
 * The blob's bytes. Fails with ERR_DIGEST_MISMATCH when size or digest are not the descriptor's, before its end.
 * `onBytes` gets the number of bytes that passed so far; `instead` may give another source where none has passed yet.
 */
export function openBlob(
  repository: Repository,
  descriptor: Descriptor,
  onBytes: (doneBytes: number) => void,
  signal: AbortSignal,
  instead?: (error: unknown) => Readable | undefined,
): Readable {
  const content =
    instead === undefined
      ? readBlob(repository, descriptor, onBytes, signal)
      : readElsewhere(repository, descriptor, onBytes, signal, instead);
  return Readable.from(content, { objectMode: false, highWaterMark: 256 * 1024 });
}

async function* readElsewhere(
  repository: Repository,
  descriptor: Descriptor,
  onBytes: (doneBytes: number) => void,
  signal: AbortSignal,
  instead: (error: unknown) => Readable | undefined,
): AsyncGenerator<unknown, void, undefined> {
  let hasBegun = false;
  try {
    for await (const chunk of readBlob(repository, descriptor, onBytes, signal)) {
      hasBegun = true;
      yield chunk;
    }
  } catch (error) {
    const other = hasBegun ? undefined : instead(error);
    if (other === undefined) throw error;
    yield* other;
  }
}

async function* readBlob(
  repository: Repository,
  descriptor: Descriptor,
  onBytes: (doneBytes: number) => void,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const { algorithm, hex } = splitDigest(descriptor.digest);
  const hash = createHash(algorithm);
  const { policy, clock } = repository.retry;
  let done = 0;
  let failures = 0;
  let doneAtFailure = 0;
  for (;;) {
    try {
      const response = await repository.blob(descriptor.digest, done, signal);
      for await (const chunk of bodyFrom(response, done, descriptor)) {
        if (done + chunk.length > descriptor.size) throw mismatch(repository, descriptor, `it is longer than ${descriptor.size} bytes`);
        hash.update(chunk);
        done += chunk.length;
        onBytes(done);
        yield chunk;
      }
      if (done === descriptor.size) break;
      // Ended in good order, but too soon: a proxy may have closed early, so it counts as a broken line.
      throw new TransientError(`Cannot pull blob ${descriptor.digest}: it ended after ${done} of ${descriptor.size} bytes`, {
        method: 'GET',
        url: repository.name,
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TransientError)) throw error;
      failures = done - doneAtFailure >= progressBytes ? 1 : failures + 1;
      doneAtFailure = done;
      if (failures >= policy.tries) throw error;
      const backoffMs = Math.min(policy.firstDelayMs * 2 ** (failures - 1), policy.longestDelayMs) * (0.8 + 0.4 * clock.random());
      await clock.sleep(Math.max(backoffMs, Math.min(error.retryAfterMs ?? 0, policy.longestRetryAfterMs)), signal);
    }
  }
  if (hash.digest('hex') !== hex) throw mismatch(repository, descriptor, 'its bytes have another digest');
}

/** The answer's bytes from `offset` on, whether or not the server honoured the range. */
async function* bodyFrom(response: Response, offset: number, descriptor: Descriptor): AsyncGenerator<Buffer, void, undefined> {
  let skip = 0;
  if (response.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(header(response, 'content-range') ?? '');
    if (range === null || Number(range[1]) !== offset || (range[2] !== '*' && Number(range[2]) !== descriptor.size)) {
      response.body.destroy();
      throw new BuilderError(
        'ERR_REGISTRY',
        `Cannot pull blob ${descriptor.digest}: the registry answered with another range than asked for`,
      );
    }
  } else if (response.status === 416) {
    response.body.destroy();
    throw new BuilderError(
      'ERR_DIGEST_MISMATCH',
      `Cannot pull blob ${descriptor.digest}: the registry has fewer than ${descriptor.size} bytes of it`,
    );
  } else {
    const length = header(response, 'content-length');
    if (length !== undefined && Number(length) !== descriptor.size) {
      response.body.destroy();
      throw new BuilderError(
        'ERR_DIGEST_MISMATCH',
        `Cannot pull blob ${descriptor.digest}: the registry has ${length} bytes, not ${descriptor.size}`,
      );
    }
    skip = offset;
  }
  try {
    for await (const chunk of response.body) {
      const bytes: unknown = chunk;
      if (!Buffer.isBuffer(bytes)) throw new BuilderError('ERR_INTERNAL', 'Cannot read a blob: the stream is not of bytes');
      if (skip >= bytes.length) skip -= bytes.length;
      else {
        yield bytes.subarray(skip);
        skip = 0;
      }
    }
  } catch (error) {
    throw networkError(error, response);
  }
}

function mismatch(repository: Repository, descriptor: Descriptor, why: string): BuilderError {
  return new BuilderError('ERR_DIGEST_MISMATCH', `Cannot use blob ${descriptor.digest} of ${repository.name}: ${why}`);
}
