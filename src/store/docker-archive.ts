// An image as the one tar file that `docker load` and `podman load` read. There is no specification but their code.
import { given } from '../given.ts';
import type { Entry } from '../layer/entry.ts';
import { writeArchive } from '../layer/write.ts';
import { splitDigest } from '../oci/digest.ts';
import { formatJson, jsonObject } from '../oci/json.ts';
import { type Reference, formatCommonName } from '../oci/reference.ts';
import type { StoredImage } from '../oci/stored-image.ts';
import { fileEntry } from './archive-writer.ts';
import { writeWholeFile } from './whole-file.ts';

/**
 * Writes the archive. Layers stay compressed as they are, which every reader takes; names without a tag are left out.
 * @throws ERR_LAYER when the file can't be written
 */
export async function writeDockerArchive(
  path: string,
  image: StoredImage,
  names: readonly Reference[],
  signal: AbortSignal,
): Promise<void> {
  await writeWholeFile(path, writeArchive(entriesOf(image, names, signal)), signal);
}

async function* entriesOf(
  { config, image }: StoredImage,
  names: readonly Reference[],
  signal: AbortSignal,
): AsyncGenerator<Entry, void, undefined> {
  const configName = `${splitDigest(config.descriptor.digest).hex}.json`;
  yield fileEntry(configName, config.bytes.length, one(config.bytes));
  const written = new Set<string>();
  const layerNames: string[] = [];
  for (const layer of image.layers) {
    const name = `${splitDigest(layer.descriptor.digest).hex}${layer.descriptor.mediaType.endsWith('gzip') ? '.tar.gz' : '.tar'}`;
    layerNames.push(name);
    // An image may have the same layer twice; the archive has it once.
    if (written.has(name)) continue;
    written.add(name);
    yield fileEntry(name, layer.descriptor.size, layer.open(signal));
  }
  const tags = names.filter((name) => name.tag !== undefined).map(repoTag);
  const entry = jsonObject({ Config: configName, RepoTags: [...new Set(tags)], Layers: layerNames });
  const bytes = Buffer.from(formatJson([entry]), 'utf8');
  yield fileEntry('manifest.json', bytes.length, one(bytes));
}

/** A name as archives have it: by its tag, if it has one. */
export function repoTag({ registry, repository, tag }: Reference): string {
  return formatCommonName({ registry, repository, ...given({ tag }) });
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield bytes;
}
