// Where the source of a mount is.
import { type ByteString, bytesFromText, textFromBytes } from '../../bytes.ts';
import { judgePath } from '../../context/ignore.ts';
import { type SourceTree, locate, lossHint } from '../../context/tree.ts';
import type { Flag } from '../../dockerfile/instruction.ts';
import { DockerfileError } from '../../errors.ts';
import { given } from '../../given.ts';
import { rootPath } from '../../paths.ts';

/** A source as the build sees it: links stay inside the tree, and what the ignore file hides is not there. */
export function findSource(flag: Flag, tree: SourceTree, source: string): { readonly path: ByteString; readonly isDirectory: boolean } {
  const located = locate(tree.files, bytesFromText(source));
  const isVisible =
    located.kind === 'found' &&
    tree.hides?.(located.path) !== true &&
    (tree.ignore === undefined ||
      located.path === rootPath ||
      located.stat.type === 'directory' ||
      !judgePath(tree.ignore, textFromBytes(located.path)).isIgnored);
  if (!isVisible) {
    const hint = located.kind === 'missing' ? lossHint(tree, located.missing) : undefined;
    throw new DockerfileError(`Cannot mount ${source}: it is not in ${tree.label}`, flag.range, given({ hint }));
  }
  if (located.stat.type !== 'directory' && located.stat.type !== 'file') {
    throw new DockerfileError(`Cannot mount ${source} of ${tree.label}: it is neither a file nor a folder`, flag.range);
  }
  return { path: located.path, isDirectory: located.stat.type === 'directory' };
}
