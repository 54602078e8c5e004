// Paths of any length: the kernel takes no more than 4,095 bytes at once, and a RUN that goes down folder by folder makes longer ones.
import { closeSync, constants, openSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';

const longestBytes = 3900; // of the kernel's 4,095, with room for the number of a descriptor

/** Calls `use` with a name of `path` that the kernel takes, valid until it returns. No link may be in its directories. @throws SystemError */
export function reach<T>(path: ByteString, use: (short: ByteString) => T): T {
  if (path.length <= longestBytes) return use(path);
  let fd: number | undefined;
  let rest: ByteString = path;
  try {
    while (rest.length > longestBytes) {
      const cut = rest.lastIndexOf('/', longestBytes);
      const next = openFolder(fd, rest.slice(0, cut) as ByteString); // a part of bytes
      if (fd !== undefined) closeSync(fd);
      fd = next;
      rest = rest.slice(cut + 1) as ByteString; // a part of bytes
    }
    return use(below(fd, rest));
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function openFolder(fd: number | undefined, path: ByteString): number {
  return openSync(fsPath(below(fd, path)), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

function below(fd: number | undefined, path: ByteString): ByteString {
  return fd === undefined ? path : (`/proc/self/fd/${fd}/${path}` as ByteString); // ASCII before bytes
}
