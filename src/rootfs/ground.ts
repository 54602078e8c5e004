// Folders of the disk that are somebody's, and that the image gets while it works there.
import type { SourceRange } from '../errors.ts';
import type { Protection } from '../files/root.ts';
import type { ImageTree } from '../tree/image-tree.ts';

export interface Ground {
  /** What of the disk is not the image's, at each moment. */
  readonly protection: Protection;
  /** Before the disk changes: what others made meanwhile is put out of the way; tells whether there was any. */
  readonly begin: (tree: ImageTree) => boolean;
  /** True where the image has none of the folders. */
  readonly isOthers: boolean;
  /** True where `adjust` has nothing to do. */
  readonly suits: (tree: ImageTree) => boolean;
  /**
   * Gets the folders that an image needs, and gives back those that it doesn't; the disk must have nothing in them then. Tells whether
   * `protection` is another one now. @throws ERR_CONTEXT where a RUN would not see the image's files
   */
  readonly adjust: (tree: ImageTree, isForRun: boolean) => Promise<boolean>;
  /**
   * After the command at `range` has ended, however: what is mounted in a folder that it renamed is protected where it is now.
   * @throws ERR_CONTEXT where that is a context
   */
  readonly followMounts: (range: SourceRange) => void;
  /** After the disk has changed. */
  readonly end: () => Promise<void>;
}
