// The images that a build starts from: what a name stands for here, in a store, in a warmer's folder, and at its registry.
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { type Materials, imageUri } from '../attest/materials.ts';
import type { ResolveImage } from '../build/base-images.ts';
import type { BuildPorts } from '../build/ports.ts';
import type { BuildRequest } from '../build/request.ts';
import { BuilderError } from '../errors.ts';
import { contextName } from '../dockerfile/stage-needs.ts';
import type { Emit } from '../events.ts';
import type { Digest } from '../oci/digest.ts';
import type { Image } from '../oci/image.ts';
import { given } from '../given.ts';
import { type Reference, withDefaultTag } from '../oci/reference.ts';
import type { StoredImage } from '../oci/stored-image.ts';
import { BaseFolder } from '../outputs/base-folder.ts';
import { type PulledImage, firstOf } from '../registry/pull.ts';
import { registryName } from '../store/image-names.ts';
import { holdStore, imageStore } from '../store/image-store.ts';
import { parseLayoutReference, readLayout } from '../store/oci-layout.ts';
import type { RegistryAccess } from './registries.ts';
import { type StoredBase, findStoredBase } from './stored-bases.ts';

/** `named` are the --build-contexts that are images. */
export async function openImages(
  request: BuildRequest,
  access: Access,
  named: ReadonlyMap<string, string>,
  { materials, emit, signal }: { readonly materials: Materials | undefined; readonly emit: Emit; readonly signal: AbortSignal },
  stack: AsyncDisposableStack,
): Promise<Pick<BuildPorts, 'resolveImage' | 'pulledBases'>> {
  const pulledBases = new Map<string, StoredImage>();
  // Nothing that this build reads or writes is removed by somebody who cleans up.
  if (request.store !== undefined) stack.use(await holdStore(imageStore(request.store.folder), signal));
  return { resolveImage: imageResolver(request, access, named, { pulledBases, materials, emit }), pulledBases };
}

/** The folder that a warmer filled; undefined where there is none. */
function openBaseFolder({ baseFolder }: BuildRequest, emit: Emit): BaseFolder | undefined {
  if (baseFolder === undefined) return undefined;
  if (existsSync(baseFolder.path)) return new BaseFolder({ ...baseFolder, now: Date.now, emit });
  emit({ kind: 'note', level: 'debug', message: `no base images are kept in ${baseFolder.path}: it does not exist` });
  return undefined;
}

type Access = Pick<RegistryAccess, 'clients' | 'conf' | 'policy'>;

function imageResolver(
  request: BuildRequest,
  { clients: { pull: client }, conf, policy }: Access,
  named: ReadonlyMap<string, string>,
  {
    pulledBases,
    materials,
    emit,
  }: { readonly pulledBases: Map<string, StoredImage>; readonly materials: Materials | undefined; readonly emit: Emit },
): ResolveImage {
  const bases = openBaseFolder(request, emit);
  const { store } = request;
  return async (name, platform, signal) => {
    const place = named.get(contextName(name));
    if (place?.startsWith('oci-layout://') === true) {
      const layout = parseLayoutReference(place.slice('oci-layout://'.length));
      policy.check({ name, transport: { name: 'oci' }, path: layout.folder, ...given({ imageName: layout.tag }) });
      const { image, manifest } = await readLayout(layout, platform, signal);
      // Where this machine keeps its files is nobody's business.
      materials?.noteImage(name, platform, { uri: `oci-layout://${basename(layout.folder)}`, digest: manifest.digest });
      return image;
    }
    const text = place === undefined ? name : place.slice('docker-image://'.length);
    const references = conf.wholeNames(text).map(withDefaultTag);
    const kept = store === undefined ? undefined : await findStoredBase(store, text, references, { platform, signal });
    const note = (reference: Reference, digest: Digest): void =>
      materials?.noteImage(name, platform, { uri: imageUri(reference, platform), digest });
    const pull = async (reference: Reference): Promise<PulledImage> => {
      const subject = { name: text, transport: { name: 'docker' }, reference };
      policy.check(subject);
      const near = bases === undefined ? undefined : await bases.pull(reference, platform, client, signal);
      const pulled = near ?? (await client.pullImage(reference, platform, signal));
      await policy.verify(subject, [[pulled.manifest.digest, pulled.digest]], client, signal);
      note(reference, pulled.digest);
      if (reference.digest === undefined) pulledBases.set(registryName(reference), pulled);
      return pulled;
    };
    const fallBack = async (error: unknown): Promise<StoredBase> => {
      const found =
        store?.pull === 'newer' ? await findStoredBase({ ...store, pull: 'missing' }, text, references, { platform, signal }) : undefined;
      if (found === undefined || !(error instanceof BuilderError)) throw error;
      emit({ kind: 'note', level: 'info', message: `${text} is taken from the store: ${error.message}` });
      return found;
    };
    const { image, digest } = kept ?? (await firstOf(references, { emit, take: pull }, signal).catch(fallBack));
    if (kept !== undefined) for (const reference of references.slice(0, 1)) note(reference, kept.digest);
    emit({ kind: 'image.resolved', name: text, digest, layers: image.layers.length, sizeBytes: sizeOf(image) });
    return image;
  };
}

function sizeOf({ layers }: Image): number {
  return layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
}
