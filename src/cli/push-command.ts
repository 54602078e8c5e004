// `yadokari push PATH`: pushes an image that is on disk, as kaniko's command of this name does.
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { BuilderError } from '../errors.ts';
import { openBlobStore } from '../layer/store.ts';
import { parseManifest } from '../oci/manifest.ts';
import { hostPlatform } from '../oci/platform.ts';
import type { ImageSource } from '../oci/source-and-sink.ts';
import { readImage } from '../oci/stored-image.ts';
import { openResultFiles, publishImage } from '../outputs/publish.ts';
import { openDockerArchiveSource } from '../store/docker-archive-source.ts';
import { openLayoutSource } from '../store/oci-layout.ts';
import { accessRegistries } from '../surroundings/registries.ts';
import { convertedSource } from '../transports/convert.ts';
import type { CommandInput } from './command.ts';
import { makeOutputRequest } from './output-request.ts';
import { makeRegistryRequest } from './registry-request.ts';
import { temporaryFolderOf } from './transport-request.ts';

/** Pushes the one image of a docker archive, whose layers are compressed where they are not, or of an OCI layout, byte for byte. */
export async function runPushCommand({ settings, positionals, env, report, signal }: CommandInput): Promise<number> {
  const workingDirectory = process.cwd();
  const [name, ...others] = positionals;
  if (name === undefined || others.length > 0) {
    throw new BuilderError('ERR_USAGE', `Cannot push: ${positionals.length} images are named, and one is needed`, {
      hint: 'yadokari push image.tar --destination registry.example/app:1.0',
    });
  }
  if (!settings.has('destination'))
    throw new BuilderError('ERR_USAGE', `Cannot push ${name}: there is nowhere to push it to`, { hint: 'give --destination IMAGE' });
  const output = makeOutputRequest(settings, { env, workingDirectory });
  const { emit } = report;
  const request = makeRegistryRequest(settings, env, workingDirectory);
  await using access = await accessRegistries(request, { env, folders: ['/kaniko/.docker'], emit });
  const registry = access.clients.push;
  const temporaryFolder = temporaryFolderOf(settings, env);
  await using source = await openImage(resolve(workingDirectory, name), temporaryFolder, signal);
  refuseIndex(source, name);
  const results = await openResultFiles(output, { registry, signal });
  try {
    if (!output.skipPushPermissionCheck) for (const reference of output.destinations) await registry.checkPush(reference, signal);
    await using store = openBlobStore(temporaryFolder);
    // A layout's image has a digest to keep.
    const changes = source.isArchive ? ({ compression: 'gzip', onlyPlain: true } as const) : {};
    const image = await readImage(await convertedSource(source, changes, { store, emit }, signal), hostPlatform(process.arch), signal);
    const { digest, pushed } = await publishImage(image, output, { registry, results, emit, signal });
    report.close();
    for (const { destination } of pushed) report.line('info', `  ${destination}`);
    report.line('info', `digest ${digest}`);
  } finally {
    for (const file of results.values()) await file.close();
  }
  return 0;
}

type OpenImage = ImageSource & AsyncDisposable & { readonly isArchive: boolean };

/** A folder is a layout, anything else an archive. */
async function openImage(path: string, temporaryFolder: string, signal: AbortSignal): Promise<OpenImage> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new BuilderError('ERR_USAGE', `Cannot push ${path}: it does not exist`);
  if (!found.isDirectory()) return { ...(await openDockerArchiveSource({ path }, temporaryFolder, signal)), isArchive: true };
  const source = await openLayoutSource({ folder: path }, undefined, signal);
  return { ...source, isArchive: false, [Symbol.asyncDispose]: async () => await Promise.resolve() };
}

function refuseIndex({ root }: ImageSource, name: string): void {
  if (parseManifest(root.bytes, root.mediaType).kind === 'manifest') return;
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot push ${name}: it holds an index of several images`, {
    hint: `yadokari copy --all oci:${name} docker://IMAGE`,
  });
}
