// Reads an image straight from a registry over HTTP, checking each promise that its documents make about other bytes.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type Flattened, flatten } from './flatten.ts';
import { asList, asNumber, asObject, asText, isObject, type ParsedObject } from './parsed.ts';
import { readTar, type TarMember } from './tar-reader.ts';

export interface RegistryImage {
  readonly digest: string;
  readonly mediaType: string;
  readonly manifest: ParsedObject;
  /** The whole config blob. */
  readonly config: ParsedObject;
  readonly layers: readonly (readonly TarMember[])[];
  readonly flattened: Flattened;
  /** Everything in which the image contradicts itself; empty for a sound one. */
  readonly problems: readonly string[];
}

/** What an Accept header has to list to get any image. */
export const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ');

/** Pulls and judges `repository:tag`; undefined when the registry has no such tag. An index means its linux/amd64 image. */
export async function readRegistryImage(registry: string, repository: string, tag: string): Promise<RegistryImage | undefined> {
  const base = `http://${registry}/v2/${repository}`;
  const response = await fetch(`${base}/manifests/${tag}`, { headers: { accept: manifestTypes } });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`GET ${response.url}: ${response.status}`);
  const text = await response.text();
  const manifest = asObject(JSON.parse(text), 'the manifest');
  const inner = asList(manifest['manifests']).map((entry) => asObject(entry));
  if (inner.length > 0) {
    const match = inner.find((entry) => isObject(entry['platform']) && entry['platform']['architecture'] === 'amd64');
    if (match === undefined) throw new Error(`${repository}:${tag} has no image for linux/amd64`);
    return readRegistryImage(registry, repository, asText(match['digest']));
  }
  const problems: string[] = [];
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const promised = response.headers.get('docker-content-digest');
  if (promised !== null && promised !== digest) problems.push(`the manifest has digest ${digest}, the registry says ${promised}`);
  const configText = await (await readBlob(base, manifest['config'], problems)).text();
  const config = asObject(JSON.parse(configText), 'the config');
  const layers = await readLayers(base, manifest, config, problems);
  checkHistory(config, layers.length, problems);
  const flattened = flatten(layers);
  return {
    digest,
    mediaType: response.headers.get('content-type') ?? '',
    manifest,
    config,
    layers,
    flattened,
    problems: [...problems, ...flattened.problems],
  };
}

async function readLayers(base: string, manifest: ParsedObject, config: ParsedObject, problems: string[]): Promise<TarMember[][]> {
  const diffIds = asList(asObject(config['rootfs'], 'rootfs')['diff_ids']);
  const descriptors = asList(manifest['layers'], 'layers');
  if (diffIds.length !== descriptors.length) problems.push(`${descriptors.length} layers, but ${diffIds.length} diff_ids`);
  const layers: TarMember[][] = [];
  for (const [index, descriptor] of descriptors.entries()) {
    const blob = await readBlob(base, descriptor, problems);
    const { members, diffId } = await readLayer(blob);
    if (diffIds[index] !== diffId) problems.push(`layer ${index + 1} has diff_id ${diffId}, the config says ${String(diffIds[index])}`);
    layers.push(members);
  }
  return layers;
}

/** The blob that a descriptor names; its digest and size are checked. */
async function readBlob(base: string, descriptor: unknown, problems: string[]): Promise<Blob> {
  const { digest, size } = asObject(descriptor, 'a descriptor');
  const response = await fetch(`${base}/blobs/${asText(digest, 'digest')}`);
  if (!response.ok) throw new Error(`GET ${response.url}: ${response.status}`);
  const blob = await response.blob();
  const hash = createHash('sha256');
  for await (const chunk of blob.stream()) hash.update(chunk);
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== digest) problems.push(`blob ${asText(digest)} has digest ${found}`);
  if (blob.size !== asNumber(size, 'size'))
    problems.push(`blob ${asText(digest)} has ${blob.size} bytes, its descriptor says ${String(size)}`);
  return blob;
}

/** The members of a layer blob, plain or compressed, and the digest of the uncompressed archive. */
export async function readLayer(blob: Blob): Promise<{ readonly members: TarMember[]; readonly diffId: string }> {
  const magic = Buffer.from(await blob.slice(0, 4).arrayBuffer()).toString('hex');
  const hash = createHash('sha256');
  let members: TarMember[] = [];
  const judge = async (source: AsyncIterable<Uint8Array>) => {
    members = await readTar(hashing(source, hash));
  };
  const compressed = Readable.fromWeb(blob.stream());
  if (magic.startsWith('1f8b')) await pipeline(compressed, createGunzip(), judge);
  else if (magic === '28b52ffd') await pipeline(compressed, createZstdDecompress(), judge);
  else await pipeline(compressed, judge);
  return { members, diffId: `sha256:${hash.digest('hex')}` };
}

async function* hashing(source: AsyncIterable<Uint8Array>, hash: ReturnType<typeof createHash>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

function checkHistory(config: ParsedObject, layerCount: number, problems: string[]): void {
  const history = asList(config['history'], 'history').map((entry) => asObject(entry, 'a history entry'));
  const filled = history.filter((entry) => entry['empty_layer'] !== true).length;
  if (filled !== layerCount) problems.push(`${layerCount} layers, but ${filled} history entries that are not empty`);
}
