// The flags that say where an image goes → OutputRequest.
import { resolve } from 'node:path';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { type Reference, parseReference, withDefaultTag } from '../../oci/reference.ts';
import { type OutputRequest, builderOutputFile, isUrl } from '../../outputs/output-request.ts';
import { hasCache } from './cache-request.ts';
import { makeSigningRequest } from './signing-request.ts';
import { type ImageOutput, parseExport, parseImageOutput } from './export-spec.ts';
import type { StoreOutput } from '../../outputs/store-image.ts';
import { localName } from '../../store/image-names.ts';
import type { Environment, Settings } from '../settings.ts';

/** @throws ERR_USAGE, ERR_REFERENCE for places that can't be */
export function makeOutputRequest(
  settings: Settings,
  around: { readonly env: Environment; readonly workingDirectory: string; readonly needsOutput?: boolean },
): OutputRequest {
  const noPush = settings.boolean('no-push');
  const destinations = pushedNames(settings).map(parseDestination);
  const image = (flag: string): { readonly [key: string]: string } => {
    const path = settings.text(flag);
    if (path !== undefined && isUrl(path))
      throw new BuilderError('ERR_USAGE', `Cannot write --${flag} to ${path}: an image is written to a path, or pushed`);
    return path === undefined ? {} : { [camel(flag)]: resolve(around.workingDirectory, path) };
  };
  const file = (flag: string): { readonly [key: string]: string } => {
    const path = settings.text(flag);
    return path !== undefined && isUrl(path) ? { [camel(flag)]: path } : image(flag);
  };
  const results = around.env['BUILDER_OUTPUT'];
  const files = settings.list('output').filter((text) => parseImageOutput(text) === undefined);
  const exports = files.map((text) => parseExport(text, around.workingDirectory));
  const writes = settings.has('oci-layout-path') || settings.has('tar-path') || exports.length > 0;
  const isNowhere = destinations.length === 0 && !noPush && !writes && !settings.boolean('dryrun');
  const store = storeOutput(settings, isNowhere);
  if (around.needsOutput !== false && isNowhere && store === undefined) {
    throw new BuilderError('ERR_USAGE', 'Cannot start: there is nowhere to put the image', {
      hint: 'give --destination IMAGE, --oci-layout-path, --tar-path, or --no-push',
    });
  }
  if (destinations.length === 0 && (settings.has('image-name-with-digest-file') || settings.has('image-name-tag-with-digest-file'))) {
    throw new BuilderError('ERR_USAGE', 'Cannot write image names to a file: there is no --destination');
  }
  return {
    destinations,
    noPush: noPush || destinations.length === 0,
    ...image('oci-layout-path'),
    ...image('tar-path'),
    exports,
    ...(store === undefined ? {} : { store: { ...store, folder: resolve(around.workingDirectory, store.folder) } }),
    ...resultPaths(settings, around.workingDirectory),
    ...file('metadata-file'),
    ...file('iidfile'),
    ...(hasCache(settings) ? file('cache-explain') : {}),
    ...artifactFile(around.env, around.workingDirectory),
    ...(results === undefined || results === '' ? {} : { builderOutput: resolve(around.workingDirectory, results, builderOutputFile) }),
    ...given({ signing: signingOf(settings, around, noPush || destinations.length === 0) }),
    skipPushPermissionCheck: settings.boolean('skip-push-permission-check'),
    ignoreImmutableTags: settings.boolean('push-ignore-immutable-tag-errors'),
    pushRetries: settings.number('push-retry') ?? 0,
  };
}

/** @throws ERR_USAGE where nothing is pushed */
function signingOf(
  settings: Settings,
  { env, workingDirectory }: { readonly env: Environment; readonly workingDirectory: string },
  isKept: boolean,
): OutputRequest['signing'] {
  const signing = makeSigningRequest(settings, env, workingDirectory);
  if (signing === undefined || !isKept || settings.boolean('dryrun')) return signing;
  throw new BuilderError('ERR_USAGE', 'Cannot sign the image: it is not pushed, and signatures are kept beside it in a registry', {
    hint: '--destination IMAGE, or sign where it is pushed: yadokari push, yadokari copy',
  });
}

