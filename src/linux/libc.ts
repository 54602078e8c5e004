// The floor under `linux/`: raw system calls through libc's syscall(2), which act on the calling thread only (glibc's own
// setuid and friends change every thread). Errors look like those of node:fs.
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { address, errno as lastErrno, load } from 'koffi';
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';

/** What a system call takes: an integer, a buffer whose address is passed, or null. */
export type Argument = number | bigint | Uint8Array | null;

/** Shaped like a failure of node:fs: `code` is `'ENOENT'`, `errno` is negative. */
export interface SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path?: string;
}

// x86-64 has the numbers of its own first years; every newer architecture shares one table, and after 424 all share it.
const numbers = {
  x64: {
    getpid: 39,
    kill: 62,
    ptrace: 101,
    prctl: 157,
    gettid: 186,
    setgroups: 116,
    getgroups: 115,
    setresuid: 117,
    setresgid: 119,
    capget: 125,
    capset: 126,
    personality: 135,
    pivot_root: 155,
    chroot: 161,
    mount: 165,
    umount2: 166,
    sethostname: 170,
    setns: 308,
    unshare: 272,
    seccomp: 317,
    waitid: 247,
    wait4: 61,
    fcntl: 72,
    flock: 73,
    ioctl: 16,
    socket: 41,
    getdents64: 217,
    openat: 257,
    close: 3,
    mkdirat: 258,
    mknodat: 259,
    fchownat: 260,
    newfstatat: 262,
    unlinkat: 263,
    renameat: 264,
    linkat: 265,
    symlinkat: 266,
    readlinkat: 267,
    utimensat: 280,
    lsetxattr: 189,
    lgetxattr: 192,
    fgetxattr: 193,
    llistxattr: 195,
    flistxattr: 196,
    lremovexattr: 198,
    statx: 332,
    renameat2: 316,
    memfd_create: 319,
    statfs: 137,
    setrlimit: 160,
    prlimit64: 302,
    umask: 95,
    fchdir: 81,
    chdir: 80,
    execve: 59,
    clock_gettime: 228,
    clock_getres: 229,
    sched_getaffinity: 204,
    fchmodat: 268,
    fsync: 74,
    sync: 162,
    copy_file_range: 326,
    fadvise64: 221,
    pipe2: 293,
    process_vm_readv: 310,
  },
  arm64: {
    getpid: 172,
    kill: 129,
    ptrace: 117,
    prctl: 167,
    gettid: 178,
    setgroups: 159,
    getgroups: 158,
    setresuid: 147,
    setresgid: 149,
    capget: 90,
    capset: 91,
    personality: 92,
    pivot_root: 41,
    chroot: 51,
    mount: 40,
    umount2: 39,
    sethostname: 161,
    setns: 268,
    unshare: 97,
    seccomp: 277,
    waitid: 95,
    wait4: 260,
    fcntl: 25,
    flock: 32,
    ioctl: 29,
    socket: 198,
    getdents64: 61,
    openat: 56,
    close: 57,
    mkdirat: 34,
    mknodat: 33,
    fchownat: 54,
    newfstatat: 79,
    unlinkat: 35,
    renameat: 38,
    linkat: 37,
    symlinkat: 36,
    readlinkat: 78,
    utimensat: 88,
    lsetxattr: 6,
    lgetxattr: 9,
    fgetxattr: 10,
    llistxattr: 12,
    flistxattr: 13,
    lremovexattr: 15,
    statx: 291,
    renameat2: 276,
    memfd_create: 279,
    statfs: 43,
    setrlimit: 164,
    prlimit64: 261,
    umask: 166,
    fchdir: 50,
    chdir: 49,
    execve: 221,
    clock_gettime: 113,
    clock_getres: 114,
    sched_getaffinity: 123,
    fchmodat: 53,
    fsync: 82,
    sync: 81,
    copy_file_range: 285,
    fadvise64: 223,
    pipe2: 59,
    process_vm_readv: 270,
  },
} as const;
const newNumbers = {
  pidfd_send_signal: 424,
  open_tree: 428,
  move_mount: 429,
  pidfd_open: 434,
  close_range: 436,
  openat2: 437,
  mount_setattr: 442,
  landlock_create_ruleset: 444,
  landlock_add_rule: 445,
  landlock_restrict_self: 446,
} as const;

