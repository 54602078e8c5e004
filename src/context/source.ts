// `--context` and `--build-context`: from a place as people write it to a folder that can be copied from.
import { createReadStream, existsSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { makeFolder } from '../folders.ts';
import { bytesFromText, type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode, isMissing, unreachableFor, withoutUser } from '../errors.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import { applyIgnoreFile } from './ignore-file.ts';
import { modifiedSeconds } from './last-modified.ts';
import type { MovedFolders } from '../files/moved-folders.ts';
import { isGitContext } from './source-word.ts';
import { diskView } from '../files/disk-view.ts';
import { sniffArchive } from '../layer/sniff-archive.ts';
import { isWithin, pathIn } from '../paths.ts';
import { tellingRefusals } from './refused-files.ts';
import { locate, type SourceTree } from './tree.ts';
import { type FilledFolder, unpackContext } from './unpack.ts';

/** Of a Dockerfile in the place of a context. */
const dockerfileLimitBytes = 1024 * 1024;

/** Opens a git repository as a folder below `folder`; gives its path and the commit's time. @throws BuilderError ERR_CONTEXT */
export type OpenGit = (place: string, settings: ReadonlyMap<string, string>, folder: string, signal: AbortSignal) => Promise<FilledFolder>;

export interface ContextOptions {
  readonly workingDirectory: string;
  /** The builder's own, never part of a context that it may lie in; archives and repositories are unpacked below it. */
  readonly privateFolder: string;
  /** `--context-sub-path`: the folder in the context that is the context. */
  readonly subPath?: string;
  /** The `.dockerignore` of an archive or a repository counts, as with kaniko. */
  readonly appliesUnpackedRules?: boolean;
  /** Settings of `--git`. */
  readonly git: ReadonlyMap<string, string>;
  readonly openGit?: OpenGit;
  /** Is asked for each file of a folder: it may be elsewhere for a while. */
  readonly moved?: MovedFolders;
  readonly download: (
    url: URL,
    options: { readonly signal: AbortSignal },
  ) => Promise<{ readonly body: AsyncIterable<Buffer>; readonly lastModified?: string | undefined }>;
  /** What `tar://stdin` reads; the process's own where left out. */
  readonly standardInput?: AsyncIterable<Buffer>;
  /** Opens an object of a cloud's store; undefined for any other place. */
  readonly openObject?: (place: string, signal: AbortSignal) => ReturnType<ContextOptions['download']> | undefined;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** A context that is there until it is closed. */
export interface OpenedContext {
  /** With the rules of its `.dockerignore`. */
  readonly tree: SourceTree;
  readonly folder: string;
  /** The same without `subPath`: all that belongs to whoever gave the context. */
  readonly wholeFolder: string;
  readonly close: () => Promise<void>;
}

/**
 * Opens a folder (a path or `dir://`), an archive (`tar://FILE`, `tar://stdin`, an http URL, an object of a store) or a git repository.
 * @throws BuilderError ERR_CONTEXT where it is missing or damaged, ERR_UNSUPPORTED for other kinds of places
 */
export async function openContext(place: string, options: ContextOptions): Promise<OpenedContext> {
  const opened = await openPlace(place, options).catch((error: unknown) => {
    throw unreachableFor(`open context ${withoutSecrets(place)}`, error);
  });
  try {
    const folder = enterSubPath(place, opened.folder, options.subPath);
    const label = 'the build context';
    const tree: SourceTree = {
      files:
        opened.isUnpacked === true
          ? diskView(bytesFromText(folder))
          : tellingRefusals(diskView(bytesFromText(realpathSync(folder)), options.moved), label),
      label,
      keepsOwners: false,
      ...originOf(opened),
      hasOwnRules: opened.isUnpacked !== true || options.appliesUnpackedRules === true,
    };
    if (opened.isUnpacked === true) tellOfIgnoreFile(tree, options.emit);
    return { tree: applyIgnoreFile(hideBuilder(tree, folder, options), {}), folder, wholeFolder: opened.folder, close: opened.close };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

interface OpenedFolder extends FilledFolder {
  readonly isUnpacked?: boolean;
  readonly close: () => Promise<void>;
}

async function openPlace(place: string, options: ContextOptions): Promise<OpenedFolder> {
  if (place === '') throw new BuilderError('ERR_USAGE', 'Cannot open the build context: its name is empty');
  if (isGitContext(place)) {
    const { openGit, git, signal } = options;
    if (openGit === undefined)
      throw new BuilderError('ERR_UNSUPPORTED', `Cannot open context ${withoutSecrets(place)}: git repositories can't be read here`);
    return await inPrivateFolder(options, async (folder) => await openGit(place, git, folder, signal));
  }
  const [, scheme = '', rest = ''] = /^([a-z0-9+.-]+):\/\/(.*)$/is.exec(place) ?? [];
  switch (scheme.toLowerCase()) {
    case '':
      return openFolder(place, resolve(options.workingDirectory, place));
    case 'dir':
      return openFolder(place, findFolder(rest, options));
    case 'tar':
      return await inPrivateFolder(options, async (folder) => {
        const source =
          rest === 'stdin' || rest === '-'
            ? (options.standardInput ?? createReadStream('', { fd: 0, autoClose: false }))
            : openArchive(place, resolve(options.workingDirectory, rest));
        return await unpackContext(place, source, folder, options);
      });
    case 's3':
    case 'gs':
    case 'http':
    case 'https':
      return await inPrivateFolder(options, async (folder) => {
        const { body, lastModified } = await openRemote(place, options);
        const filled = await fillFolder(withoutSecrets(place), body, folder, options);
        return { ...filled, ...given({ timeSeconds: modifiedSeconds({ lastModified }) }) };
      });
    default: {
      const message = `Cannot open context ${withoutSecrets(place)}: contexts of ${scheme}:// are not supported`;
      throw new BuilderError('ERR_UNSUPPORTED', message, { hint: 'Use a folder, dir://, tar://, git://, https://, s3:// or gs://.' });
    }
  }
}

/** From an archive; a text is a Dockerfile without a context, as docker build takes it from a URL. */
async function fillFolder(name: string, body: AsyncIterable<Buffer>, folder: string, options: ContextOptions): Promise<FilledFolder> {
  const { isArchive, bytes } = await sniffArchive(body, options.signal);
  if (isArchive) return await unpackContext(name, bytes, folder, options);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    // A page is what a login or an error is told by.
    if (size > dockerfileLimitBytes || chunk.includes(0) || (chunks.length === 0 && /^\s*</.test(chunk.toString('latin1'))))
      throw new BuilderError('ERR_CONTEXT', `Cannot open context ${name}: it is neither a tar archive nor a Dockerfile`);
    chunks.push(chunk);
  }
  if (size === 0) throw new BuilderError('ERR_CONTEXT', `Cannot open context ${name}: it is empty`);
  writeFileSync(join(folder, 'Dockerfile'), Buffer.concat(chunks));
  return { folder };
}

async function openRemote(place: string, { openObject, download, signal }: ContextOptions): ReturnType<ContextOptions['download']> {
  return await (openObject?.(place, signal) ?? download(parseUrl(place), { signal }));
}

// kaniko's own example says `dir://workspace` where /workspace is meant, and has been copied into many a pipeline.
function findFolder(path: string, { workingDirectory, emit }: ContextOptions): string {
  const folder = resolve(workingDirectory, path);
  const absolute = `/${path}`;
  if (path === '' || path.startsWith('/') || existsSync(folder) || !existsSync(absolute)) return folder;
  emit({
    kind: 'warning',
    code: 'context-relative',
    message: `dir://${path} is relative and ${folder} does not exist: using ${absolute} (write dir://${absolute})`,
  });
  return absolute;
}

function openFolder(place: string, folder: string): OpenedFolder {
  const stats = statIfThere(folder);
  if (stats === undefined) throw new BuilderError('ERR_CONTEXT', `Cannot open context ${place}: ${folder} does not exist`);
  if (!stats.isDirectory()) {
    throw new BuilderError('ERR_CONTEXT', `Cannot open context ${place}: ${folder} is not a folder`, {
      hint: 'An archive is given as tar://FILE.',
    });
  }
  return { folder, close: async () => undefined };
}

function openArchive(place: string, file: string): AsyncIterable<Buffer> {
  const stats = statIfThere(file);
  if (stats === undefined) throw new BuilderError('ERR_CONTEXT', `Cannot open context ${place}: ${file} does not exist`);
  if (stats.isDirectory()) throw new BuilderError('ERR_CONTEXT', `Cannot open context ${place}: ${file} is a folder, not an archive`);
  return createReadStream(file, { highWaterMark: 1 << 18 });
}

function statIfThere(path: string): ReturnType<typeof statSync> {
  try {
    return statSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new BuilderError('ERR_CONTEXT', `Cannot open ${path}: ${systemCode(error) ?? 'it can not be read'}`, { cause: error });
  }
}

async function inPrivateFolder(options: ContextOptions, fill: (folder: string) => Promise<FilledFolder>): Promise<OpenedFolder> {
  makeFolder(options.privateFolder, 0o755);
  const own = mkdtempSync(join(options.privateFolder, 'context-'));
  const close = async (): Promise<void> => rmSync(own, { recursive: true, force: true });
  try {
    return { ...(await fill(own)), isUnpacked: true, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function enterSubPath(place: string, folder: string, subPath: string | undefined): string {
  if (subPath === undefined || subPath === '') return folder;
  const located = locate(diskView(bytesFromText(folder)), bytesFromText(subPath));
  if (located.kind === 'found' && located.stat.type === 'directory') return textFromBytes(pathIn(bytesFromText(folder), located.path));
  const state = located.kind === 'found' ? 'is not a folder' : 'does not exist';
  throw new BuilderError('ERR_CONTEXT', `Cannot open context ${withoutSecrets(place)}: its folder '${subPath}' ${state}`, {
    hint: 'Check --context-sub-path.',
  });
}

function originOf({ timeSeconds, isUnpacked = false }: OpenedFolder): Pick<SourceTree, 'timeSeconds' | 'isUnpacked'> {
  return { isUnpacked, ...given({ timeSeconds }) };
}

function tellOfIgnoreFile(tree: SourceTree, emit: Emit): void {
  if (locate(tree.files, bytesFromText('.dockerignore')).kind !== 'found') return;
  const message =
    tree.hasOwnRules === true
      ? "the context's .dockerignore is applied, as kaniko does with an archive or a repository; `yadokari build` does not, as BuildKit"
      : "the context's .dockerignore is not applied, as the context is an archive or a repository (--ignorefile gives one)";
  emit(tree.hasOwnRules === true ? { kind: 'note', level: 'info', message } : { kind: 'warning', code: 'context-ignore', message });
}

function hideBuilder(tree: SourceTree, folder: string, { privateFolder }: ContextOptions): SourceTree {
  const below = relative(folder, privateFolder);
  if (below === '' || below === '..' || below.startsWith('../')) return tree;
  const hidden = bytesFromText(below);
  return { ...tree, hides: (path: ByteString) => isWithin(path, hidden) };
}

function parseUrl(place: string): URL {
  try {
    return new URL(place);
  } catch (error) {
    throw new BuilderError('ERR_CONTEXT', `Cannot open context ${withoutSecrets(place)}: it is not a valid URL`, { cause: error });
  }
}

/** For messages: no user, no password, no query (signed URLs carry their secret there). */
function withoutSecrets(place: string): string {
  return withoutUser(place).replace(/\?.*$/s, '');
}
