// Who signs images: a key, read before anything of an image is on the disk, and the signatures that it makes.
import { type KeyObject, createPublicKey } from 'node:crypto';
import { BuilderError, RegistryError, inWords, orElse } from '../errors.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import { type Reference, formatCommonName, formatRepository } from '../oci/reference.ts';
import { readSmallFileSync } from '../small-file.ts';
import type { AttachmentRules } from './attachment-rules.ts';
import { type SignatureWriter, addSignatures } from './attachments.ts';
import { readPrivateKey } from './key-file.ts';
import { formatPayload, isSignedBy, signPayload, signatureAnnotation } from './signature.ts';

/** Where a key or its passphrase is; a variable's value stands in place of the file's content. */
export type KeySource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'value'; readonly name: string; readonly value: string };

export interface SigningRequest {
  readonly key: KeySource;
  readonly passphrase: KeySource;
  /** What the image is called in the signature, whatever its name is. */
  readonly identity?: Reference;
}

export interface Signer {
  /** Signs images that are in the repository of `names`, each by each name. @throws as a push */
  readonly sign: (registry: SignatureWriter, names: readonly Reference[], digests: readonly Digest[], signal: AbortSignal) => Promise<void>;
}

const keyLimitBytes = 64 * 1024;

/** @throws ERR_USAGE for a key that can't be read */
export function openSigner({ key: source, passphrase, identity }: SigningRequest, { switchedOffBy }: AttachmentRules): Signer {
  const [text, firstLine] = [readSource(source, 'the key'), readPassphrase(passphrase)];
  const key = readPrivateKey(text.toString('utf8'), firstLine, source.kind === 'file' ? source.path : source.name);
  const publicKey = createPublicKey(key);
  return {
    sign: async (registry, names, digests, signal) => {
      const [first] = names;
      if (first === undefined) return;
      for (const name of names) {
        const file = switchedOffBy(name);
        if (file !== undefined)
          throw new BuilderError('ERR_UNSUPPORTED', `Cannot sign ${formatCommonName(name)}: ${file} switches sigstore attachments off`);
      }
      const identities = new Set((identity === undefined ? names : [identity]).map(formatCommonName));
      for (const digest of new Set(digests)) {
        const payloads = [...identities].map((name) => formatPayload({ identity: name, digest }));
        await namingImage(`${formatRepository(first)}@${digest}`, async () => {
          await addSignatures(registry, first, digest, (found) => missingOf(payloads, found, { key, publicKey }), signal);
        });
      }
    },
  };
}

/** Only the first line, as gpg and skopeo have it. @throws ERR_USAGE */
export function readPassphrase(source: KeySource): Buffer {
  const bytes = readSource(source, 'the passphrase');
  const end = source.kind === 'file' ? bytes.indexOf('\n') : -1;
  return end === -1 ? bytes : bytes.subarray(0, end);
}

function readSource(source: KeySource, what: string): Buffer {
  if (source.kind === 'value') return Buffer.from(source.value);
  return orElse(() => readSmallFileSync(source.path, keyLimitBytes), inWords('ERR_USAGE', `Cannot read ${what} ${source.path}`));
}

/** Signing again what the key has signed already would only make more of the same. */
function missingOf(
  payloads: readonly Buffer[],
  found: Parameters<Parameters<typeof addSignatures>[3]>[0],
  { key, publicKey }: { readonly key: KeyObject; readonly publicKey: KeyObject },
): readonly { readonly payload: Buffer; readonly signature: string }[] {
  const isThere = (payload: Buffer): boolean =>
    found.some(
      ({ digest, annotations }) =>
        digest === digestOf(payload) && isSignedBy(payload, annotations?.get(signatureAnnotation) ?? '', publicKey),
    );
  return payloads.filter((payload) => !isThere(payload)).map((payload) => ({ payload, signature: signPayload(payload, key) }));
}

/** A failure of the registry, as one of signing. */
async function namingImage(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof BuilderError) || error.code === 'ERR_ABORTED') throw error;
    const message = `Cannot sign ${name}, which was pushed: ${error.message}`;
    if (!(error instanceof RegistryError)) throw new BuilderError(error.code, message, { cause: error.cause, hint: error.hint });
    const { method, url, status, errors, code, hint } = error;
    throw new RegistryError(
      message,
      { method, url, status, errors },
      { cause: error.cause, hint, code: code === 'ERR_AUTH' ? code : undefined },
    );
  }
}
