// A program started by the calling thread: in a root and folder, as a user, and the thread is itself again afterwards. Raw system calls
// act on one thread alone, and a child has what the thread had when it began.
import { closeSync, constants as fsConstants, fstatSync, openSync, readSync } from 'node:fs';
import { type ByteString, bytesFromText } from '../bytes.ts';
import { attempt, cString, errnoOf } from './libc.ts';
import { isAbsent, spawnProgram } from './spawn.ts';

/** One program to start; strings but `cwd` and `root` hold one byte a character too. */
export interface SpawnRequest {
  /** Where to look for the program, in order, each as execve(2) takes it. */
  readonly candidates: readonly string[];
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: ByteString;
  /** A directory that becomes `/` for the program; undefined for our own root. */
  readonly root: ByteString | undefined;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly stdio: readonly [number, number, number];
  /** In our session, so that a terminal that is ours stays the program's; else in one of its own. */
  readonly sharesSession?: boolean;
}

/** Where starting failed. */
type SpawnStep = 'root' | 'directory' | 'groups' | 'gid' | 'uid' | 'execute';

/** What became of a start. `head` is the beginning of the file that the kernel refused, where there is one. */
export type StartAnswer =
  | { readonly kind: 'started'; readonly pid: number; readonly lacksGroups: boolean }
  | {
      readonly kind: 'refused';
      readonly step: SpawnStep;
      readonly errno: number;
      readonly path: string;
      readonly head: Uint8Array | undefined;
    };

/** Where a program of that name may be, for `SpawnRequest`: along `path` unless it has a slash. */
export function programCandidates(name: string, path: string): readonly ByteString[] {
  if (name.includes('/') || name === '') return [bytesFromText(name)];
  // An empty part of PATH means the working directory (execvp(3)).
  return path.split(':').map((folder) => bytesFromText(folder === '' ? name : `${folder}/${name}`));
}

const openFilesLimit = 7; // RLIMIT_NOFILE
const noFollow = 0x100; // AT_SYMLINK_NOFOLLOW
const openFiles = 65_536n;
const headBytes = 512;

/** Starts a program; `ownRoot` is an open descriptor of our own root. */
export function startProgram(request: SpawnRequest, ownRoot: number): StartAnswer {
  const before = openSync('.', fsConstants.O_RDONLY | fsConstants.O_DIRECTORY);
  const umask = attempt('umask', 0o022);
  const limit = lowerOpenFiles();
  try {
    if (request.root !== undefined) {
      const errno = attempt('chroot', cString(request.root));
      if (errno < 0) return refusal('root', -errno, request.root);
    }
    const errno = enterDirectory(request.cwd, request);
    if (errno < 0) return refusal('directory', -errno, request.cwd);
    return startAsUser(request);
  } finally {
    if (request.root !== undefined) {
      attempt('fchdir', ownRoot);
      attempt('chroot', cString(bytesFromText('.')));
    }
    attempt('fchdir', before);
    closeSync(before);
    attempt('umask', umask);
    attempt('prlimit64', 0, openFilesLimit, limit, null);
  }
}

/** chdir(2). A missing folder is made, and is the user's, as with buildah and BuildKit. Gives 0 or a negated errno. */
function enterDirectory(path: ByteString, { uid, gid }: SpawnRequest): number {
  const result = attempt('chdir', cString(path));
  if (result !== -errnoOf('ENOENT')) return result;
  const names = path.split('/').filter((name) => name !== '');
  for (let count = 1; count <= names.length; count += 1) {
    const folder = cString(bytesFromParts(names.slice(0, count)));
    const made = attempt('mkdirat', -1, folder, 0o755);
    if (made < 0 && made !== -errnoOf('EEXIST')) return made;
    // Without CAP_CHOWN it stays ours.
    if (made === 0) attempt('fchownat', -1, folder, uid, gid, noFollow);
  }
  return attempt('chdir', cString(path));
}

