// A path in an image's tree, whatever symbolic links say: as a process in the image would see it.
import type { ByteString } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { textFromBytes } from '../bytes.ts';
import { type ImageTree, rootNode } from './image-tree.ts';

/** Where a path leads: free of links and `..`; `.` is the root. `node` is undefined where nothing is. */
export interface TreePlace {
  readonly path: ByteString;
  readonly node: number | undefined;
}

const maximumHops = 40;

/**
 * Resolves `path` (absolute or below the root; `..` stops at the root). Missing parts stay as they are written.
 * `leaf: 'keep'` gives the last name itself even where it is a symbolic link. With `top`, that directory is taken for the root.
 * @throws ERR_UNSAFE_PATH after 40 symbolic links
 */
export function resolveInTree(tree: ImageTree, path: ByteString, leaf: 'keep' | 'follow', top = rootNode): TreePlace {
  const pending = path.split('/').reverse();
  const done: { readonly name: string; readonly node: number | undefined }[] = [];
  let hops = 0;
  while (pending.length > 0) {
    const name = pending.pop();
    if (name === undefined || name === '' || name === '.') continue;
    if (name === '..') {
      done.pop();
      continue;
    }
    const last = done.at(-1);
    const parent = last === undefined ? top : last.node;
    const node = parent === undefined ? undefined : tree.child(parent, name as ByteString); // a part of bytes
    const target = node === undefined ? undefined : tree.linkTarget(node);
    const isLeaf = pending.every((rest) => rest === '' || rest === '.');
    if (target === undefined || (isLeaf && leaf === 'keep')) {
      done.push({ name, node });
      continue;
    }
    hops++;
    if (hops > maximumHops) throw tooManyLinks(path);
    if (target.startsWith('/')) done.length = 0;
    pending.push(...target.split('/').reverse());
  }
  if (done.length === 0) return { path: '.' as ByteString, node: top }; // ASCII
  return { path: done.map(({ name }) => name).join('/') as ByteString, node: done.at(-1)?.node }; // names of bytes
}

function tooManyLinks(path: ByteString): BuilderError {
  return new BuilderError(
    'ERR_UNSAFE_PATH',
    `Cannot resolve ${JSON.stringify(textFromBytes(path))}: more than ${maximumHops} symbolic links`,
  );
}
