// One requirement of a policy.json: what has to be true of an image. containers-policy.json(5), "Policy Requirements"
import type { KeyObject } from 'node:crypto';
import { BuilderError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Json, JsonObject } from '../oci/json.ts';
import type { Reference } from '../oci/reference.ts';
import type { FoundSignature } from './attachments.ts';
import { type AcceptsIdentity, isSameOrOfDigest, readIdentity } from './identity.ts';
import { isSignedBy, parsePayload, readPublicKey } from './signature.ts';

export type Requirement =
  | { readonly kind: 'anything' }
  | { readonly kind: 'reject' }
  /** What nobody can verify here, in words. */
  | { readonly kind: 'other'; readonly what: string }
  | SignedRequirement;

export interface SignedRequirement {
  readonly kind: 'signed';
  /** Whose signature, for people. */
  readonly by: string;
  /** @throws ERR_USAGE for a file that can't be read */
  readonly keys: () => readonly KeyObject[];
  readonly accepts: AcceptsIdentity;
}

/** What a file that a policy names holds. @throws ERR_USAGE */
export type ReadKeyFile = (path: string) => string;

const types = ['insecureAcceptAnything', 'reject', 'signedBy', 'signedBaseLayer', 'sigstoreSigned'];
const keyMembers = ['keyPath', 'keyPaths', 'keyData', 'keyDatas'] as const;
/** Of certificates and logs. */
const otherMembers = ['fulcio', 'pki', 'rekorPublicKeyPath', 'rekorPublicKeyPaths', 'rekorPublicKeyData', 'rekorPublicKeyDatas'];

/** Files with keys are read now; what is wrong with one is told where it is needed. @throws what `fail` makes of a reason */
export function readRequirement(item: JsonObject, read: ReadKeyFile, fail: (why: string) => Error): Requirement {
  const type = item.get('type');
  if (typeof type !== 'string' || !types.includes(type)) throw fail(`has the type ${JSON.stringify(type ?? null)}, which is unknown`);
  if (type.startsWith('signed')) return { kind: 'other', what: type };
  const known = ['type', ...(type === 'sigstoreSigned' ? ['signedIdentity', ...keyMembers, ...otherMembers] : [])];
  const unknown = [...item.keys()].find((name) => !known.includes(name));
  if (unknown !== undefined) throw fail(`has ${unknown}, which is unknown${type === 'sigstoreSigned' ? '' : ` for ${type}`}`);
  if (type === 'insecureAcceptAnything') return { kind: 'anything' };
  if (type === 'reject') return { kind: 'reject' };
  const identity = item.get('signedIdentity');
  if (identity !== undefined && !(identity instanceof Map)) throw fail('has a signedIdentity that is no object');
  const accepts = identity === undefined ? isSameOrOfDigest : readIdentity(identity, fail);
  const other = otherMembers.find((name) => item.has(name));
  if (other !== undefined) return { kind: 'other', what: `sigstoreSigned with ${other}` };
  const given = keyMembers.filter((name) => item.has(name));
  const [member] = given;
  if (member === undefined || given.length > 1) throw fail(`has ${given.length === 0 ? 'none' : 'several'} of ${keyMembers.join(', ')}`);
  const texts = textsOf(item.get(member), `has a ${member}`, fail);
  const by = member.startsWith('keyPath') ? texts.join(' or ') : `the key in its ${member}`;
  return { kind: 'signed', by, accepts, keys: keysOf(member, texts, read) };
}

function textsOf(value: Json | undefined, what: string, fail: (why: string) => Error): readonly string[] {
  const list = typeof value === 'string' ? [value] : Array.isArray(value) ? value : [];
  const texts = list.flatMap((each: Json) => (typeof each === 'string' && each !== '' ? [each] : []));
  if (texts.length === 0 || texts.length !== list.length) throw fail(`${what} that is no text`);
  return texts;
}

function keysOf(member: string, texts: readonly string[], read: ReadKeyFile): () => readonly KeyObject[] {
  const isPath = member.startsWith('keyPath');
  try {
    const pems = texts.map((text) => (isPath ? read(text) : Buffer.from(text, 'base64').toString('utf8')));
    const keys = pems.map((pem, position) => readPublicKey(pem, isPath ? (texts[position] ?? '') : `in ${member}`));
    return () => keys;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** An image that has a hundred names may have a hundred signatures. */
const shownReasons = 5;

/** Why none of the signatures will do; undefined where one does. */
export function refusalOf(
  { keys, accepts }: SignedRequirement,
  signatures: readonly FoundSignature[],
  { digest, asked }: { readonly digest: Digest; readonly asked: Reference },
): string | undefined {
  const known = keys();
  const reasons = new Set<string>();
  for (const { payload, signature } of signatures) {
    if (signature === undefined || !known.some((key) => isSignedBy(payload, signature, key))) {
      reasons.add('it was not made by this key');
      continue;
    }
    const claim = claimOf(payload);
    if (typeof claim === 'string') reasons.add(claim);
    else if (claim.digest !== digest) reasons.add(`it is about ${claim.digest}`);
    else if (!accepts(claim.identity, asked)) reasons.add(`it is for ${JSON.stringify(claim.identity)}`);
    else return undefined;
  }
  const more = reasons.size - shownReasons;
  return [...[...reasons].slice(0, shownReasons), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

/** A reason where it can't be read. */
function claimOf(payload: Buffer): ReturnType<typeof parsePayload> | string {
  try {
    return parsePayload(payload);
  } catch (error) {
    if (error instanceof BuilderError) return error.message.replace('Cannot read the payload', 'its payload can not be read');
    throw error;
  }
}
