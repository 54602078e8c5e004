// podman's and skopeo's policy.json: from where images may be taken, and by whom they have to be signed. containers-policy.json(5)
import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { BuilderError, ifCode, inWords, messageOf, orElse } from '../errors.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { type Json, parseJson } from '../oci/json.ts';
import { type Reference, parseReference } from '../oci/reference.ts';
import type { AttachmentRules } from './attachment-rules.ts';
import { type FoundSignature, type SignatureReader, readSignatures } from './attachments.ts';
import { type ReadKeyFile, type Requirement, type SignedRequirement, readRequirement, refusalOf } from './requirement.ts';
import { scopesOfReference } from './scopes.ts';

/** What is to be taken; a place of `transports/` is one. */
export interface PolicySubject {
  readonly name: string;
  readonly transport: { readonly name: string };
  readonly reference?: Reference;
  readonly path?: string;
  readonly imageName?: string;
}

export interface Policy {
  /** Before anything is asked for. @throws ERR_UNSUPPORTED for what is rejected, and for what would have to be verified and can't be */
  readonly check: (subject: PolicySubject) => void;
  /**
   * Looks for the signatures that are asked for. Each of `images` has to have one about one of its digests: its own, or that of an index
   * that names it. @throws ERR_UNSUPPORTED where one has none; and what the registry says
   */
  readonly verify: (
    subject: PolicySubject,
    images: readonly (readonly Digest[])[],
    registry: SignatureReader,
    signal: AbortSignal,
  ) => Promise<void>;
}

/** Where nobody wrote one. */
export const anythingGoes: Policy = { check: () => undefined, verify: async () => undefined };

/** The requirements of each scope; '' is a whole transport, or all of them. */
type Scopes = ReadonlyMap<string, readonly Requirement[]>;

export interface PolicyFile {
  readonly text: string;
  readonly path: string;
}

/** @throws ERR_USAGE for a file that is no policy: half of one is none */
export function readPolicy(
  file: PolicyFile,
  { rules, readKey }: { readonly rules: AttachmentRules; readonly readKey: ReadKeyFile },
): Policy {
  const { path, text } = file;
  const fail = (why: string): BuilderError => new BuilderError('ERR_USAGE', `Cannot use ${path}: ${why}`);
  const objectOf = (value: Json | undefined, what: string): ReadonlyMap<string, Json> => {
    if (value instanceof Map) return value;
    throw fail(`${what} is no object`);
  };
  const requirements = (value: Json | undefined, what: string): readonly Requirement[] => {
    if (!Array.isArray(value) || value.length === 0) throw fail(`${what} is no list of requirements`);
    const one = `a requirement of ${what}`;
    return value.map((item: Json) => readRequirement(objectOf(item, one), readKey, (why) => fail(`${one} ${why}`)));
  };
  const root = objectOf(
    orElse(() => parseJson(text), inWords('ERR_USAGE', `Cannot use ${path}`)),
    'it',
  );
  for (const key of root.keys()) if (key !== 'default' && key !== 'transports') throw fail(`${key} is unknown`);
  const usual = requirements(root.get('default'), 'default');
  const transports = new Map<string, Scopes>(
    [...objectOf(root.get('transports') ?? new Map(), 'transports')].map(([name, scopes]) => [
      name,
      new Map([...objectOf(scopes, name)].map(([scope, value]) => [scope, requirements(value, `${name} ${JSON.stringify(scope)}`)])),
    ]),
  );
  const askedOf = (subject: PolicySubject): Asked => {
    const { name } = subject.transport;
    const scopes = transports.get(name);
    const scope = [...scopesOf(subject), ''].find((each) => scopes?.has(each) === true);
    const where = scope === undefined ? 'its default' : `${name} ${JSON.stringify(scope)}`;
    return { requirements: (scope === undefined ? undefined : scopes?.get(scope)) ?? usual, file: path, where };
  };
  return {
    check: (subject) => check(subject, askedOf(subject)),
    verify: async (subject, images, registry, signal) => await verify(subject, askedOf(subject), { images, registry, rules }, signal),
  };
}

