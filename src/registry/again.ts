// A line or a cache spoils bytes now and then: what arrives with another digest is fetched once more before that counts.
import { BuilderError } from '../errors.ts';

/**
 * What `read` gives; it is called once more where the first time failed with ERR_DIGEST_MISMATCH.
 * @throws what `read` throws the second time, or at once for other reasons
 */
export async function readAgainOnMismatch<Value>(read: () => Promise<Value>, signal: AbortSignal): Promise<Value> {
  try {
    return await read();
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof BuilderError) || error.code !== 'ERR_DIGEST_MISMATCH') throw error;
    return await read();
  }
}