/** A setting of Drone's and Harness's plugins. */
function artifactFile(
  { PLUGIN_REPO: repo = '', PLUGIN_ARTIFACT_FILE: path = '' }: Environment,
  workingDirectory: string,
): { readonly artifactFile?: string } {
  return repo === '' || path === '' ? {} : { artifactFile: resolve(workingDirectory, path) };
}

/** With --push or an --output that pushes, as docker build has them, every --tag is one, too. @throws ERR_USAGE where there is no name */
export function pushedNames(settings: Settings): readonly string[] {
  const { names, isPushed } = imageNames(settings);
  const destinations = settings.list('destination');
  if (!isPushed) return destinations;
  if (names.length > 0 || destinations.length > 0) return [...destinations, ...names];
  throw new BuilderError('ERR_USAGE', 'Cannot push: the image has no name', { hint: 'name it with --tag' });
}

/** Those of --tag win, as with docker build. */
function imageNames(settings: Settings): ImageOutput {
  const outputs = settings.list('output').flatMap((text) => parseImageOutput(text) ?? []);
  const tags = settings.list('tag');
  return {
    names: tags.length > 0 ? tags : outputs.flatMap(({ names }) => names),
    isPushed: settings.boolean('push') || outputs.some(({ isPushed }) => isPushed),
  };
}

/** Where there is a store, the image is in it if it has a name there, goes nowhere else, or --load says so. @throws ERR_USAGE, ERR_REFERENCE */
function storeOutput(settings: Settings, isNowhere: boolean): StoreOutput | undefined {
  const image = imageNames(settings);
  const isLoaded = settings.boolean('load');
  const names = image.isPushed && !isLoaded ? [] : image.names.map(localName);
  const folder = settings.text('root');
  const list = settings.has('manifest') ? localName(settings.text('manifest') ?? '') : undefined;
  const [first] = [...names, ...(list === undefined ? [] : [list])];
  if (folder !== undefined) return first !== undefined || isNowhere || isLoaded ? { folder, names, ...given({ list }) } : undefined;
  if (isLoaded)
    throw new BuilderError('ERR_USAGE', 'Cannot honour --load: a container has no store of images', {
      hint: '-o type=docker,dest=FILE writes an archive for docker load; --root FOLDER, or YADOKARI_ROOT, names a store in a volume',
    });
  if (first === undefined) return undefined;
  throw new BuilderError('ERR_USAGE', `Cannot name the image ${first}: a container has no store of images`, {
    hint: '--destination pushes to a registry; --root FOLDER, or YADOKARI_ROOT, names a store in a volume',
  });
}

/** kaniko's rule: a repository, and a tag or none. The digest of what will be pushed is nobody's to say beforehand. */
export function parseDestination(name: string): Reference {
  const reference = parseReference(name);
  if (reference.digest === undefined) return withDefaultTag(reference);
  throw new BuilderError('ERR_USAGE', `Cannot push to ${name}: a destination is a name and a tag, not a digest`, {
    hint: `leave out "@${reference.digest}"; --digest-file tells the digest that was pushed`,
  });
}

/** The files that get an image's digest and names: absolute paths, or URLs. */
export function resultPaths(
  settings: Settings,
  workingDirectory: string,
): Pick<OutputRequest, 'digestFile' | 'imageNameWithDigestFile' | 'imageNameTagWithDigestFile'> {
  const of = (flag: string): Readonly<Record<string, string>> => {
    const path = settings.text(flag);
    return path === undefined ? {} : { [camel(flag)]: isUrl(path) ? path : resolve(workingDirectory, path) };
  };
  return { ...of('digest-file'), ...of('image-name-with-digest-file'), ...of('image-name-tag-with-digest-file') };
}

function camel(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
