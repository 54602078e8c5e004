// Extended attributes, of the link itself where a path is one. xattr(7).
import { type ByteString, bytesFromBuffer } from '../bytes.ts';
import { attempt, call, cString, errnoOf, systemError } from './libc.ts';

const listBuffer = Buffer.alloc(65536);
const valueBuffer = Buffer.alloc(65536);

/** A path, or the descriptor of an open file, which is twice as fast. */
export type XattrHolder = ByteString | number;

/** Names of all attributes; none where the filesystem has no such thing. @throws SystemError */
export function listXattrs(holder: XattrHolder): ByteString[] {
  const [name, target] = typeof holder === 'number' ? (['flistxattr', holder] as const) : (['llistxattr', cString(holder)] as const);
  const length = attempt(name, target, listBuffer, listBuffer.length);
  if (length === 0 || length === -errnoOf('ENOTSUP')) return [];
  if (length < 0) throw systemError(-length, name, pathOf(holder));
  const names: ByteString[] = [];
  for (let start = 0; start < length;) {
    const end = listBuffer.indexOf(0, start);
    names.push(bytesFromBuffer(listBuffer, start, end));
    start = end + 1;
  }
  return names;
}

/** The value of an attribute, in a buffer of its own; undefined where it is not set. @throws SystemError */
export function getXattr(holder: XattrHolder, name: string): Buffer | undefined {
  const [call_, target] = typeof holder === 'number' ? (['fgetxattr', holder] as const) : (['lgetxattr', cString(holder)] as const);
  const length = attempt(call_, target, nameBuffer(name), valueBuffer, valueBuffer.length);
  if (length === -errnoOf('ENODATA') || length === -errnoOf('ENOTSUP')) return undefined;
  if (length < 0) throw systemError(-length, call_, pathOf(holder));
  return Buffer.from(valueBuffer.subarray(0, length));
}

/** Sets an attribute. @throws SystemError: ENOTSUP, EPERM or EINVAL where this name can't be set here */
export function setXattr(path: ByteString, name: string, value: Buffer): void {
  call('lsetxattr', [cString(path), nameBuffer(name), value.length === 0 ? null : value, value.length, 0], path);
}

/** Removes an attribute; it's fine if there is none. @throws SystemError */
export function removeXattr(path: ByteString, name: string): void {
  const result = attempt('lremovexattr', cString(path), nameBuffer(name));
  if (result < 0 && result !== -errnoOf('ENODATA')) throw systemError(-result, 'lremovexattr', path);
}

function pathOf(holder: XattrHolder): ByteString | undefined {
  return typeof holder === 'number' ? undefined : holder;
}

function nameBuffer(name: string): Buffer {
  return Buffer.from(`${name}\0`, 'latin1');
}
