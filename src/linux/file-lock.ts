// flock(2): between processes, in whatever containers, that have the same folder. The kernel releases a lock with its process, however
// that ends, so nothing is left behind by a kill -9.
import { closeSync, constants, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ByteString, fsPath } from '../bytes.ts';
import { attempt, errnoOf, systemError } from './libc.ts';

/** How others may hold the lock meanwhile: not at all, or each `shared` too. */
export type LockKind = 'exclusive' | 'shared';

const operations: Readonly<Record<LockKind, number>> = { shared: 1, exclusive: 2 }; // LOCK_SH, LOCK_EX
const withoutWaiting = 4; // LOCK_NB
const pauseMs = 100;

/** A lock on a file, which is made where it is missing; undefined while somebody else holds it. @throws SystemError */
export function tryLock(path: ByteString, kind: LockKind): Disposable | undefined {
  const fd = openSync(fsPath(path), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  const result = attempt('flock', fd, operations[kind] | withoutWaiting);
  if (result === 0) return { [Symbol.dispose]: () => closeSync(fd) };
  closeSync(fd);
  if (result === -errnoOf('EAGAIN')) return undefined;
  throw systemError(-result, 'flock', path);
}

/** The same, waiting for others; `onWait` is called once where that is necessary. @throws SystemError, and the signal's reason */
export async function waitForLock(path: ByteString, kind: LockKind, signal: AbortSignal, onWait?: () => void): Promise<Disposable> {
  for (let isFirst = true; ; isFirst = false) {
    const lock = tryLock(path, kind);
    if (lock !== undefined) return lock;
    if (isFirst) onWait?.();
    await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