/** A system call that this file knows the number of. */
export type SystemCall = keyof typeof numbers.x64 | keyof typeof newNumbers;

const table: Readonly<Record<SystemCall, number>> = { ...(process.arch === 'arm64' ? numbers.arm64 : numbers.x64), ...newNumbers };
const libc = load(null);
// Every argument register is passed as a pointer: koffi takes integers, buffers and null for one alike.
const raw: (...args: readonly Argument[]) => number = libc.func('syscall', 'int64', [
  'long',
  'void *',
  'void *',
  'void *',
  'void *',
  'void *',
  'void *',
]);

/**
 * Calls the kernel and gives its answer, which is a negated errno when it refused; six arguments at most.
 * Acts on the calling thread alone. A signal is no failure: EINTR is called again.
 */
export function attempt(name: SystemCall, ...args: readonly Argument[]): number {
  const [a = null, b = null, c = null, d = null, e = null, f = null] = args;
  for (;;) {
    const result = raw(table[name], a, b, c, d, e, f);
    if (result !== -1) return result;
    const failure = lastErrno();
    if (failure !== constants.errno.EINTR) return -failure;
  }
}

/**
 * Calls the kernel and gives its answer; `path` is only for the error's text.
 * @throws SystemError as node:fs would.
 */
export function call(name: SystemCall, args: readonly Argument[], path?: ByteString): number {
  const result = attempt(name, ...args);
  if (result < 0) throw systemError(-result, name, path);
  return result;
}

/**
 * A function of libc itself that gives an int; what is not a system call, such as posix_spawn. An `'int'` is passed as one,
 * an `'address'` is a buffer's address, an integer or null.
 */
export function bind(name: string, parameters: readonly ('int' | 'address')[]): (...args: readonly Argument[]) => number {
  return libc.func(
    name,
    'int',
    parameters.map((kind) => (kind === 'int' ? 'int' : 'void *')),
  );
}

/** The error that node:fs would throw for a positive `errno`. */
export function systemError(errno: number, syscall: string, path?: ByteString): SystemError {
  const [code, text] = getSystemErrorMap().get(-errno) ?? [errnoName(errno), 'system error'];
  const shown = path === undefined ? undefined : textFromBytes(path);
  const error = new Error(`${code}: ${text}, ${syscall}${shown === undefined ? '' : ` '${shown}'`}`);
  return Object.assign(error, { code, errno: -errno, syscall, ...given({ path: shown }) });
}

/** The positive errno of a name such as `'ENOENT'`. */
export function errnoOf(name: keyof typeof constants.errno): number {
  return constants.errno[name];
}

/** A path as C wants it: its bytes and a NUL. @throws ERR_UNSAFE_PATH when there is a NUL inside, which C would cut at. */
export function cString(bytes: ByteString): Buffer {
  if (bytes.includes('\0')) {
    throw new BuilderError('ERR_UNSAFE_PATH', `Cannot use path ${JSON.stringify(textFromBytes(bytes))}: it contains a NUL byte`);
  }
  return Buffer.from(`${bytes}\0`, 'latin1');
}

const lent = Buffer.allocUnsafeSlow(4096);

/** The same for a call that is made at once: the next path takes its place. */
export function lendCString(bytes: ByteString): Buffer {
  if (bytes.length >= lent.length || bytes.includes('\0')) return cString(bytes);
  lent[lent.write(bytes, 0, 'latin1')] = 0;
  return lent;
}

/**
 * Proves once, at start, that calls reach this kernel with this table and that errno comes back.
 * @throws ERR_UNSUPPORTED on an architecture or a libc where they do not.
 */
export function assertSystemCallsWork(): void {
  const isKnown = process.arch === 'x64' || process.arch === 'arm64';
  const isRight = isKnown && attempt('getpid') === process.pid && attempt('close', -1) === -constants.errno.EBADF;
  if (isRight) return;
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot make system calls on ${process.platform}/${process.arch}: the self-test failed`, {
    hint: 'Linux on x86-64 or arm64 with glibc is needed',
  });
}

function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(constants.errno)) if (value === errno) return name;
  return `E${errno}`;
}

/** Where a buffer stands in memory, to point into it; valid while the buffer lives. */
export function addressOf(buffer: Uint8Array): bigint {
  return address(buffer);
}
