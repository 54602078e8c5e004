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

// On x86-64, which has the numbers of its own first years, and on arm64, which has the table of every newer architecture.
const numbers = {
  getpid: [39, 172],
  kill: [62, 129],
  prctl: [157, 167],
  setgroups: [116, 159],
  getgroups: [115, 158],
  setresuid: [117, 147],
  setresgid: [119, 149],
  capget: [125, 90],
  capset: [126, 91],
  pivot_root: [155, 41],
  chroot: [161, 51],
  mount: [165, 40],
  umount2: [166, 39],
  sethostname: [170, 161],
  unshare: [272, 97],
  waitid: [247, 95],
  fcntl: [72, 25],
  flock: [73, 32],
  ioctl: [16, 29],
  socket: [41, 198],
  getdents64: [217, 61],
  openat: [257, 56],
  close: [3, 57],
  mkdirat: [258, 34],
  fchownat: [260, 54],
  mknodat: [259, 33],
  utimensat: [280, 88],
  lsetxattr: [189, 6],
  lgetxattr: [192, 9],
  fgetxattr: [193, 10],
  llistxattr: [195, 12],
  flistxattr: [196, 13],
  lremovexattr: [198, 15],
  statx: [332, 291],
  renameat2: [316, 276],
  memfd_create: [319, 279],
  statfs: [137, 43],
  prlimit64: [302, 261],
  umask: [95, 166],
  fchdir: [81, 50],
  chdir: [80, 49],
  clock_gettime: [228, 113],
  fadvise64: [221, 223],
  pipe2: [293, 59],
  openat2: [437, 437],
  mount_setattr: [442, 442],
} as const;

/** A system call that this file knows the number of. */
export type SystemCall = keyof typeof numbers;

const column = process.arch === 'arm64' ? 1 : 0;
const libc = load(null);
// Every argument register is passed as a pointer: koffi takes integers, buffers and null for one alike.
const raw: (...args: readonly Argument[]) => number = libc.func('syscall', 'int64', ['long', ...Array.from({ length: 6 }, () => 'void *')]);

/**
 * Calls the kernel and gives its answer, which is a negated errno when it refused; six arguments at most.
 * Acts on the calling thread alone. A signal is no failure: EINTR is called again.
 */
export function attempt(name: SystemCall, ...args: readonly Argument[]): number {
  const [a = null, b = null, c = null, d = null, e = null, f = null] = args;
  for (;;) {
    const result = raw(numbers[name][column], a, b, c, d, e, f);
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
