// A blob from a registry as one verified stream: it survives broken connections, and ends only if every byte is right.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { BuilderError, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { splitDigest } from '../oci/digest.ts';
import type { Repository } from './repository.ts';
import { type Response, header } from './response.ts';
import { Patience, TransientError, progressBytes } from './retry.ts';

export interface BlobOptions {
  /** Gets the number of bytes that passed so far. */
  readonly onBytes: (doneBytes: number) => void;
  /** Where else the blob is, once its repository has failed: what has passed stays good there. */
  readonly next?: (failure: RegistryError, signal: AbortSignal) => Promise<Repository | undefined>;
}

/** The blob's bytes. Fails with ERR_DIGEST_MISMATCH when size or digest are not the descriptor's, before its end. */
export function openBlob(
  open: (signal: AbortSignal) => Promise<Repository>,
  descriptor: Descriptor,
  options: BlobOptions,
  signal: AbortSignal,
): Readable {
  return Readable.from(readBlob(open, descriptor, options, signal), { objectMode: false, highWaterMark: 256 * 1024 });
}

async function* readBlob(
  open: (signal: AbortSignal) => Promise<Repository>,
  descriptor: Descriptor,
  { onBytes, next }: BlobOptions,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const { algorithm, hex } = splitDigest(descriptor.digest);
  const hash = createHash(algorithm);
  let repository = await open(signal);
  const patienceWith = ({ retry, name }: Repository): Patience => new Patience(retry, `pull blob ${descriptor.digest} from ${name}`);
  let patience = patienceWith(repository);
  let done = 0;
  let doneAtFailure = 0;
  let endedAt = -1;
  let isRanged = true;
  for (;;) {
    try {
      const response = await repository.blob(descriptor, isRanged ? done : 0, signal);
      if (isRanged && done > 0 && !isRangeFrom(response, done, descriptor)) {
        // What has passed stays good: it is read over the next time.
        isRanged = false;
        response.body.destroy();
        continue;
      }
      for await (const chunk of bodyFrom(response, done, descriptor)) {
        if (done + chunk.length > descriptor.size) throw mismatch(repository, descriptor, `it is longer than ${descriptor.size} bytes`);
        hash.update(chunk);
        done += chunk.length;
        onBytes(done);
        yield chunk;
      }
      if (done === descriptor.size) break;
      const state = `it ended after ${done} of ${descriptor.size} bytes`;
      if (done === endedAt) throw mismatch(repository, descriptor, state);
      endedAt = done;
      // Ended in good order, but too soon: a proxy may have closed early, so the first time it counts as a broken line.
      throw new TransientError(`Cannot pull blob ${descriptor.digest} from ${repository.name}: ${state}`, {
        method: 'GET',
        url: repository.name,
      });
    } catch (error) {
      signal.throwIfAborted();
      if (done - doneAtFailure >= progressBytes) patience.renew();
      doneAtFailure = done;
      try {
        await patience.wait(error, signal);
      } catch (final) {
        signal.throwIfAborted();
        const other = final instanceof RegistryError ? await next?.(final, signal) : undefined;
        if (other === undefined) throw final;
        repository = other;
        isRanged = true;
        patience = patienceWith(repository);
      }
    }
  }
  if (hash.digest('hex') !== hex) throw mismatch(repository, descriptor, 'its bytes have another digest');
}

/** True for the range that was asked for, or the whole blob; false for another range or none. */
function isRangeFrom(response: Response, offset: number, { size }: Descriptor): boolean {
  if (response.status === 200) return true;
  const range = response.status === 206 ? /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(header(response, 'content-range') ?? '') : null;
  return range !== null && Number(range[1]) === offset && (range[2] === '*' || Number(range[2]) === size);
}

/** The answer's bytes from `offset` on, where it begins there or is the whole blob. */
async function* bodyFrom(response: Response, offset: number, descriptor: Descriptor): AsyncGenerator<Buffer, void, undefined> {
  let skip = 0;
  if (response.status !== 206) {
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
  for await (const chunk of response.body) {
    const bytes: unknown = chunk;
    if (!Buffer.isBuffer(bytes)) throw new BuilderError('ERR_INTERNAL', 'Cannot read a blob: the stream is not of bytes');
    if (skip >= bytes.length) skip -= bytes.length;
    else {
      yield bytes.subarray(skip);
      skip = 0;
    }
  }
}

function mismatch(repository: Repository, descriptor: Descriptor, why: string): BuilderError {
  return new BuilderError('ERR_DIGEST_MISMATCH', `Cannot use blob ${descriptor.digest} of ${repository.name}: ${why}`);
}
