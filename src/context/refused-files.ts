// A context's files, with the system's refusals said as what they are: the user's own files, closed to whoever builds.
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';
import type { FileView } from '../files/file-view.ts';

const refusals: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'permission denied'],
  ['EPERM', 'it is not permitted'],
  ['EIO', 'the disk can not read it'],
]);

/** The same files; ERR_CONTEXT names the one that can't be read. `label` as a tree's. */
export function tellingRefusals(files: FileView, label: string): FileView {
  const telling =
    <Value>(task: (path: ByteString) => Value) =>
    (path: ByteString): Value => {
      try {
        return task(path);
      } catch (error) {
        const state = refusals.get(systemCode(error) ?? '');
        if (state === undefined) throw error;
        throw new BuilderError('ERR_CONTEXT', `Cannot read '${textFromBytes(path)}' in ${label}: ${state}`, {
          cause: error,
          hint: 'let whoever builds read it, or leave it out by .dockerignore',
        });
      }
    };
  return {
    ...files,
    stat: telling(files.stat),
    names: telling(files.names),
    linkTarget: telling(files.linkTarget),
    xattrs: telling(files.xattrs),
    open: telling(files.open),
  };
}
