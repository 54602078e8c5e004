// Where the Dockerfile is read from, and the ignore file that belongs to it.
import { realpathSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { bytesFromText, fsPath } from '../bytes.ts';
import { applyIgnoreFile } from '../context/ignore-file.ts';
import { locate } from '../context/tree.ts';
import { diskView } from '../files/disk-view.ts';
import { pathIn } from '../paths.ts';
import { BuilderError, isMissing, unreachableFor, inWords } from '../errors.ts';
import { given } from '../given.ts';
import type { BuildPorts } from './ports.ts';
import { readSmallFile } from '../small-file.ts';

export interface DockerfileText {
  /** As the user named it, for messages. */
  readonly name: string;
  readonly text: Buffer;
  /** Absolute; undefined for one that came by standard input. */
  readonly path?: string;
  /** The context has another one by this name. */
  readonly isOther?: true;
}

const limitBytes = 16 * 1024 * 1024;

/** Where a Dockerfile may come from, besides the disk. */
export interface DockerfileSources {
  readonly standardInput: () => Promise<Buffer>;
  /** Undefined where nothing is fetched. */
  readonly download?: (url: URL) => Promise<AsyncIterable<Buffer>>;
}

/**
 * Finds and reads the Dockerfile: a path is looked for below the working directory first, then below the context, as kaniko
 * does; a missing `Dockerfile` may be called `dockerfile`; `-` is standard input; an http(s) URL is fetched.
 * @throws ERR_CONTEXT naming every place that was tried.
 */
export async function readDockerfile(
  name: string,
  places: { readonly workingDirectory: string; readonly contextFolder: string },
  { standardInput, download }: DockerfileSources,
): Promise<DockerfileText> {
  if (name === '-') return { name: '-', text: await standardInput() };
  if (/^https?:\/\//i.test(name)) return await fetchDockerfile(name, download);
  const tried = [...new Set([resolve(places.workingDirectory, name), join(places.contextFolder, name)])];
  const candidates = name.endsWith('Dockerfile') ? [...tried, ...tried.map((path) => path.replace(/Dockerfile$/, 'dockerfile'))] : tried;
  const read = async (path: string): Promise<Buffer | undefined> => {
    const place = placeOf(path, places.contextFolder);
    return place === undefined ? undefined : await readIfThere(path, place);
  };
  const [here = name, there = here] = tried;
  for (const path of candidates) {
    const text = await read(path);
    if (text === undefined) continue;
    const other = path === here && there !== here ? await read(there).catch(() => undefined) : undefined;
    return { name, text, path, ...(other?.equals(text) === false ? { isOther: true } : {}) };
  }
  throw new BuilderError('ERR_CONTEXT', `Cannot read the Dockerfile ${name}: there is none (looked for ${tried.join(' and ')})`, {
    hint: 'give --dockerfile, or check --context',
  });
}

async function fetchDockerfile(name: string, download: DockerfileSources['download']): Promise<DockerfileText> {
  if (!URL.canParse(name)) throw new BuilderError('ERR_CONTEXT', 'Cannot read the Dockerfile: its URL is malformed');
  const url = new URL(name);
  // A signed URL carries its secret in the query.
  const shown = `${url.origin}${url.pathname}`;
  if (download === undefined)
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot read the Dockerfile ${shown}: only a build fetches it`, {
      hint: 'download it first',
    });
  const chunks: Buffer[] = [];
  let size = 0;
  const body = await download(url).catch((error: unknown) => {
    throw unreachableFor(`read the Dockerfile ${shown}`, error);
  });
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > limitBytes) throw tooLarge(shown);
  }
  return { name: shown, text: Buffer.concat(chunks) };
}

function tooLarge(name: string): BuilderError {
  return new BuilderError('ERR_CONTEXT', `Cannot read the Dockerfile ${name}: it has more than ${limitBytes} bytes`);
}

/**
 * The ports with the context that this Dockerfile sees: `--ignorefile`, else `<Dockerfile>.dockerignore`, else `.dockerignore`.
 * @throws ERR_CONTEXT for an ignore file that was asked for and is missing, or that has a bad pattern
 */
export function withIgnoreFile(
  ports: BuildPorts,
  dockerfile: DockerfileText,
  asked: { readonly ignoreFile?: string; readonly workingDirectory: string },
): BuildPorts {
  const choice = {
    ...given({ dockerfilePath: dockerfile.path }),
    ...(asked.ignoreFile === undefined ? {} : { ignoreFile: resolve(asked.workingDirectory, asked.ignoreFile) }),
  };
  return { ...ports, context: applyIgnoreFile(ports.context, choice) };
}

/**
 * Where to read: what lies in the context is read within it, as no link that somebody put there may show other files of this
 * machine, be it in an error message. Undefined where there is nothing.
 */
function placeOf(path: string, contextFolder: string): string | Buffer | undefined {
  const folder = [contextFolder, realFolder(contextFolder)].find((each) => isWithin(each, path));
  if (folder === undefined) return path;
  const found = locate(diskView(bytesFromText(folder)), bytesFromText(relative(folder, path)));
  if (found.kind === 'found') return fsPath(pathIn(bytesFromText(folder), found.path));
  if (found.kind === 'missing' && found.link === undefined) return undefined;
  throw new BuilderError('ERR_CONTEXT', `Cannot read the Dockerfile ${path}: it is a symbolic link to what is not in the context`, {
    hint: 'give --dockerfile the file itself',
  });
}

function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder; // whatever is wrong with it is told by who reads from it
  }
}

function isWithin(folder: string, path: string): boolean {
  const below = relative(folder, path);
  return below !== '..' && !below.startsWith('../') && !isAbsolute(below);
}

async function readIfThere(path: string, place: string | Buffer): Promise<Buffer | undefined> {
  try {
    return await readSmallFile(place, limitBytes);
  } catch (error) {
    return isMissing(error) ? undefined : inWords('ERR_CONTEXT', `Cannot read the Dockerfile ${path}`)(error);
  }
}
