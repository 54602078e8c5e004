// An image from one place to another, with what the other place expects changed and nothing else.
import { BuilderError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import type { BlobStore } from '../layer/store.ts';
import { copyImage } from '../oci/copy-image.ts';
import type { Digest } from '../oci/digest.ts';
import { type StoredManifest, parseManifest } from '../oci/manifest.ts';
import type { Compression, MediaFamily } from '../oci/media-type.ts';
import type { Reference } from '../oci/reference.ts';
import type { ImageSink, ImageSource } from '../oci/source-and-sink.ts';
import { type Changes, convertedSource } from './convert.ts';
import { copyReferrers, refuseReferrers } from './referrers.ts';
import { type Selection, selectedSource } from './select.ts';
import type { Means, Place, Signature } from './transport.ts';
import { anotherTag } from './transports.ts';

export interface CopyOptions {
  readonly selection: Selection;
  /** The manifest's format; else it stays, where the place can have it. */
  readonly family?: MediaFamily;
  /** Of all layers; else they stay, where the place can have them. */
  readonly compression?: Compression;
  readonly level?: number;
  /** No copy where a digest would change. */
  readonly preservesDigests?: boolean;
  /** Besides the name of the place. */
  readonly moreNames?: readonly string[];
  /** Signatures, bills of materials and others go along. */
  readonly withReferrers?: boolean;
  /** Signatures that lie beside an image (`dir:`) are left out; else they go along, or there is no copy. */
  readonly removesSignatures?: boolean;
}

/** Each side by its own rules: credentials and certificates. */
export interface CopyMeans {
  readonly from: Means;
  readonly to: Means;
  /** For layers that are compressed anew. */
  readonly store: BlobStore;
  readonly emit: Emit;
}

export interface CopiedImage {
  readonly digest: Digest;
  /** What the name stands for now. */
  readonly manifest: StoredManifest;
  /** Of signatures and others that went along. */
  readonly referrers: number;
}

/**
 * Copies what a name stands for. What is at the other place already stays there, so that a copy which was interrupted goes on.
 * @throws ERR_UNSUPPORTED for what the place can't have, or a digest that can't stay; and what places throw
 */
export async function copyBetween(
  from: Place,
  to: Place,
  options: CopyOptions,
  means: CopyMeans,
  signal: AbortSignal,
): Promise<CopiedImage> {
  means.from.policy?.check(from);
  const { signer } = means.to;
  const signed = signer === undefined ? [] : signedNames(to, options);
  await using source = await from.openSource(means.from, signal);
  const selected = await selectedSource(source, options.selection, signal);
  await means.from.policy?.verify(from, vouchersFor(source, selected), means.from.registry, signal);
  const converted = await convertedSource(selected, changesFor(from, to, options, selected), means, signal);
  const isSame = standsInSource(source, selected) && converted.root.digest === selected.root.digest;
  if (!isSame) checkDigests(from, to, options, { selected, converted });
  const signatures = await signaturesFor(from, to, options, isSame);
  await using sink = await to.openSink(means.to, options.moreNames ?? [], signal);
  if (options.withReferrers === true) await refuseReferrers({ source: converted, sink, to }, signal);
  const copied: Digest[] = [];
  const digest = await copyImage(converted, noting(sink, copied), signal);
  const referrers = options.withReferrers === true ? await copyReferrers({ source: converted, sink, to }, copied, signal) : 0;
  await sink.finish();
  for (const { name, bytes } of signatures) await to.addSignature?.(name, bytes);
  await signer?.sign(means.to.registry, signed, copied, signal);
  return { digest, manifest: converted.root, referrers };
}

/** For each image that was chosen the digests of what may vouch for it: itself, and the index that names it. */
function vouchersFor(source: ImageSource, { root }: ImageSource): readonly (readonly Digest[])[] {
  const view = parseManifest(root.bytes, root.mediaType);
  const index = source.root.digest;
  if (view.kind === 'manifest' || view.manifests.length === 0) return [[...new Set([root.digest, index])]];
  return view.manifests.map(({ digest }) => [index, digest]);
}

/** @throws ERR_UNSUPPORTED for a place that keeps no signatures by key */
function signedNames(to: Place, { moreNames = [] }: CopyOptions): readonly Reference[] {
  const { reference } = to;
  if (reference !== undefined) return [reference, ...moreNames.map((name) => anotherTag(reference, name))];
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot sign what is copied to ${to.name}: signatures by key are kept in registries alone`);
}

/** What has to change for a place; nothing where it takes the image as it is. */
function changesFor(from: Place, to: Place, options: CopyOptions, { root }: ImageSource): Changes {
  const { family, hasIndex } = kindOf(root);
  const { transport } = to;
  if (hasIndex && !transport.hasIndexes)
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot copy several images to ${to.name}: it holds one`, {
      hint: 'choose one with --platform; an OCI archive or layout holds all',
    });
  if (options.family !== undefined && !transport.families.includes(options.family)) {
    const has = options.family === 'oci' ? "Docker's format" : 'the OCI format';
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot copy to ${to.name}: images there have ${has}`, { hint: 'leave --format out' });
  }
  const [only] = transport.families;
  const wanted = options.family ?? (transport.families.includes(family) ? undefined : only);
  return { ...given({ family: wanted }), ...compressionFor(from, to, options) };
}

function compressionFor(from: Place, to: Place, { compression, level }: CopyOptions): Changes {
  const by = given({ level });
  if (to.transport.layers === 'plain') {
    if (compression === undefined || compression === 'none') return { compression: 'none' };
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot copy to ${to.name} with ${compression}: layers are plain there`);
  }
  if (compression !== undefined) return { compression, ...by };
  // What never had a manifest has no digest to keep, and nobody wants to fetch plain layers.
  const isNew = !from.transport.hasManifests && to.transport.layers === 'compressed';
  return isNew ? { compression: 'gzip', onlyPlain: true, ...by } : {};
}

