// Everything below a selected source that is to be copied, parents first, in the order of names.
import { given } from '../given.ts';
import { type ByteString, textFromBytes } from '../bytes.ts';
import { type IgnoreRules, type IgnoreVerdict, judge, judgePath, mayTakeBack } from './ignore.ts';
import { hasWildcard } from './pattern.ts';
import type { FileStat } from '../files/file-view.ts';
import { childPath, rootPath } from '../paths.ts';
import type { SourceTree } from './tree.ts';

/** Something to copy: `path` in the tree, `relative` to the selected directory (never its root). */
export interface WalkItem {
  readonly path: ByteString;
  readonly relative: ByteString;
  readonly stat: FileStat;
}

/** The directory to walk, as `select` found it. */
export interface WalkRoot {
  readonly path: ByteString;
  readonly stat: FileStat;
  readonly includes?: IgnoreRules;
}

/** A directory on the way down, with what each set of rules says of it. */
interface Place {
  readonly inTree: ByteString;
  readonly relative: ByteString;
  readonly ignore?: IgnoreVerdict;
  readonly exclude?: IgnoreVerdict;
  readonly include?: IgnoreVerdict;
  /** Directories above that are copied as soon as something below them is. */
  readonly pending: WalkItem[];
}

interface Rules {
  readonly tree: SourceTree;
  readonly excludes: IgnoreRules | undefined;
  readonly includes: IgnoreRules | undefined;
}

/**
 * Yields what is below a directory and not ignored, hidden or excluded. A directory that is left out itself comes just
 * before the first thing below it that is not. The root of the walk is not part of it; a file yields nothing.
 */
export function* walkSelection(tree: SourceTree, root: WalkRoot, excludes?: IgnoreRules): Generator<WalkItem> {
  if (root.stat.type !== 'directory') return;
  const ignore = tree.ignore === undefined || root.path === rootPath ? undefined : judgePath(tree.ignore, textFromBytes(root.path));
  const start: Place = { inTree: root.path, relative: rootPath, pending: [], ...given({ ignore }) };
  yield* walkDirectory({ tree, excludes, includes: root.includes }, start);
}

/** True where nothing at all would be copied. */
export function isEmptyWalk(tree: SourceTree, root: WalkRoot): boolean {
  return root.includes !== undefined && walkSelection(tree, root).next().done === true;
}

function* walkDirectory(rules: Rules, place: Place): Generator<WalkItem> {
  const { files } = rules.tree;
  for (const name of files.names(place.inTree)) {
    const inTree = childPath(place.inTree, name);
    if (rules.tree.hides?.(inTree) === true) continue;
    const relative = childPath(place.relative, name);
    const here = judgeHere(rules, place, inTree, relative);
    const isKept = here.ignore?.isIgnored !== true && here.exclude?.isIgnored !== true && here.include?.isIgnored !== false;
    if (!isKept && !mayHoldKept(rules, here)) continue;
    const stat = files.stat(inTree);
    if (stat === undefined) continue;
    const item: WalkItem = { path: inTree, relative, stat };
    if (isKept) {
      yield* place.pending.splice(0);
      yield item;
      if (stat.type === 'directory') yield* walkDirectory(rules, here);
    } else if (stat.type === 'directory') {
      const below: Place = { ...here, pending: [...place.pending, item] };
      for (const found of walkDirectory(rules, below)) {
        place.pending.length = 0;
        yield found;
      }
    }
  }
}

function judgeHere(rules: Rules, parent: Place, inTree: ByteString, relative: ByteString): Place {
  const ignore = rules.tree.ignore === undefined ? undefined : judge(rules.tree.ignore, textFromBytes(inTree), parent.ignore);
  const exclude = rules.excludes === undefined ? undefined : judge(rules.excludes, textFromBytes(relative), parent.exclude);
  const include = rules.includes === undefined ? undefined : judge(rules.includes, textFromBytes(relative), parent.include);
  return {
    inTree,
    relative,
    pending: [],
    ...given({ ignore, exclude, include }),
  };
}

function mayHoldKept(rules: Rules, place: Place): boolean {
  if (place.ignore?.isIgnored === true && rules.tree.ignore !== undefined && !mayTakeBack(rules.tree.ignore, textFromBytes(place.inTree)))
    return false;
  if (place.exclude?.isIgnored === true && rules.excludes !== undefined && !mayTakeBack(rules.excludes, textFromBytes(place.relative)))
    return false;
  return place.include?.isIgnored !== false || rules.includes === undefined || mayInclude(rules.includes, textFromBytes(place.relative));
}

// Only one way to be sure that no include pattern reaches below a directory: a plain component that differs.
function mayInclude({ rules }: IgnoreRules, directory: string): boolean {
  const components = directory.split('/');
  return rules.some((rule) => {
    const pattern = rule.pattern.split('/');
    for (const [index, component] of components.entries()) {
      const wanted = pattern[index];
      if (wanted === undefined) return false;
      if (wanted.includes('**')) return true;
      if (!hasWildcard(wanted) && !wanted.includes('\\') && wanted !== component) return false;
    }
    return true;
  });
}
