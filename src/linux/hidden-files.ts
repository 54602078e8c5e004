// Takes our credentials away while a RUN runs: root there reads every file, whatever its mode.
import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { BuilderError, ifCode, orElse, systemCode } from '../errors.ts';

export interface HiddenFiles {
  /** Files that stay readable, with the reason: mounted read-only, or a mount themselves. */
  readonly left: readonly { readonly path: string; readonly reason: string }[];
  /** Puts all back, once; a second call does nothing. @throws ERR_TAMPERED when something stands in their place */
  readonly restore: () => void;
}

interface Hidden {
  readonly path: string;
  readonly content: Buffer;
  readonly stats: BigIntStats;
  readonly parent: BigIntStats;
}

/**
 * Keeps the content of `paths` in memory and removes the files; absent ones are fine. Synchronous, so that nothing can come
 * between, and so that restore() works on the way out of any failure.
 * @throws SystemError for what can't be read at all.
 */
export function hideFiles(paths: readonly string[]): HiddenFiles {
  const hidden: Hidden[] = [];
  const left: { path: string; reason: string }[] = [];
  const restore = (): void => {
    const failures: unknown[] = [];
    for (let one = hidden.pop(); one !== undefined; one = hidden.pop()) {
      try {
        putBack(one);
      } catch (error) {
        failures.push(error); // the others come back all the same
      }
    }
    if (failures.length > 0) throw failures[0];
  };
  try {
    for (const path of new Set(paths.map(realPath))) {
      if (path === undefined) continue;
      const stats = lstatSync(path, { bigint: true });
      if (!stats.isFile()) continue;
      const content = readFileSync(path);
      const parent = lstatSync(dirname(path), { bigint: true });
      const reason = remove(path);
      if (reason === undefined) hidden.push({ path, content, stats, parent });
      else left.push({ path, reason });
    }
  } catch (error) {
    restore();
    throw error;
  }
  return { left, restore };
}

/** Why the file can't be taken away; undefined when it is gone. */
function remove(path: string): string | undefined {
  try {
    unlinkSync(path);
    return undefined;
  } catch (error) {
    const code = systemCode(error) ?? '';
    if (code === 'EROFS') return 'it is mounted read-only';
    if (code === 'EBUSY') return 'it is a mount of its own';
    if (code === 'EPERM' || code === 'EACCES') return 'its folder can not be written';
    throw error;
  }
}

function putBack({ path, content, stats, parent }: Hidden): void {
  const tampered = (cause?: unknown): BuilderError =>
    new BuilderError('ERR_TAMPERED', `Cannot restore ${path}: a RUN put something else in its place`, { cause });
  let now: BigIntStats;
  try {
    now = lstatSync(dirname(path), { bigint: true });
  } catch (error) {
    throw tampered(error);
  }
  if (now.dev !== parent.dev || now.ino !== parent.ino) throw tampered();
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    throw systemCode(error) === 'EEXIST' ? tampered(error) : error;
  }
  try {
    for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
  } finally {
    closeSync(fd);
  }
  chownSync(path, Number(stats.uid), Number(stats.gid));
  chmodSync(path, Number(stats.mode & 0o7777n));
}

function realPath(path: string): string | undefined {
  return orElse(() => realpathSync(path), ifCode(['ENOENT', 'ENOTDIR', 'ELOOP']));
}
