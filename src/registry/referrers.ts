// Manifests about other manifests: distribution-spec, Listing Referrers and Pushing Manifests with Subject; where a registry knows
// nothing of them, by a tag that is made of the subject's digest.
import { BuilderError, RegistryError } from '../errors.ts';
import { type Descriptor, formatDescriptor } from '../oci/descriptor.ts';
import { type Digest, digestOf, splitDigest } from '../oci/digest.ts';
import { encodeManifest } from '../oci/docker-manifest.ts';
import { indexObject } from '../oci/image-index.ts';
import { formatJson } from '../oci/json.ts';
import { type StoredManifest, parseManifest } from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import { describeReferrer } from '../oci/referrer.ts';
import { isImmutableTag } from './immutable-tag.ts';
import type { Repository } from './repository.ts';
import { changed } from './response.ts';
import { eachPage } from './tags.ts';

/** distribution-spec end-12a; each referrer once. @throws RegistryError, ERR_LAYER for a list that is none */
export async function listReferrers(repository: Repository, subject: Digest, signal: AbortSignal): Promise<readonly Descriptor[]> {
  const listed = await askReferrers(repository, subject, signal);
  if (listed !== undefined) return listed;
  const index = await repository.manifest(tagFor(subject), signal);
  return index === undefined ? [] : entriesOf(index);
}

/** Pushes a manifest that has a subject, so that it is found by it. What it names must be there. @throws RegistryError */
export async function putReferrer(repository: Repository, manifest: StoredManifest, signal: AbortSignal): Promise<void> {
  const { subject } = parseManifest(manifest.bytes, manifest.mediaType);
  if (subject === undefined) throw new BuilderError('ERR_INTERNAL', `Cannot push referrer ${manifest.digest}: it has no subject`);
  await repository.putManifest(manifest.digest, manifest, signal);
  // The registry lists it by itself where it knows referrers at all.
  if ((await askReferrers(repository, subject.digest, signal)) !== undefined) return;
  const tag = tagFor(subject.digest);
  const known = await repository.manifest(tag, signal);
  const entries = known === undefined ? [] : entriesOf(known);
  if (entries.some(({ digest }) => digest === manifest.digest)) return;
  const index = encodeManifest(indexObject([...entries, describeReferrer(manifest)].map(formatDescriptor)), MediaType.ociIndex);
  try {
    await repository.putManifest(tag, index, signal);
  } catch (error) {
    if (!(error instanceof RegistryError) || !isImmutableTag(error)) throw error;
    const hint = `this registry keeps no list of referrers, so the tag ${tag} is that list: tags sha256-* must be exempt from immutability`;
    throw changed(error, { hint });
  }
}

/** Undefined where the registry has no such list. */
async function askReferrers(repository: Repository, subject: Digest, signal: AbortSignal): Promise<readonly Descriptor[] | undefined> {
  const found = new Map<Digest, Descriptor>();
  const task = `list the referrers of ${subject} in ${repository.name}`;
  const wish = { task, accept: MediaType.ociIndex, missing: [400, 404, 405] };
  const how = await eachPage(repository, `referrers/${subject}`, wish, signal, (root) => {
    const bytes = Buffer.from(formatJson(root), 'utf8');
    for (const entry of entriesOf({ bytes, mediaType: MediaType.ociIndex, digest: digestOf(bytes) })) found.set(entry.digest, entry);
  });
  return how === 'missing' ? undefined : [...found.values()];
}

/** distribution-spec, Referrers Tag Schema. */
function tagFor(subject: Digest): string {
  const { algorithm, hex } = splitDigest(subject);
  return `${algorithm}-${hex}`.slice(0, 128);
}

function entriesOf({ bytes, mediaType }: StoredManifest): readonly Descriptor[] {
  const view = parseManifest(bytes, mediaType);
  return view.kind === 'index' ? view.manifests : [];
}
