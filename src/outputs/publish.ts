// The image goes out: files first, then registries, result files last, so that nothing names what isn't there yet.
import { dirname } from 'node:path';
import { BuilderError } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { StoredManifest } from '../oci/manifest.ts';
import { formatCommonName, formatReference, formatRepository, type Reference } from '../oci/reference.ts';
import { type StoredImage, writeImage } from '../oci/stored-image.ts';
import type { RegistryClient } from '../registry/client.ts';
import type { PushOptions } from '../registry/push-blob.ts';
import { writeDockerArchive } from '../store/docker-archive.ts';
import { openOciArchiveSink } from '../store/oci-archive.ts';
import { writeLayout } from '../store/oci-layout.ts';
import { standardOutput, writeWholeFile } from '../store/whole-file.ts';
import type { Signer } from '../trust/signer.ts';
import { type PulledBases, storeImage } from './store-image.ts';
import { namesOf } from './output-names.ts';
import { makeFolder } from '../folders.ts';
import { openOutputFile, openResultUrl, type OutputFile } from './output-file.ts';
import { checkOutputPlace } from './output-place.ts';
import {
  type ExportSpec,
  type OutputRequest,
  type PushedImage,
  type ResultFile,
  isUrl,
  resultFiles,
  resultFlags,
} from './output-request.ts';
import { type Again, withRetries } from '../registry/again.ts';

/** Result files that were opened before the first RUN. */
export type ResultFiles = ReadonlyMap<ResultFile, OutputFile>;

/** Opens what the request wants written, and looks whether the rest of it could be. @throws ERR_USAGE */
export async function openResultFiles(
  output: OutputRequest,
  ports: { readonly registry: Pick<RegistryClient, 'exchange'>; readonly signal: AbortSignal },
): Promise<ResultFiles> {
  if (output.ociLayoutPath !== undefined) checkOutputPlace(output.ociLayoutPath, 'layout', `--oci-layout-path ${output.ociLayoutPath}`);
  if (output.tarPath !== undefined) checkOutputPlace(output.tarPath, 'file', `--tar-path ${output.tarPath}`);
  for (const { type, path } of output.exports)
    if (path !== standardOutput) checkOutputPlace(path, isFolder(type) ? 'layout' : 'file', `--output ${path}`);
  const files = new Map<ResultFile, OutputFile>();
  for (const key of resultFiles) {
    const place = output[key];
    if (place === undefined) continue;
    files.set(key, isUrl(place) ? openResultUrl(place, resultFlags[key], ports) : await openOutputFile(place, resultFlags[key]));
  }
  return files;
}

/** An image's files, to be given away without it. */
export interface FileExports {
  /** As a tar archive. */
  readonly archive: () => AsyncIterable<Buffer>;
  /** Into a folder; what is there stays, but for what is in the way. */
  readonly copyTo: (folder: string) => Promise<void>;
}

