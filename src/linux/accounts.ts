// Users and groups as the image knows them: its own /etc/passwd and /etc/group, read by us and not by libc, whose lookups would
// load modules of the image into the builder. The files are the image's, so anything may be in them.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type ByteString, bytesFromText, joinBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { attempt, cString, errnoOf, systemError } from './libc.ts';

/** Who a command runs as. */
export interface UserIds {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, complete: the primary one is among them. */
  readonly groups: readonly number[];
}

/** The two files, each read when first asked for; empty where the image has none. */
export interface AccountFiles {
  readonly passwd: () => string;
  readonly group: () => string;
}

const largestFile = 10 * 1024 * 1024;
const inRoot = { noMagicLinks: 0x02, inRoot: 0x10 } as const; // openat2(2): RESOLVE_…
const currentDirectory = -100; // AT_FDCWD
// 4294967295 is -1 to the kernel: "leave it as it is".
const largestId = 4_294_967_294;
const rootName = 'root';

/**
 * The account files of the image that is unpacked at `root`; symlinks in their paths stay inside of it.
 * @throws ERR_ROOTFS, on reading, when one is not a regular file of up to 10 MiB.
 */
export function accountFiles(root: ByteString): AccountFiles {
  const read = (path: string): (() => string) => {
    let text: string | undefined;
    return () => (text ??= readAccountFile(root, path));
  };
  return { passwd: read('/etc/passwd'), group: read('/etc/group') };
}

/**
 * Who `USER spec` is; empty or undefined is root. A name or known number brings its primary and supplementary groups, `user:group`
 * exactly that one group, an unknown number group 0.
 * @throws ERR_DOCKERFILE for a name that the image lacks, or an id that no Linux has.
 */
export function resolveUser(spec: string | undefined, files: AccountFiles): UserIds {
  const { user, group } = splitSpec(spec ?? '');
  const uid = user === '' ? 0 : parseId(user);
  const gid = group === undefined ? undefined : parseId(group);
  if (uid !== undefined && gid !== undefined) return { uid, gid, groups: [gid] };
  const account = findAccount(files, user, uid);
  if (account === undefined && uid === undefined) throw unknown('user', user, '/etc/passwd');
  const ids = account ?? { uid: uid ?? 0, gid: 0, name: undefined };
  if (group !== undefined) {
    const only = gid ?? findGroup(files, group);
    return { uid: ids.uid, gid: only, groups: [only] };
  }
  const extra = ids.name === undefined ? [] : groupsOf(files, ids.name);
  return { uid: ids.uid, gid: ids.gid, groups: [...new Set([ids.gid, ...extra])] };
}

/**
 * The owner that `--chown=spec` names. A number without a group is the group's number too, a name brings its primary group.
 * @throws ERR_DOCKERFILE for a name that the image lacks, or an id that no Linux has.
 */
export function lookupOwner(spec: string, files: AccountFiles): { readonly uid: number; readonly gid: number } {
  const { user, group } = splitSpec(spec);
  const uid = user === '' ? 0 : parseId(user);
  const account = uid === undefined ? findAccount(files, user, undefined) : { uid, gid: uid };
  if (account === undefined) throw unknown('user', user, '/etc/passwd');
  if (group === undefined) return { uid: account.uid, gid: account.gid };
  return { uid: account.uid, gid: parseId(group) ?? findGroup(files, group) };
}

/** The home folder of a uid, `/` where the image does not know it. */
export function homeOf(uid: number, files: AccountFiles): string {
  for (const fields of lines(files.passwd())) {
    if (fields[2] !== undefined && /^\d+$/.test(fields[2]) && Number(fields[2]) === uid)
      return fields[5]?.startsWith('/') ? fields[5] : '/';
  }
  return '/';
}

function splitSpec(spec: string): { readonly user: string; readonly group: string | undefined } {
  const colon = spec.indexOf(':');
  if (colon === -1) return { user: spec, group: undefined };
  const group = spec.slice(colon + 1);
  if (group.includes(':')) throw new BuilderError('ERR_DOCKERFILE', `Cannot use ${JSON.stringify(spec)} as user: it is not user[:group]`);
  return { user: spec.slice(0, colon), group: group === '' ? undefined : group };
}

