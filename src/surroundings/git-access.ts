// Repositories for contexts and ADD: who may see which credentials, and what the settings mean.
import { makeFolder } from '../folders.ts';
import { diskView } from '../files/disk-view.ts';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { join } from 'node:path';
import type { Materials } from '../attest/materials.ts';
import { bytesFromText } from '../bytes.ts';
import type { OpenGit } from '../context/source.ts';
import type { SourceTree } from '../context/tree.ts';
import { BuilderError, ifCode, inWords, orElse } from '../errors.ts';
import type { Emit } from '../events.ts';
import { checkOut } from '../git/check-out.ts';
import { type Exchange, openHttp } from '../git/http.ts';
import { type GitLocation, checkCommit, checkRef, parseContextLocation, parseLocation } from '../git/location.ts';
import type { UploadPack } from '../git/protocol.ts';
import { type GitRemote, describeRemote, isSameServer } from '../git/remote.ts';
import { openDaemon } from '../git/socket.ts';
import { type SshAccess, loadSsh } from '../git/ssh.ts';
import { authorizationFor } from './git-credentials.ts';
import type { GitRequest } from '../build/instructions/add.ts';

export interface GitAccess {
  /** For `--context` and `--build-context`. */
  readonly openContext: OpenGit;
  /** For ADD; what it gives stays until `close`. */
  readonly add: (request: GitRequest, signal: AbortSignal) => Promise<SourceTree>;
  readonly close: () => Promise<void>;
}

export interface GitAccessOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** GIT_AUTH_TOKEN[.host], GIT_AUTH_HEADER[.host], GIT_SSH_KEY and GIT_KNOWN_HOSTS are read. */
  readonly secrets: ReadonlyMap<string, Buffer>;
  /** Agent sockets, or private keys, by id; `default` is used. */
  readonly ssh: ReadonlyMap<string, string>;
  readonly exchange: Exchange;
  readonly lookup: LookupFunction;
  /** Where checkouts of ADD are kept. */
  readonly privateFolder: string;
  readonly materials?: Materials | undefined;
  readonly emit: Emit;
}

/** Reads keys and known hosts now, before the root belongs to an image. @throws ERR_USAGE for what can't be read */
export function prepareGit(options: GitAccessOptions): GitAccess {
  const { env, secrets, emit } = options;
  const access = readSshAccess(options);
  // Read now or never: later, our own files can't be trusted to be there.
  const openSsh = access.keys.length > 0 || access.agentSocket !== undefined ? loadSsh() : undefined;
  const made: string[] = [];
  const opener =
    (top: GitRemote, isContext: boolean) =>
    async (remote: GitRemote, isSubmodule: boolean, signal: AbortSignal): Promise<UploadPack> => {
      if (remote.protocol === 'git') return await openDaemon(remote, options.lookup, signal);
      if (remote.protocol === 'ssh') {
        if (openSsh !== undefined) return await openSsh(remote, access, options.lookup, signal);
        throw new BuilderError('ERR_AUTH', `Cannot read ${describeRemote(remote)}: there is no key to log in with`, {
          hint: '--ssh default gives the keys of an agent, --ssh default=FILE a private key',
        });
      }
      const isTop = !isSubmodule || isSameServer(remote, top);
      const authorization = authorizationFor(remote, { secrets, env: isTop && isContext ? env : {}, isTop, top });
      return await openHttp(remote, authorization, options.exchange, signal);
    };
  return {
    openContext: async (place, settings, folder, signal) => {
      const { location, depth, submodules } = contextLocation(place, settings, env);
      const keepsGitFolder = location.keepsGitFolder ?? isTrue(options.buildArgs.get('BUILDKIT_CONTEXT_KEEP_GIT_DIR') ?? '0');
      const open = opener(location.remote, true);
      const done = await checkOut(location, join(folder, 'checkout'), { open, keepsGitFolder, submodules, depth, emit, signal });
      options.materials?.noteCommit(describeRemote(location.remote), location, done.commit);
      emit({ kind: 'note', level: 'info', message: `${describeRemote(location.remote)} is at commit ${done.commit}` });
      return { folder: done.folder, timeSeconds: done.commitTimeSeconds };
    },
    add: async (request, signal) => {
      const location = withChecksum(parseLocation(request.repository), request);
      makeFolder(options.privateFolder, 0o755);
      const own = mkdtempSync(join(options.privateFolder, 'git-'));
      made.push(own);
      const keepsGitFolder = request.keepsGitFolder || location.keepsGitFolder === true;
      const { folder, commit } = await checkOut(location, join(own, 'checkout'), {
        open: opener(location.remote, false),
        keepsGitFolder,
        submodules: location.submodules ?? true,
        emit,
        signal,
      });
      options.materials?.noteCommit(describeRemote(location.remote), location, commit);
      return { files: diskView(bytesFromText(folder)), label: `repository ${describeRemote(location.remote)}`, keepsOwners: false };
    },
    close: async () => {
      for (const folder of made) rmSync(folder, { recursive: true, force: true });
    },
  };
}

