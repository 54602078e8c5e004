// Buffers that are lent and come back: fresh ones of this size for each file keep V8's collector busy.

/** What each holds: a file of up to a mebibyte, and one byte more to notice that it has grown. */
export const lentBytes = 1024 * 1024 + 1;
/** As much is read at once of what is larger: it stays in a core's cache until it is copied on. */
export const pieceBytes = 256 * 1024;
/** More than are in use at once, as a rule; the others are left to the collector. */
const mostKept = 4;

const free: Buffer[] = [];

/** A buffer of `lentBytes`, whatever was in it, until it is given back. */
export function lendBuffer(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(lentBytes);
}

/** Takes back what was lent. The caller may not look at it any more. */
export function giveBack(buffer: Buffer): void {
  if (free.length < mostKept) free.push(buffer);
}
