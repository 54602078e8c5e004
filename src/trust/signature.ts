// What is signed, and by which keys: the payload of simple signing as cosign has it. github.com/sigstore/cosign, specs/SIGNATURE_SPEC.md;
// containers-signature(5)
import { type KeyObject, createPublicKey, sign, verify } from 'node:crypto';
import { BuilderError } from '../errors.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { type Json, formatJson, jsonObject, parseJson } from '../oci/json.ts';

/** A layer of a manifest of signatures: its content is the payload. */
export const signatureType = 'application/vnd.dev.cosign.simplesigning.v1+json';
/** The annotation of such a layer with the signature itself, in base64. */
export const signatureAnnotation = 'dev.cosignproject.cosign/signature';

const payloadType = 'cosign container image signature';

/** What a signature says. */
export interface SignedClaim {
  /** As which image. */
  readonly identity: string;
  /** Of the manifest. */
  readonly digest: Digest;
}

/** As cosign writes it, so that the same image by the same name has the same payload. */
export function formatPayload({ identity, digest }: SignedClaim): Buffer {
  const critical = jsonObject({
    identity: jsonObject({ 'docker-reference': identity }),
    image: jsonObject({ 'docker-manifest-digest': digest }),
    type: payloadType,
  });
  return Buffer.from(formatJson(jsonObject({ critical, optional: null })));
}

/** As strict as skopeo: every member has to be known. @throws ERR_LAYER */
export function parsePayload(bytes: Buffer): SignedClaim {
  const fail = (why: string): BuilderError => new BuilderError('ERR_LAYER', `Cannot read the payload: ${why}`);
  const exactly = (value: Json | undefined, names: readonly string[]): readonly (Json | undefined)[] => {
    if (!(value instanceof Map)) throw fail('it is no signature of an image');
    const other = [...value.keys()].find((name) => !names.includes(name));
    if (other !== undefined) throw fail(`it has the unknown member ${JSON.stringify(other)}`);
    return names.map((name) => value.get(name));
  };
  const [critical] = exactly(parseJson(bytes.toString('utf8'), 'the payload'), ['critical', 'optional']);
  const [type, image, identity] = exactly(critical, ['type', 'image', 'identity']);
  const [digest] = exactly(image, ['docker-manifest-digest']);
  const [name] = exactly(identity, ['docker-reference']);
  if (type !== payloadType) throw fail(`it has the type ${JSON.stringify(type ?? null)}`);
  if (typeof digest !== 'string' || !isDigest(digest) || typeof name !== 'string') throw fail('it names no digest or no image');
  return { identity: name, digest };
}

/** ECDSA (P-256, P-384 or P-521), RSA of 2048 bits or more, or Ed25519. */
export function isSignatureKey({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): boolean {
  if (type === 'ec') return ['prime256v1', 'secp384r1', 'secp521r1'].includes(details?.namedCurve ?? '');
  return type === 'ed25519' || (type === 'rsa' && (details?.modulusLength ?? 0) >= 2048);
}

/** @throws ERR_USAGE naming `place` for what is no public key in PEM */
export function readPublicKey(pem: string, place: string): KeyObject {
  const fail = (why: string): BuilderError => new BuilderError('ERR_USAGE', `Cannot use the key ${place}: ${why}`);
  if (!/-----BEGIN PUBLIC KEY-----/.test(pem)) throw fail('it holds no public key in PEM');
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw fail('it is damaged');
  }
  if (!isSignatureKey(key)) throw fail('it is no key of ECDSA, RSA or Ed25519');
  return key;
}

/** In base64; by SHA-256, but for Ed25519, which has a hash of its own. */
export function signPayload(payload: Buffer, key: KeyObject): string {
  return sign(hashFor(key), payload, key).toString('base64');
}

/** Whether the key has made the signature of the payload. */
export function isSignedBy(payload: Buffer, base64: string, key: KeyObject): boolean {
  return /^[A-Za-z0-9+/]+={0,2}$/.test(base64) && verify(hashFor(key), payload, key, Buffer.from(base64, 'base64'));
}

function hashFor({ asymmetricKeyType }: KeyObject): string | null {
  return asymmetricKeyType === 'ed25519' ? null : 'sha256';
}