function contextLocation(
  place: string,
  settings: ReadonlyMap<string, string>,
  env: Readonly<Record<string, string | undefined>>,
): { readonly location: GitLocation; readonly depth: number; readonly submodules: boolean } {
  const method = env['GIT_PULL_METHOD'] ?? 'https';
  if (method !== 'https' && method !== 'http')
    throw new BuilderError('ERR_USAGE', `Cannot use GIT_PULL_METHOD=${method}: expected https or http`);
  const location = parseContextLocation(place, method);
  const depth = settings.get('depth') ?? '1';
  if (!/^\d{1,9}$/.test(depth)) throw new BuilderError('ERR_USAGE', `Cannot use --git depth=${depth}: expected a number, 0 for all`);
  readFlag(settings, 'single-branch', true); // one commit is fetched either way
  const branch = settings.get('branch');
  if (branch === undefined || branch === '')
    return { location, depth: Number(depth), submodules: location.submodules ?? readFlag(settings, 'recurse-submodules', true) };
  const ref = `refs/heads/${checkRef(place, branch.replace(/^refs\/heads\//, ''))}`;
  if (location.ref !== undefined && location.ref !== ref && `refs/heads/${location.ref}` !== ref)
    throw new BuilderError('ERR_USAGE', `Cannot combine --git branch=${branch} with a context of '${location.ref}'`);
  return {
    location: { ...location, ref },
    depth: Number(depth),
    submodules: location.submodules ?? readFlag(settings, 'recurse-submodules', true),
  };
}

/** A yes or no of `--git`. @throws ERR_USAGE */
export function readFlag(settings: ReadonlyMap<string, string>, name: string, otherwise: boolean): boolean {
  const value = settings.get(name);
  if (value === undefined) return otherwise;
  if (isTrue(value) || /^(?:0|f|false)$/i.test(value)) return isTrue(value);
  throw new BuilderError('ERR_USAGE', `Cannot use --git ${name}=${value}: expected true or false`);
}

function isTrue(value: string): boolean {
  return /^(?:1|t|true)$/i.test(value);
}

function withChecksum(location: GitLocation, { repository, checksum }: GitRequest): GitLocation {
  if (checksum === undefined) return location;
  const commit = checkCommit(repository, checksum);
  if (location.checksum !== undefined && location.checksum !== commit)
    throw new BuilderError('ERR_CONTEXT', `Cannot add ${describeRemote(location.remote)}: --checksum and the query name different commits`);
  return { ...location, checksum: commit };
}

function readSshAccess({ secrets, ssh, env }: GitAccessOptions): SshAccess {
  const own = ssh.get('default');
  const isAgent = own !== undefined && isSocket(own);
  const keys = secrets.has('GIT_SSH_KEY') ? [secrets.get('GIT_SSH_KEY') ?? Buffer.alloc(0)] : [];
  if (own !== undefined && !isAgent) keys.push(readFileSync(own));
  const home = env['HOME'];
  const files = ['/etc/ssh/ssh_known_hosts', ...(home === undefined ? [] : [join(home, '.ssh/known_hosts')])];
  const texts = keys.length > 0 || isAgent ? [secrets.get('GIT_KNOWN_HOSTS')?.toString('utf8') ?? '', ...files.map(textIfThere)] : [];
  return { agentSocket: isAgent ? own : undefined, keys, knownHosts: texts.join('\n') };
}

function isSocket(path: string): boolean {
  return orElse(() => !statSync(path).isFile(), inWords('ERR_USAGE', `Cannot use --ssh default=${path}`));
}

function textIfThere(path: string): string {
  return orElse(() => readFileSync(path, 'utf8'), ifCode(['ENOENT', 'ENOTDIR'], '', inWords('ERR_USAGE', `Cannot read ${path}`)));
}