function startAsUser(request: SpawnRequest): StartAnswer {
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const groups = listGroups();
  const setGroups = sameNumbers(groups, request.groups) ? 0 : writeGroups(request.groups);
  const isOwnUser = request.uid === own.uid && request.gid === own.gid;
  // A user namespace may forbid setgroups(2) altogether; our own user can go on with the groups it has.
  if (setGroups < 0 && !isOwnUser) return refusal('groups', -setGroups, request.groups.join(','));
  try {
    // The saved ids stay ours, to come back by; execve(2) overwrites them in the program.
    const setGid = request.gid === own.gid ? 0 : attempt('setresgid', request.gid, request.gid, own.gid);
    if (setGid < 0) return refusal('gid', -setGid, String(request.gid));
    const setUid = request.uid === own.uid ? 0 : attempt('setresuid', request.uid, request.uid, own.uid);
    if (setUid < 0) return refusal('uid', -setUid, String(request.uid));
    const result = execute(request);
    return result.kind === 'started' ? { ...result, lacksGroups: setGroups < 0 } : result;
  } finally {
    attempt('setresuid', own.uid, own.uid, own.uid);
    attempt('setresgid', own.gid, own.gid, own.gid);
    if (setGroups === 0) writeGroups(groups);
  }
}

/** Tries each candidate as execvp(3) does: what is absent or forbidden is passed over, and "forbidden" is what's reported in the end. */
function execute(request: SpawnRequest): { readonly kind: 'started'; readonly pid: number } | Extract<StartAnswer, { kind: 'refused' }> {
  let worst = { errno: errnoOf('ENOENT'), path: request.candidates[0] ?? '' };
  for (const path of request.candidates) {
    const pid = spawnProgram({
      path,
      argv: request.argv,
      env: request.env,
      stdio: request.stdio,
      sharesSession: request.sharesSession === true,
    });
    if (pid > 0) return { kind: 'started', pid };
    if (!isAbsent(-pid)) return refusal('execute', -pid, path);
    const isThere = -pid === errnoOf('EACCES') || readHead(path) !== undefined;
    if (isThere && worst.errno === errnoOf('ENOENT')) worst = { errno: -pid, path };
  }
  return refusal('execute', worst.errno, worst.path);
}

function refusal(step: SpawnStep, errno: number, path: string): Extract<StartAnswer, { kind: 'refused' }> {
  return { kind: 'refused', step, errno, path, head: step === 'execute' ? readHead(path) : undefined };
}

/** The first bytes of a regular file, for the error's text; undefined where they can't be had. */
function readHead(path: string): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(Buffer.from(path, 'latin1'), fsConstants.O_RDONLY | fsConstants.O_NONBLOCK | fsConstants.O_NOCTTY);
  } catch {
    return undefined; // nothing there, or not for this user: the errno of execve(2) says it all
  }
  try {
    if (!fstatSync(fd).isFile()) return undefined;
    const head = Buffer.alloc(headBytes);
    return head.subarray(0, readSync(fd, head, 0, headBytes, 0));
  } finally {
    closeSync(fd);
  }
}

/** Node raised the soft limit to the hard one, and old programs close every possible descriptor one by one. Gives the limit before. */
function lowerOpenFiles(): Buffer {
  const limit = Buffer.alloc(16);
  attempt('prlimit64', 0, openFilesLimit, null, limit);
  const hard = limit.readBigUInt64LE(8);
  const lowered = Buffer.from(limit);
  lowered.writeBigUInt64LE(hard < openFiles ? hard : openFiles, 0);
  attempt('prlimit64', 0, openFilesLimit, lowered, null);
  return limit;
}

function listGroups(): readonly number[] {
  const count = Math.max(0, attempt('getgroups', 0, null));
  const list = Buffer.alloc(count * 4);
  attempt('getgroups', count, count === 0 ? null : list);
  return Array.from({ length: count }, (_, index) => list.readUInt32LE(index * 4));
}

function writeGroups(groups: readonly number[]): number {
  const list = Buffer.alloc(Math.max(4, groups.length * 4));
  for (const [index, gid] of groups.entries()) list.writeUInt32LE(gid, index * 4);
  return attempt('setgroups', groups.length, list);
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  const one = new Set(a);
  return one.size === new Set(b).size && b.every((number) => one.has(number));
}

function bytesFromParts(names: readonly string[]): ByteString {
  return `/${names.join('/')}` as ByteString; // parts of a ByteString
}
