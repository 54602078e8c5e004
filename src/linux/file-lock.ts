// flock(2): between processes, in whatever containers, that have the same folder. The kernel releases a lock with its process, however
// that ends, so nothing is left behind by a kill -9.
import { closeSync, constants, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ByteString, fsPath } from '../bytes.ts';
import { ifCode, orElse } from '../errors.ts';
import { attempt, errnoOf, systemError } from './libc.ts';

/** How others may hold the lock meanwhile: not at all, or each `shared` too. */
export type LockKind = 'exclusive' | 'shared';

const operations: Readonly<Record<LockKind, number>> = { shared: 1, exclusive: 2 }; // LOCK_SH, LOCK_EX
const withoutWaiting = 4; // LOCK_NB
const pauseMs = 100;

/** A lock on a file, which is made where it is missing; undefined while somebody else holds it. @throws SystemError */
export function tryLock(path: ByteString, kind: LockKind): Disposable | undefined {
  return tryLockOpened(path, kind, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW);
}

function tryLockOpened(path: ByteString, kind: LockKind, flags: number): Disposable | undefined {
  const fd = openSync(fsPath(path), flags, 0o600);
  const result = attempt('flock', fd, operations[kind] | withoutWaiting);
  if (result === 0) return { [Symbol.dispose]: () => closeSync(fd) };
  closeSync(fd);
  if (result === -errnoOf('EAGAIN')) return undefined;
  throw systemError(-result, 'flock', path);
}

/** The same, waiting for others; `onWait` is called once where that is necessary. @throws SystemError, and the signal's reason */
export async function waitForLock(path: ByteString, kind: LockKind, signal: AbortSignal, onWait?: () => void): Promise<Disposable> {
  return await waitFor(() => tryLock(path, kind), signal, onWait);
}

/**
 * A lock on a folder itself, in which nothing stays of it. Where the file system has none for folders (NFS), nobody waits for anybody,
 * and `onNone` is called. @throws SystemError where the folder can't be opened, and the signal's reason
 */
export async function waitForFolderLock(
  folder: ByteString,
  signal: AbortSignal,
  { kind = 'exclusive', onWait, onNone }: { readonly kind?: LockKind; readonly onWait?: () => void; readonly onNone?: () => void } = {},
): Promise<Disposable> {
  const tryOnce = (): Disposable | undefined => tryLockOpened(folder, kind, constants.O_RDONLY | constants.O_DIRECTORY);
  const none = ['EBADF', 'ENOLCK', 'EOPNOTSUPP', 'ENOSYS'];
  const lock = await waitFor(() => orElse(tryOnce, ifCode(none, 'none' as const)), signal, onWait);
  if (lock !== 'none') return lock;
  onNone?.();
  return { [Symbol.dispose]: () => undefined };
}

async function waitFor<Lock>(tryOnce: () => Lock | undefined, signal: AbortSignal, onWait?: () => void): Promise<Lock> {
  for (let isFirst = true; ; isFirst = false) {
    const lock = tryOnce();
    if (lock !== undefined) return lock;
    if (isFirst) onWait?.();
    await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
