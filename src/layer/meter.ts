// Counting and hashing of what passes by. Nobody gets to the end of a stream that isn't what its digest and size say.
import { type Hash, createHash } from 'node:crypto';
import { BuilderError } from '../errors.ts';
import { BackgroundHash } from '../linux/background-hash.ts';
import { type Digest, splitDigest } from '../oci/digest.ts';

/** A growing sha256 and length. */
export class Meter {
  readonly #hash: Hash = createHash('sha256');
  #size = 0;

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  /** Takes in the next bytes. */
  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#size += chunk.length;
  }

  /** Ends the metering; may be called once. */
  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}

/** What a stream must turn out to be; without `size` only the digest counts. */
export interface Expectation {
  readonly digest: Digest;
  readonly size?: number;
  /** For the message: "Cannot use <subject>: …". */
  readonly subject: string;
}

/**
 * Passes the chunks on as they are, and hashes them meanwhile: each must stay as it is until the next is asked for.
 * @throws ERR_DIGEST_MISMATCH instead of ending when digest or size are wrong, at the first byte too many already
 */
export async function* verify(source: AsyncIterable<Buffer>, expected: Expectation): AsyncGenerator<Buffer> {
  const { algorithm, hex } = splitDigest(expected.digest);
  using hash = new BackgroundHash(algorithm);
  let hashing: Promise<void> | undefined;
  let size = 0;
  try {
    for await (const chunk of source) {
      size += chunk.length;
      if (expected.size !== undefined && size > expected.size) throw mismatch(expected, `it has more than ${expected.size} bytes`);
      hashing = hash.update(chunk);
      yield chunk;
      await hashing;
    }
  } finally {
    await hashing;
  }
  if (expected.size !== undefined && size !== expected.size) throw mismatch(expected, `it has ${size} of ${expected.size} bytes`);
  const found = hash.digest();
  if (found !== hex) throw mismatch(expected, `its digest is ${algorithm}:${found}, not ${expected.digest}`);
}

function mismatch(expected: Expectation, state: string): BuilderError {
  return new BuilderError('ERR_DIGEST_MISMATCH', `Cannot use ${expected.subject}: ${state}`);
}