export interface PublishPorts {
  readonly registry: RegistryClient;
  readonly results: ResultFiles;
  /** The files of the image, where they are to be had. */
  readonly files?: FileExports;
  /** Images that were pulled for it. */
  readonly bases?: PulledBases;
  /** Signs what was pushed. */
  readonly signer?: Signer;
  /** The image was made just now. */
  readonly isFresh?: boolean;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** Writes and pushes the image everywhere it was asked for. @throws RegistryError, ERR_ROOTFS; nothing is tagged before its blobs are there */
export async function publishImage(
  stored: StoredImage,
  output: OutputRequest,
  ports: PublishPorts,
): Promise<{ readonly digest: Digest; readonly pushed: readonly PushedImage[]; readonly imageId: Digest }> {
  const { emit, signal } = ports;
  const { digest } = stored.manifest;
  const sizeBytes = stored.image.layers.reduce((sum, layer) => sum + layer.descriptor.size, 0);
  const names = namesOf(output);
  const [first] = names;
  if (output.ociLayoutPath !== undefined) {
    emit({ kind: 'phase', phase: 'writing', detail: output.ociLayoutPath });
    await writeLayout({ folder: output.ociLayoutPath, tag: first?.tag ?? 'latest' }, stored, signal);
    emit({ kind: 'image.written', destination: `oci:${output.ociLayoutPath}`, digest, sizeBytes });
  }
  if (output.tarPath !== undefined) {
    emit({ kind: 'phase', phase: 'writing', detail: output.tarPath });
    makeFolder(dirname(output.tarPath));
    await writeDockerArchive(output.tarPath, stored, names, signal);
    emit({ kind: 'image.written', destination: `docker-archive:${output.tarPath}`, digest, sizeBytes });
  }
  for (const spec of output.exports) {
    emit({ kind: 'phase', phase: 'writing', detail: spec.path });
    await writeExport(spec, stored, names, ports);
    if (spec.path !== standardOutput)
      emit({ kind: 'image.written', destination: `${exportNames[spec.type]}:${spec.path}`, digest, sizeBytes });
  }
  if (output.store !== undefined) await storeImage(output.store, stored, { bases: new Map(), ...ports });
  const pushed = output.noPush ? [] : await push(stored, output, ports, sizeBytes);
  await writeResults(stored, output.destinations, ports.results);
  await writePushed(pushed, ports.results);
  return { digest, pushed, imageId: stored.config.descriptor.digest };
}

const exportNames = { local: 'files', tar: 'tar', oci: 'oci-archive', docker: 'docker-archive', layout: 'oci' } as const;

function isFolder(type: ExportSpec['type']): boolean {
  return type === 'local' || type === 'layout';
}

async function writeExport(
  { type, path }: ExportSpec,
  stored: StoredImage,
  names: readonly Reference[],
  { files, signal }: PublishPorts,
): Promise<void> {
  const [first, ...others] = names;
  switch (type) {
    case 'docker':
      return await writeDockerArchive(path, stored, names, signal);
    case 'layout':
      return void (await writeLayout({ folder: path, tag: first?.tag ?? 'latest' }, stored, signal));
    case 'oci': {
      // Whole names, as podman and buildah write and read them.
      const tag = first === undefined ? {} : { tag: formatCommonName(first) };
      await using archive = openOciArchiveSink({ folder: path, ...tag }, others.map(formatCommonName), signal);
      await writeImage(archive, stored, signal);
      return await archive.finish();
    }
    default:
      break;
  }
  if (files === undefined) throw new BuilderError('ERR_INTERNAL', `Cannot write ${path}: there are no files to export`);
  if (type === 'local') await files.copyTo(path);
  else await writeWholeFile(path, files.archive(), signal);
}

async function push(image: StoredImage, output: OutputRequest, ports: PublishPorts, sizeBytes: number): Promise<readonly PushedImage[]> {
  const { emit, signal } = ports;
  emit({ kind: 'phase', phase: 'pushing' });
  const written = new Set<string>();
  const onPushed: PushOptions['onPushed'] = ({ reference, digest }) => {
    const destination = `${formatRepository(reference)}@${digest}`;
    if (!written.has(formatReference(reference))) emit({ kind: 'image.written', destination, digest, sizeBytes });
    written.add(formatReference(reference));
  };
  const pushed = await retryPush(output, ports, async () => {
    const options = { ignoreImmutableTags: output.ignoreImmutableTags, isFresh: ports.isFresh === true, onPushed };
    return await ports.registry.pushImage(image, output.destinations, options, signal);
  });
  // An immutable tag may have stayed another image's.
  const own = pushed.filter(({ digest }) => digest === image.manifest.digest).map(({ reference }) => reference);
  await signPushed(own, [image.manifest.digest], output, ports);
  return pushed.map(({ reference, digest }) => ({ destination: formatReference(reference), digest }));
}

/** In each repository, by each name that the image has there. @throws as a push */
export async function signPushed(
  names: readonly Reference[],
  digests: readonly Digest[],
  output: Pick<OutputRequest, 'pushRetries'>,
  ports: PublishPorts,
): Promise<void> {
  const { signer, registry, emit, signal } = ports;
  if (signer === undefined) return;
  for (const [repository, group] of Map.groupBy(names, formatRepository)) {
    await retryPush(output, ports, async () => await signer.sign(registry, group, digests, signal));
    for (const digest of digests) emit({ kind: 'note', level: 'info', message: `signed ${repository}@${digest}` });
  }
}

/** Does again what a registry refused, as often as `--push-retry` says. */
export async function retryPush<Value>(
  { pushRetries }: Pick<OutputRequest, 'pushRetries'>,
  { emit, signal }: Pick<PublishPorts, 'emit' | 'signal'>,
  task: () => Promise<Value>,
): Promise<Value> {
  const retriesAfter: Again['retriesAfter'] = ({ code }) => (code === 'ERR_REGISTRY' ? pushRetries : 0);
  return await withRetries(task, { task: 'pushing', retriesAfter, emit, signal });
}

/** An image, or an index of several. */
export interface Published {
  readonly manifest: StoredManifest;
  readonly config?: { readonly descriptor: Descriptor };
}

/** Writes the result files that were opened. @throws ERR_ROOTFS, ERR_REGISTRY */
export async function writeResults(image: Published, destinations: readonly Reference[], results: ResultFiles): Promise<void> {
  const { digest } = image.manifest;
  // No newline: Tekton's results and termination logs are taken as they are.
  await results.get('digestFile')?.commit(digest);
  const named = destinations.map((reference) => `${formatRepository(reference)}@${digest}\n`);
  await results.get('imageNameWithDigestFile')?.commit(named.join(''));
  const tagged = destinations.map((reference) => `${formatRepository(reference)}:${reference.tag ?? 'latest'}@${digest}\n`);
  await results.get('imageNameTagWithDigestFile')?.commit(tagged.join(''));
  await results.get('metadataFile')?.commit(buildMetadata(image, destinations));
  await results.get('iidfile')?.commit(image.config?.descriptor.digest ?? digest);
}

/** What Google Cloud Build reads, and kaniko writes: a JSON object a line. */
export async function writePushed(pushed: readonly PushedImage[], results: ResultFiles): Promise<void> {
  const lines = pushed.map(({ destination, digest }) => `${JSON.stringify({ name: destination, digest })}\n`);
  if (lines.length === 0) return;
  await results.get('builderOutput')?.commit(lines.join(''));
  await results.get('artifactFile')?.commit(artifactOf(pushed));
}

/** What Drone's plugins write of images: github.com/drone-plugins/drone-plugin-lib, drone/artifact.go. */
export function artifactOf(pushed: readonly PushedImage[]): string {
  const images = pushed.map(({ destination, digest }) => ({ image: destination, digest }));
  const registryUrl = (pushed[0]?.destination ?? '').replace(/\/.*$/, '');
  const [, registryType = 'Docker'] = registryTypes.find(([host]) => host.test(registryUrl)) ?? [];
  return JSON.stringify({ kind: 'docker/v1', data: { registryType, registryUrl, images } }, null, 2);
}

const registryTypes = [
  [/\.amazonaws\.com(?:\.cn)?$/, 'ECR'],
  [/(?:^|\.)gcr\.io$|\.pkg\.dev$/, 'GCR'],
  [/\.azurecr\.io$/, 'ACR'],
] as const;

/** What buildx writes of an image, as JSON with its keys: docs.docker.com/reference/cli/docker/buildx/build/#metadata-file */
export function buildMetadata({ manifest, config }: Published, destinations: readonly Reference[]): string {
  const { mediaType, digest, bytes } = manifest;
  // Docker Hub has another name there than kaniko's files give it.
  const names = destinations.map((reference) => formatReference(reference).replace(/^index\.docker\.io\//, 'docker.io/'));
  const metadata = {
    ...(config === undefined ? {} : { 'containerimage.config.digest': config.descriptor.digest }),
    'containerimage.descriptor': { mediaType, digest, size: bytes.length },
    'containerimage.digest': digest,
    ...(names.length === 0 ? {} : { 'image.name': names.join(',') }),
  };
  return JSON.stringify(metadata, null, 2);
}
