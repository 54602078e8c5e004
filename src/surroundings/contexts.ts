// The build context and those that have names: opened before the first stage, kept open until the build has ended.
import { join } from 'node:path';
import { isImagePlace } from '../build/plan.ts';
import type { BuildRequest } from '../build/request.ts';
import type { Clouds } from '../cloud/clouds.ts';
import { openContext, type OpenedContext } from '../context/source.ts';
import type { SourceTree } from '../context/tree.ts';
import { contextName } from '../dockerfile/stage-needs.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import type { MovedFolders } from '../files/moved-folders.ts';
import type { RegistryClient } from '../registry/client.ts';
import type { GitAccess } from './git-access.ts';
import type { Materials } from '../attest/materials.ts';

/** Where contexts that are not folders are unpacked. */
export const contextsFolder = 'contexts';

export interface Contexts {
  readonly main: OpenedContext;
  readonly named: NamedContexts;
}

interface NamedContexts {
  readonly folders: ReadonlyMap<string, SourceTree>;
  /** Image names and layouts, by lower-case context name. */
  readonly layouts: ReadonlyMap<string, string>;
  /** Folders to protect. */
  readonly owned: readonly string[];
  readonly wholeFolders: readonly string[];
}

/** What contexts that are not folders come from. */
interface ContextSources {
  readonly download: RegistryClient['download'];
  readonly git: GitAccess;
  readonly openObject: Clouds['openObject'];
  readonly moved: MovedFolders;
  readonly materials: Materials | undefined;
  readonly standardInput: AsyncIterable<Buffer> | undefined;
}

interface ContextOptions {
  readonly workingDirectory: string;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** Opens all of them; `stack` closes them. @throws as `openContext` */
export async function openContexts(
  request: BuildRequest,
  sources: ContextSources,
  options: ContextOptions,
  stack: AsyncDisposableStack,
): Promise<Contexts> {
  const subPath = given({ subPath: request.contextSubPath });
  const { appliesUnpackedRules } = request;
  const main = await openOne(request.context, request, sources, { ...options, ...subPath, appliesUnpackedRules });
  stack.defer(main.close);
  sources.materials?.endSource();
  return { main, named: await openNamed(request, sources, options, stack) };
}

async function openOne(
  place: string,
  request: BuildRequest,
  { download, git, openObject, moved, standardInput }: ContextSources,
  options: ContextOptions & { readonly subPath?: string; readonly appliesUnpackedRules?: boolean },
): Promise<OpenedContext> {
  const subPath = given({ subPath: options.subPath });
  return await openContext(place, {
    workingDirectory: options.workingDirectory,
    privateFolder: join(request.builderFolder, contextsFolder),
    ...subPath,
    appliesUnpackedRules: options.appliesUnpackedRules === true,
    git: request.git,
    openGit: git.openContext,
    openObject,
    download,
    moved,
    ...given({ standardInput }),
    emit: options.emit,
    signal: options.signal,
  });
}

async function openNamed(
  request: BuildRequest,
  sources: ContextSources,
  options: ContextOptions,
  stack: AsyncDisposableStack,
): Promise<NamedContexts> {
  const folders = new Map<string, SourceTree>();
  const layouts = new Map<string, string>();
  const owned: string[] = [];
  const wholeFolders: string[] = [];
  for (const { name, place } of request.namedContexts) {
    if (isImagePlace(place)) {
      layouts.set(contextName(name), place);
      continue;
    }
    const opened = await openOne(place, request, sources, options);
    stack.defer(opened.close);
    folders.set(contextName(name), { ...opened.tree, label: `context ${name}` });
    owned.push(opened.folder);
    wholeFolders.push(opened.wholeFolder);
  }
  return { folders, layouts, owned, wholeFolders };
}
