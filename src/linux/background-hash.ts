// SHA-2 on libuv's threads, while the caller works on the very bytes. It is the OpenSSL of Node, whose functions node(1) gives to
// add-ons; node:crypto hashes a stream on the thread that asks, and the digest of an image's plain bytes is a tenth of unpacking it.
import { load } from 'koffi';
import { BuilderError } from '../errors.ts';

type Pointer = object | null;
type Done = (error: Error | null | undefined, result: number) => void;

const node = load(null);
const createContext: () => Pointer = node.func('EVP_MD_CTX_new', 'void *', []);
const findDigest: (name: string) => Pointer = node.func('EVP_get_digestbyname', 'void *', ['str']);
const begin: (context: Pointer, digest: Pointer, engine: null) => number = node.func('EVP_DigestInit_ex', 'int', [
  'void *',
  'void *',
  'void *',
]);
const update: {
  (context: Pointer, bytes: Uint8Array, size: number): number;
  readonly async: (context: Pointer, bytes: Uint8Array, size: number, done: Done) => void;
} = node.func('EVP_DigestUpdate', 'int', ['void *', 'void *', 'size_t']);
const finish: (context: Pointer, digest: Buffer, size: Buffer) => number = node.func('EVP_DigestFinal_ex', 'int', [
  'void *',
  'void *',
  'void *',
]);
const free: (context: Pointer) => void = node.func('EVP_MD_CTX_free', 'void', ['void *']);

/** Less is hashed at once: to wake a thread takes as long. */
const fewBytes = 64 * 1024;
const longestDigest = 64; // EVP_MAX_MD_SIZE

/** A growing hash, which has to be disposed of when nothing is under way. */
export class BackgroundHash implements Disposable {
  readonly #context = createContext();

  /** `algorithm` as OCI's digests name it. */
  constructor(algorithm: 'sha256' | 'sha512') {
    check(begin(this.#context, findDigest(algorithm), null));
  }

  /** Takes in the next bytes, which must stay as they are until this has ended; nothing else may be asked for before. */
  async update(bytes: Uint8Array): Promise<void> {
    if (bytes.length < fewBytes) return check(update(this.#context, bytes, bytes.length));
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    update.async(this.#context, bytes, bytes.length, (error, result) => {
      if (error === null || error === undefined) resolve(result);
      else reject(error);
    });
    check(await promise);
  }

  /** In hex; may be asked for once. */
  digest(): string {
    const digest = Buffer.alloc(longestDigest);
    const size = Buffer.alloc(4);
    check(finish(this.#context, digest, size));
    return digest.toString('hex', 0, size.readUInt32LE());
  }

  [Symbol.dispose](): void {
    free(this.#context);
  }
}

function check(result: number): void {
  if (result !== 1) throw new BuilderError('ERR_INTERNAL', 'Cannot hash: OpenSSL refuses');
}