/** What a policy asks of an image, and where it says so. */
interface Asked {
  readonly requirements: readonly Requirement[];
  readonly file: string;
  readonly where: string;
}

function check({ name, reference }: PolicySubject, { requirements, file, where }: Asked): void {
  for (const requirement of requirements) {
    if (requirement.kind === 'reject') throw new BuilderError('ERR_UNSUPPORTED', `Cannot take ${name}: ${file} rejects it (${where})`);
    const isElsewhere = requirement.kind === 'signed' && reference === undefined;
    const what = requirement.kind === 'other' ? requirement.what : 'sigstoreSigned';
    if (requirement.kind !== 'other' && !isElsewhere) continue;
    const why = isElsewhere ? 'signatures are read in registries alone' : 'none can be verified here';
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot take ${name}: ${file} asks for a signature (${what}), and ${why} (${where})`, {
      hint: 'verify it by skopeo or cosign first, and have the policy accept where you keep it',
    });
  }
}

interface Evidence {
  readonly images: readonly (readonly Digest[])[];
  readonly registry: SignatureReader;
  readonly rules: AttachmentRules;
}

async function verify(
  { name, reference: asked }: PolicySubject,
  { requirements, file, where }: Asked,
  { images, registry, rules }: Evidence,
  signal: AbortSignal,
): Promise<void> {
  const signed = requirements.filter((requirement) => requirement.kind === 'signed');
  if (signed.length === 0 || asked === undefined) return;
  const off = rules.switchedOffBy(asked);
  const read = new Map<Digest, Promise<readonly FoundSignature[]>>();
  const signaturesOf = async (digest: Digest): Promise<readonly FoundSignature[]> =>
    await read.getOrInsertComputed(digest, async () => await readSignatures(registry, asked, digest, signal));
  /** Undefined where one will do. */
  const reasonFor = async (requirement: SignedRequirement, digests: readonly Digest[]): Promise<string | undefined> => {
    const reasons: string[] = [];
    for (const digest of off === undefined ? digests : []) {
      const found = await signaturesOf(digest);
      const why = found.length === 0 ? undefined : refusalOf(requirement, found, { digest, asked });
      if (found.length > 0 && why === undefined) return undefined;
      if (why !== undefined) reasons.push(why);
    }
    if (off !== undefined) return `${off} switches sigstore attachments off for it`;
    if (reasons.length === 0) return `there is none for ${digests.join(' or ')}`;
    return `what is there will not do: ${reasons.join('; ')}`;
  };
  for (const requirement of signed) {
    for (const digests of images) {
      const why = await reasonFor(requirement, digests).catch((error: unknown) => {
        if (!(error instanceof BuilderError) || signal.aborted) throw error;
        throw new BuilderError(error.code, `Cannot take ${name}: ${file} asks for a signature (${where}): ${messageOf(error)}`, {
          cause: error.cause,
          hint: error.hint,
        });
      });
      if (why !== undefined)
        throw new BuilderError(
          'ERR_UNSUPPORTED',
          `Cannot take ${name}: ${file} asks for a signature by ${requirement.by} (${where}), and ${why}`,
        );
    }
  }
}

/** From the narrowest to the widest. */
function* scopesOf({ transport, reference, path, imageName }: PolicySubject): Generator<string> {
  if (reference !== undefined) yield* scopesOfReference(reference);
  // An image of an engine by its id has the transport's own scope alone.
  if (transport.name === 'docker-daemon' && imageName !== undefined && !isDigest(imageName))
    yield* scopesOfReference(parseReference(imageName));
  // Nobody gets around a scope by a link.
  if (reference !== undefined || path === undefined || transport.name === 'docker-archive') return;
  const real = orElse(() => realpathSync(path), ifCode(['ENOENT'], resolve(path)));
  if (imageName !== undefined) yield `${real}:${imageName}`;
  for (let folder = real; folder !== '/'; folder = dirname(folder)) yield folder;
}
