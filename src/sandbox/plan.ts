// What the process inside will see, as a value: the launcher makes a plan, and the first process inside carries it out.
import { posix } from 'node:path';

/** Something of the host that the build reads or writes. Paths are absolute. */
export interface VisiblePath {
  readonly path: string;
  /**
   * `'rw'` is made where it is missing; `'ro'` must exist. `'copy'` is for files with secrets: a copy in memory that the builder
   * can take away from a RUN, unless it lies in something visible. `'held'` is what the builder alone can write to, a folder being
   * made where it is missing: it has it open, at `heldPath`, and no path leads there.
   */
  readonly mode: 'ro' | 'rw' | 'copy' | 'held';
  /** Sockets count as files. */
  readonly kind: 'folder' | 'file';
}

/** One bind mount, or a copy: `target` is a path inside the new root. */
export interface Bind {
  readonly source: string;
  readonly target: string;
  readonly kind: 'folder' | 'file';
  readonly mode: 'ro' | 'rw' | 'copy';
}

/** argv (without Node and main) and environment for the builder inside; never part of its visible command line. */
export interface SandboxInvocation {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Everything the first process inside needs, as JSON. */
export interface SandboxPlan {
  /** Host path of the empty folder that becomes `/`. */
  readonly rootFolder: string;
  /** In this order: a later one may lie in an earlier one. */
  readonly binds: readonly Bind[];
  readonly hostName: string;
  /** Group of terminals; undefined where that id is not mapped. */
  readonly terminalGroup?: number;
  /** What to become at last; paths are those of the new root. */
  readonly command: readonly string[];
  readonly invocation: SandboxInvocation;
  /** How many folders are passed on by descriptor. */
  readonly heldFolders: number;
}

/** Descriptors of the first process inside: the plan comes in by one, what became of it goes out by the other. */
export const planDescriptor = 3;
export const answerDescriptor = 4;
/** Of the folders that are held; between stands what keeps the root (`root-removal.ts`). */
export const firstHeldDescriptor = 6;

/** What goes out: nothing at all means that the first process was never reached, or died. */
export type EnterAnswer = { readonly kind: 'entered' } | { readonly kind: 'failed'; readonly message: string };

/** The builder's own folder inside; nothing in it is part of an image. */
export const builderFolder = '/kaniko';

/** Where everything visible lies; in memory, but for what is mounted there. */
export const hostFolder = `${builderFolder}/host`;

/** Where the build writes its outputs, each below the host's path of it, until the sandbox is gone. */
export const outFolder = `${builderFolder}/out`;

/** Where a path of the host is inside the sandbox, if it was made visible. @throws RangeError for a relative path. */
export function sandboxPath(hostPath: string): string {
  if (!posix.isAbsolute(hostPath)) throw new RangeError(`not an absolute path: ${hostPath}`);
  const path = posix.normalize(hostPath);
  return path === '/' ? hostFolder : `${hostFolder}${path}`.replace(/\/$/, '');
}

/** Where the builder inside finds a held folder, by its number among them. */
export function heldPath(index: number): string {
  return `/proc/self/fd/${firstHeldDescriptor + index}`;
}

/** A text of ours with every path of the inside that stands for one of the host put back; `held` are the folders that are held. */
export function hostPathsIn(text: string, held: readonly string[] = []): string {
  const shown = text.replaceAll(`${hostFolder}/`, '/').replaceAll(`${outFolder}/`, '/');
  return shown.replace(/\/proc\/self\/fd\/(\d+)/g, (path, fd: string) => held[Number(fd) - firstHeldDescriptor] ?? path);
}

/** The binds of visible paths, outer ones first, so that an output in a read-only context stays writable. */
export function bindsOf(visible: readonly VisiblePath[]): readonly Bind[] {
  const binds = new Map<string, Bind>();
  const strength = ['copy', 'ro', 'rw'];
  for (const { path, mode, kind } of visible) {
    if (mode === 'held') continue;
    const target = sandboxPath(path);
    const known = binds.get(target)?.mode ?? mode;
    binds.set(target, { source: path, target, kind, mode: strength.indexOf(known) > strength.indexOf(mode) ? known : mode });
  }
  return [...binds.values()].sort((a, b) => depth(a.target) - depth(b.target) || (a.target < b.target ? -1 : 1));
}

/** The files of the builder itself. */
export interface BuilderCode {
  readonly nodePath: string;
  readonly mainPath: string;
  /** Folder of the package.json that `mainPath` belongs to. */
  readonly packageFolder: string;
  /** The node_modules folder that its imports are found in; undefined where it has none. */
  readonly modulesFolder: string | undefined;
  /** Shared libraries of Node under the names it asks for, the loader among them. */
  readonly libraries: readonly string[];
}

/** Read-only binds that show the code below /kaniko, and the command that starts it there without the root's loader. */
export function showCode(code: BuilderCode): { readonly binds: readonly Bind[]; readonly command: readonly string[] } {
  const app = `${builderFolder}/app`;
  const main = posix.relative(code.packageFolder, code.mainPath);
  const [top = main] = main.split('/');
  const file = (source: string, target: string): Bind => ({ source, target, kind: 'file', mode: 'ro' });
  const folder = (source: string, target: string): Bind => ({ source, target, kind: 'folder', mode: 'ro' });
  // Only what is loaded is shown, not the whole checkout; a main without a folder of its own has all its files beside it.
  const sources =
    top === main
      ? [folder(code.packageFolder, app)]
      : [
          folder(posix.join(code.packageFolder, top), `${app}/${top}`),
          file(posix.join(code.packageFolder, 'package.json'), `${app}/package.json`),
        ];
  const modules = code.modulesFolder === undefined || top === main ? [] : [code.modulesFolder];
  const libraries = `${builderFolder}/lib`;
  const loader = code.libraries.map((path) => posix.basename(path)).find((name) => name.startsWith('ld-'));
  const node = `${builderFolder}/node`;
  return {
    binds: [
      ...sources,
      ...modules.map((path) => folder(path, `${app}/node_modules`)),
      file(code.nodePath, node),
      ...code.libraries.map((path) => file(path, `${libraries}/${posix.basename(path)}`)),
    ],
    // Node without a loader is linked statically and starts by itself.
    command: [
      ...(loader === undefined ? [] : [`${libraries}/${loader}`, '--library-path', libraries]),
      node,
      '--disable-sigusr1',
      `${app}/${main}`,
    ],
  };
}

function depth(path: string): number {
  return path.split('/').length;
}