/** A number is always an id, even if the image has a user of that name. @throws ERR_DOCKERFILE when it is too large. */
function parseId(word: string): number | undefined {
  if (/^-\d+$/.test(word)) throw new BuilderError('ERR_DOCKERFILE', `Cannot use ${word} as an id: it is negative`);
  if (!/^\d+$/.test(word)) return undefined;
  const id = Number(word);
  if (id > largestId) throw new BuilderError('ERR_DOCKERFILE', `Cannot use ${word} as an id: ids end at ${largestId}`);
  return id;
}

function findAccount(
  files: AccountFiles,
  user: string,
  uid: number | undefined,
): { readonly uid: number; readonly gid: number; readonly name: string | undefined } | undefined {
  for (const [name, , uidField = '', gidField = ''] of lines(files.passwd())) {
    if (uid === undefined ? name !== user : !/^\d+$/.test(uidField) || Number(uidField) !== uid) continue;
    return { uid: idField(uidField, `user ${name}`, '/etc/passwd'), gid: idField(gidField, `user ${name}`, '/etc/passwd'), name };
  }
  // Without accounts, as in an image that begins with nothing, root is root all the same.
  return user === rootName ? { uid: 0, gid: 0, name: rootName } : undefined;
}

function findGroup(files: AccountFiles, group: string): number {
  for (const [name, , gid = ''] of lines(files.group())) if (name === group) return idField(gid, `group ${name}`, '/etc/group');
  if (group === rootName) return 0;
  throw unknown('group', group, '/etc/group');
}

function groupsOf(files: AccountFiles, user: string): readonly number[] {
  const found: number[] = [];
  for (const [name, , gid = '', members = ''] of lines(files.group())) {
    if (members.split(',').includes(user)) found.push(idField(gid, `group ${name}`, '/etc/group'));
  }
  return found;
}

/** A broken id must not become 0, which is root. */
function idField(field: string, whose: string, file: string): number {
  const id = /^\d+$/.test(field) ? Number(field) : Number.NaN;
  if (id <= largestId) return id;
  throw new BuilderError('ERR_DOCKERFILE', `Cannot use ${whose} of this image: ${file} gives it the id ${JSON.stringify(field)}`);
}

function lines(text: string): readonly (readonly string[])[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

function unknown(kind: 'user' | 'group', name: string, file: string): BuilderError {
  return new BuilderError('ERR_DOCKERFILE', `Cannot find ${kind} ${JSON.stringify(name)}: it is not in ${file} of this image`, {
    hint: `create it in an earlier RUN, or give its number`,
  });
}

function readAccountFile(root: ByteString, path: string): string {
  const fd = openInside(root, path);
  if (fd === undefined) return '';
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new BuilderError('ERR_ROOTFS', `Cannot read ${path} of the image: it is not a regular file`);
    const bytes = Buffer.alloc(Math.min(stat.size || 65_536, largestFile) + 1);
    let length = 0;
    for (let got = -1; got !== 0 && length < bytes.length; length += got) got = readSync(fd, bytes, length, bytes.length - length, length);
    if (stat.size > largestFile || length > largestFile) {
      throw new BuilderError('ERR_ROOTFS', `Cannot read ${path} of the image: it is larger than 10 MiB`);
    }
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(fd);
  }
}

/** Opens a file of the image without leaving `root`, and without waiting for the other end of a pipe. */
function openInside(root: ByteString, path: string): number | undefined {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  const absent = [errnoOf('ENOENT'), errnoOf('ENOTDIR')];
  const folder = openSync(Buffer.from(root, 'latin1'), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const how = Buffer.alloc(24);
    how.writeBigUInt64LE(BigInt(flags | closeOnExec), 0);
    how.writeBigUInt64LE(BigInt(inRoot.inRoot | inRoot.noMagicLinks), 16);
    const name = bytesFromText(path.slice(1));
    let result = attempt('openat2', folder, cString(name), how, how.length);
    // Unknown to kernels before 5.6 and forbidden by their seccomp profiles; from our own root there is nothing to leave.
    const isRefused = result === -errnoOf('ENOSYS') || result === -errnoOf('EPERM');
    if (isRefused && root === '/') result = attempt('openat', currentDirectory, cString(joinBytes(root, name)), flags | closeOnExec, 0);
    if (result >= 0) return result;
    if (absent.includes(-result)) return undefined;
    throw new BuilderError('ERR_ROOTFS', `Cannot read ${path} of the image`, { cause: systemError(-result, 'openat2') });
  } finally {
    closeSync(folder);
  }
}

const closeOnExec = 0o2000000; // O_CLOEXEC, the same on x86-64 and arm64
