// `warmer`: base images into a folder, for builds with --cache-dir.
import { resolve } from 'node:path';
import { type DockerfileSources, readDockerfile } from '../../build/dockerfile-file.ts';
import { type WantedImage, imagesToWarm, warmImages } from '../../build/warm.ts';
import { parseDockerfile } from '../../dockerfile/parse.ts';
import { BuilderError, DockerfileError } from '../../errors.ts';
import { hostPlatform, parsePlatform } from '../../oci/platform.ts';
import { BaseFolder } from '../../outputs/base-folder.ts';
import { accessRegistries } from '../../surroundings/registries.ts';
import { defaultBaseFolder, ttlMsOf } from '../requests/cache-request.ts';
import type { CommandInput } from '../command.ts';
import { describeBuildFailure } from '../exit.ts';
import { makeRegistryRequest } from '../requests/registry-request.ts';
import { parseBuildArgs } from '../requests/build-args.ts';
import { readStandardInput } from '../standard-input.ts';

/** kaniko's rule: 0 as soon as one image is there. @throws BuilderError */
export async function runWarmCommand(input: CommandInput): Promise<number> {
  const { settings, env, report, signal } = input;
  const { emit } = report;
  const workingDirectory = process.cwd();
  const path = resolve(workingDirectory, settings.text('cache-dir') ?? defaultBaseFolder);
  const folder = new BaseFolder({ path, ttlMs: ttlMsOf(settings), now: Date.now, emit });
  const request = makeRegistryRequest(settings, env, workingDirectory);
  await using access = await accessRegistries(request, { env, emit });
  const registry = access.clients.pull;
  const images = await findImages(input, workingDirectory, async (url) => (await registry.download(url, { signal })).body);
  if (images === undefined) return 1;
  const count = await warmImages(images, { folder, registry, isForced: settings.boolean('force'), emit, signal });
  if (count === 0) throw new BuilderError('ERR_REGISTRY', 'Cannot warm the cache: no image could be kept');
  report.line('info', `${count} of ${images.length} images are in ${path}`);
  return 0;
}

/** Undefined where the Dockerfile has a mistake, which is told. @throws BuilderError */
async function findImages(
  { settings, env, report }: CommandInput,
  workingDirectory: string,
  download: NonNullable<DockerfileSources['download']>,
): Promise<readonly WantedImage[] | undefined> {
  const buildPlatform = hostPlatform(process.arch);
  const named = settings.text('custom-platform');
  const platform = named === undefined ? buildPlatform : parsePlatform(named, buildPlatform);
  const images = settings.list('image').map((name) => ({ name, platform }));
  const dockerfile = settings.text('dockerfile');
  if (dockerfile === undefined && images.length > 0) return images;
  if (dockerfile === undefined) {
    throw new BuilderError('ERR_USAGE', 'Cannot warm the cache: no image is named', { hint: 'give --image IMAGE or --dockerfile FILE' });
  }
  const sources = { standardInput: readStandardInput, download };
  const file = await readDockerfile(dockerfile, { workingDirectory, contextFolder: workingDirectory }, sources);
  const buildArgs = parseBuildArgs(settings.list('build-arg'), env);
  try {
    return [...images, ...imagesToWarm(parseDockerfile(file.text, file.name), { platform, buildPlatform, buildArgs })];
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    const at = { dockerfile: { name: file.name, text: file.text.toString('utf8') }, step: undefined };
    for (const line of describeBuildFailure(error, at, false)) report.line('error', line);
    return undefined;
  }
}
