// Where entries of the layer cache are kept, by key: a repository of a registry, or a folder with an OCI layout for each key.
import { randomUUID } from 'node:crypto';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BuilderError, RegistryError, ifCode, inWords, systemCode, systemReason } from '../errors.ts';
import type { Image } from '../oci/image.ts';
import type { Platform } from '../oci/platform.ts';
import { type Reference, formatRepository } from '../oci/reference.ts';
import type { RegistryClient } from '../registry/client.ts';
import { encodeImage } from '../oci/stored-image.ts';
import { readLayout, writeLayout } from '../store/oci-layout.ts';
import { makeFolder } from '../folders.ts';

/** A repository, or a folder. */
export type CachePlace =
  | { readonly kind: 'registry'; readonly reference: Reference }
  | { readonly kind: 'layout'; readonly folder: string };

/** A place that entries are read from and written to, by key. */
export interface EntryPlace {
  /** As people name it. */
  readonly name: string;
  /** The registry's repository; undefined where it is a folder. */
  readonly reference?: Reference;
  /** Undefined where there is no such entry. @throws BuilderError where that can't be said, or it is malformed */
  readonly find: (key: string, signal: AbortSignal) => Promise<Image | undefined>;
  /** Puts it there whole, or not at all. @throws BuilderError */
  readonly put: (key: string, image: Image, signal: AbortSignal) => Promise<void>;
  /** All keys, and whatever else has a name there; none where there is no such place. @throws BuilderError where that can't be said */
  readonly list: (signal: AbortSignal) => Promise<readonly string[]>;
  /** @throws BuilderError where it stays */
  readonly remove: (key: string, signal: AbortSignal) => Promise<void>;
}

/** @throws nothing: whether the place can be used shows when it is used */
export function openPlace(place: CachePlace, registry: RegistryClient, platform: Platform): EntryPlace {
  if (place.kind === 'layout') return layoutPlace(place.folder, platform);
  const { reference } = place;
  return {
    name: formatRepository(reference),
    reference,
    find: async (key, signal) => (await registry.findImage({ ...reference, tag: key }, platform, signal))?.image,
    put: async (key, image, signal) => {
      await registry.pushImage(encodeImage(image), [{ ...reference, tag: key }], { isHelp: true }, signal);
    },
    list: async (signal) => await listRepository(registry, reference, signal),
    remove: async (key, signal) => void (await registry.deleteImage({ ...reference, tag: key }, signal)),
  };
}

async function listRepository(registry: RegistryClient, reference: Reference, signal: AbortSignal): Promise<readonly string[]> {
  try {
    return await registry.listTags(reference, signal);
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return [];
    throw error;
  }
}

function layoutPlace(folder: string, platform: Platform): EntryPlace {
  return {
    name: `oci:${folder}`,
    find: async (key, signal) => {
      const entry = join(folder, key);
      const found = await stat(entry).catch(ifCode(['ENOENT'], undefined, inWords('ERR_REGISTRY', `Cannot read ${entry}`)));
      if (found === undefined) return undefined;
      return (await readLayout({ folder: entry, tag: key }, platform, signal)).image;
    },
    list: async () => {
      const names = await readdir(folder).catch(ifCode(['ENOENT'], [], inWords('ERR_REGISTRY', `Cannot read ${folder}`)));
      return names.filter((name) => !name.startsWith('.')).toSorted(); // hidden ones are being written
    },
    remove: async (key) => {
      await rm(join(folder, key), { recursive: true, force: true }).catch(inWords('ERR_REGISTRY', `Cannot remove ${join(folder, key)}`));
    },
    // Beside its place first: others that look there find it whole.
    put: async (key, image, signal) => {
      const entry = join(folder, key);
      const beside = join(folder, `.${randomUUID()}.tmp`);
      try {
        makeFolder(folder);
        await writeLayout({ folder: beside, tag: key }, encodeImage(image), signal);
        await rm(entry, { recursive: true, force: true });
        await rename(beside, entry);
      } catch (error) {
        await rm(beside, { recursive: true, force: true });
        // Another builder was faster with the same entry.
        if (['ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? '')) return;
        if (error instanceof BuilderError || systemCode(error) === undefined) throw error;
        throw new BuilderError('ERR_REGISTRY', `Cannot write ${entry}: ${systemReason(error)}`, { cause: error });
      }
    },
  };
}
