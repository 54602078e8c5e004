// The builder in a throwaway root: anywhere but in its own image, `yadokari build` starts itself again where `/` is an empty
// folder, in namespaces of its own. The host's root is out of reach from there, and nothing of the folder is left in the end.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path/posix';
import { BuilderError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { enterModule, forbidsPrograms, locateCode, programPath, readCaller, readIdSources, readText, requireProgram } from './host.ts';
import { type IdMapping, chooseMapping, idHintVariable, mappingFlags, rangesHint } from './ids.ts';
import { type SandboxInvocation, type SandboxPlan, type VisiblePath, bindsOf, builderFolder, outFolder, showCode } from './plan.ts';
import { superviseBuilder } from './supervise.ts';
import { startRootRemoval } from './root-removal.ts';
import { prepareVisible } from './visible.ts';

/** What to start inside, and what of the host it may see. */
export interface SandboxRequest {
  /** Node and the module to run inside, as they are on the host. */
  readonly nodePath: string;
  readonly mainPath: string;
  /** Paths in it are those of the inside: `sandboxPath(path)` for each path of `visible`. */
  readonly invocation: SandboxInvocation;
  readonly visible: readonly VisiblePath[];
  readonly outputs?: Outputs;
  /** A folder on disk with room for the unpacked image. */
  readonly parentFolder: string;
}

/** What the build leaves behind: no file of the host is writable inside, so they wait in the sandbox's own folder. */
interface Outputs {
  /** Told which folder of the host is `outFolder` inside, before anything starts. */
  readonly prepare: (outbox: string) => void;
  /** Called when everything inside has ended; what a RUN may have put there is not to be trusted. */
  readonly deliver: (outbox: string, isFailed: boolean) => Promise<void>;
}

const hostName = 'yadokari';
const terminalGroup = 5; // the group tty of every distribution

/**
 * Runs the builder in a throwaway root and gives its exit status. An abort is passed on as the signal that the reason names.
 * @throws ERR_UNSUPPORTED where the machine allows no sandbox, ERR_CONTEXT and ERR_USAGE for visible paths, ERR_ROOTFS for its folder
 */
export async function runInSandbox(request: SandboxRequest, emit: Emit, signal: AbortSignal): Promise<number> {
  signal.throwIfAborted();
  const programs = {
    unshare: requireProgram('unshare', 'util-linux'),
    setpriv: requireProgram('setpriv', 'util-linux'),
    shell: requireProgram('sh', 'dash'),
  };
  const caller = readCaller();
  const sources = readIdSources();
  const { mapping, note } = chooseMapping(caller, sources);
  if (note !== undefined) emit({ kind: 'warning', code: 'sandbox-ids', message: note });
  const removeUnused = prepareVisible(request.visible);
  try {
    const folder = makeFolder(request.parentFolder);
    const outbox = join(folder, 'builder', basename(outFolder));
    const removal = startRootRemoval(folder, mapping, programs);
    try {
      mkdirSync(outbox, { mode: 0o755 });
      request.outputs?.prepare(outbox);
      const hint = mapping.kind === 'own' ? { [idHintVariable]: rangesHint(caller, sources) } : {};
      const plan = makePlan(request, folder, { mapping, env: { ...request.invocation.env, ...hint } });
      const flags = [...mappingFlags(mapping), '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child'];
      // If this process is killed, setpriv has unshare killed, and unshare the first process inside, and so the whole namespace.
      const args = ['--pdeathsig', 'KILL', '--', programs.unshare, ...flags, '--'];
      const enter = [realpathSync(request.nodePath), '--disable-sigusr1', '--no-warnings', enterModule()];
      using held = openFolders(request.visible);
      const child = spawn(programs.setpriv, [...args, ...enter], {
        stdio: ['inherit', 'inherit', 'inherit', 'pipe', 'pipe', removal.lifeline, ...held.descriptors],
        // Its own process group: a Ctrl-C comes once, from us.
        detached: true,
        cwd: '/',
        env: { PATH: programPath },
      });
      const status = await superviseBuilder(child, plan, signal);
      await request.outputs?.deliver(outbox, status !== 0);
      return status;
    } finally {
      const failure = await removal.finish();
      if (failure !== undefined) emit({ kind: 'warning', code: 'sandbox-left', message: failure });
    }
  } finally {
    removeUnused();
  }
}

/** The folders that are passed on by descriptor, as `heldPath` numbers them. */
function openFolders(visible: readonly VisiblePath[]): Disposable & { readonly descriptors: readonly number[] } {
  using stack = new DisposableStack();
  const descriptors = visible.filter(({ mode }) => mode === 'held').map(({ path }) => stack.adopt(openSync(path, 'r'), closeSync));
  const opened = stack.move();
  return { descriptors, [Symbol.dispose]: () => opened.dispose() };
}

function makeFolder(parent: string): string {
  if (forbidsPrograms(parent)) {
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot make a sandbox in ${parent}: it is mounted noexec, so no RUN could start there`, {
      hint: 'TMPDIR names another folder',
    });
  }
  try {
    const folder = mkdtempSync(join(realpathSync(parent), 'yadokari-'));
    mkdirSync(join(folder, 'root'), { mode: 0o755 });
    mkdirSync(join(folder, 'builder'), { mode: 0o755 });
    return folder;
  } catch (error) {
    throw new BuilderError('ERR_ROOTFS', `Cannot make a sandbox in ${parent}: no folder can be made there`, {
      cause: error,
      hint: 'TMPDIR names another folder',
    });
  }
}

function makePlan(
  request: SandboxRequest,
  folder: string,
  { mapping, env }: { readonly mapping: IdMapping; readonly env: SandboxInvocation['env'] },
): SandboxPlan {
  const code = showCode(locateCode(request.nodePath, request.mainPath));
  const hosts = join(folder, 'hosts');
  writeFileSync(hosts, `${readText('/etc/hosts').trimEnd()}\n127.0.1.1 ${hostName}\n`.trimStart());
  const hasResolver = readText('/etc/resolv.conf') !== '';
  const hasTerminalGroup = mapping.kind === 'all' || (mapping.kind === 'ranges' && mapping.gids.count >= terminalGroup);
  return {
    rootFolder: join(folder, 'root'),
    binds: [
      { source: join(folder, 'builder'), target: builderFolder, kind: 'folder', mode: 'rw' },
      ...code.binds,
      { source: hosts, target: '/etc/hosts', kind: 'file', mode: 'ro' },
      ...(hasResolver ? [{ source: '/etc/resolv.conf', target: '/etc/resolv.conf', kind: 'file', mode: 'ro' } as const] : []),
      ...bindsOf(request.visible),
    ],
    hostName,
    ...(hasTerminalGroup ? { terminalGroup } : {}),
    command: code.command,
    invocation: { argv: request.invocation.argv, env },
    heldFolders: request.visible.filter(({ mode }) => mode === 'held').length,
  };
}