function kindOf({ bytes, mediaType }: StoredManifest): { readonly family: MediaFamily; readonly hasIndex: boolean } {
  const { family, kind } = parseManifest(bytes, mediaType);
  return { family, hasIndex: kind === 'index' };
}

/** Whether what was chosen stands in the source as it is: all of it, or one image; several of an index make another one. */
function standsInSource(source: ImageSource, selected: ImageSource): boolean {
  return selected.root.digest === source.root.digest || !kindOf(selected.root).hasIndex;
}

/** @throws ERR_UNSUPPORTED where a digest has to stay and can't */
function checkDigests(
  from: Place,
  to: Place,
  { preservesDigests, withReferrers }: CopyOptions,
  { selected, converted }: { readonly selected: ImageSource; readonly converted: ImageSource },
): void {
  const becomes = kindOf(converted.root).family;
  const format = becomes === 'oci' ? 'the OCI format' : "Docker's format";
  const why = kindOf(selected.root).family === becomes ? '' : `; it gets ${format} there`;
  const hint = 'dir: and docker:// take every image as it is';
  if (preservesDigests === true)
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot copy ${from.name} to ${to.name}: its digest would change${why}`, { hint });
  if (withReferrers === true)
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot copy ${from.name} with its referrers: the digest they are about would change${why}`);
}

/** Those beside the image that go along. @throws ERR_UNSUPPORTED where they can't, or would be wrong */
async function signaturesFor(from: Place, to: Place, { removesSignatures }: CopyOptions, isSame: boolean): Promise<readonly Signature[]> {
  if (removesSignatures === true) return [];
  const signatures = (await from.readSignatures?.()) ?? [];
  if (signatures.length === 0 || (isSame && to.addSignature !== undefined)) return signatures;
  const why = isSame ? 'there is no place for them' : 'they are about another digest';
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot copy the signatures of ${from.name} to ${to.name}: ${why}`, {
    hint: '--remove-signatures leaves them out',
  });
}

/** The sink, which notes the digests of manifests that it gets. */
function noting(sink: ImageSink, copied: Digest[]): ImageSink {
  return {
    ...sink,
    writeManifest: async (manifest, signal) => {
      await sink.writeManifest(manifest, signal);
      copied.push(manifest.digest);
    },
    writeRoot: async (root, signal) => {
      await sink.writeRoot(root, signal);
      copied.push(root.digest);
    },
  };
}
