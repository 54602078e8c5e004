// A folder on disk as a view. Opens nothing but regular files, and those without following a link or waiting: a FIFO or a device
// under a known name must not stop or feed us.
import { readdirSync } from 'node:fs';
import { type ByteString, fsPath } from '../bytes.ts';
import { splitDevice, statFieldCount, StatField, statInto } from '../linux/files.ts';
import { pathIn } from '../paths.ts';
import { openFile } from './read-file.ts';
import { readLink } from './resolve.ts';
import type { FileStat, FileType, FileView } from './file-view.ts';
import { readXattrs } from './metadata.ts';
import type { MovedFolders } from './moved-folders.ts';

const types: ReadonlyMap<number, FileType> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o020000, 'character'],
  [0o060000, 'block'],
  [0o010000, 'fifo'],
]);

/** The files below `folder`, which must be absolute, and free of links where it is among what is `moved`. */
export function diskView(folder: ByteString, moved?: MovedFolders): FileView {
  const numbers = new Float64Array(statFieldCount);
  const onDisk = (path: ByteString): ByteString => {
    const usual = pathIn(folder, path);
    return moved === undefined ? usual : moved.placeOf(usual);
  };
  const namesIn = (path: ByteString): ByteString[] => readdirSync(fsPath(onDisk(path)), { encoding: 'latin1' }) as ByteString[]; // latin1 is bytes
  return {
    folder,
    stat: (path) => (statInto(onDisk(path), numbers) ? statOf(numbers) : undefined),
    names: (path) => [...new Set([...namesIn(path), ...(moved?.staying(pathIn(folder, path)) ?? [])])].sort(),
    linkTarget: (path) => readLink(onDisk(path)),
    xattrs: (path) => readXattrs(onDisk(path)),
    open: (path) => openFile(onDisk(path)),
    gather: () => Promise.resolve(),
  };
}

/** Twelve numbers in the order of `StatField`, as a stat. */
export function statOf(numbers: Float64Array): FileStat {
  const at = (field: number): number => numbers[field] ?? 0;
  const mode = at(StatField.mode);
  const type = types.get(mode & 0o170000) ?? 'socket';
  return {
    type,
    mode: mode & 0o7777,
    uid: at(StatField.uid),
    gid: at(StatField.gid),
    size: type === 'file' ? at(StatField.size) : 0,
    mtime: { seconds: at(StatField.mtimeSeconds), nanoseconds: at(StatField.mtimeNanoseconds) },
    links: at(StatField.links),
    identity: `${at(StatField.device)}:${at(StatField.inode)}`,
    ...(type === 'character' || type === 'block' ? { device: splitDevice(at(StatField.rdev)) } : {}),
  };
}
