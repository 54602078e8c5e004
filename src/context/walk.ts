// Everything below a selected source that is to be copied, parents first, in the order of names.
import type { BigIntStats } from 'node:fs';
import { textFromBytes } from '../bytes.ts';
import type { ByteString } from '../bytes.ts';
import { judge, judgePath, mayTakeBack } from './ignore.ts';
import type { IgnoreRules, IgnoreVerdict } from './ignore.ts';
import { hasWildcard } from './pattern.ts';
import { joinPath, listNames, pathIn, statOf } from './tree.ts';
import type { SourceTree } from './tree.ts';

/** Something to copy: `path` on disk, `relative` to the selected directory (never empty). */
export interface WalkItem {
  readonly path: ByteString;
  readonly relative: ByteString;
  readonly stats: BigIntStats;
}

/** The directory to walk, as `select` found it. */
export interface WalkRoot {
  readonly path: ByteString;
  readonly stats: BigIntStats;
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
  if (!root.stats.isDirectory()) return;
  const ignore = tree.ignore === undefined || root.path === '' ? undefined : judgePath(tree.ignore, textFromBytes(root.path));
  const start: Place = { inTree: root.path, relative: joinPath([]), pending: [], ...(ignore === undefined ? {} : { ignore }) };
  yield* walkDirectory({ tree, excludes, includes: root.includes }, start);
}

/** True where nothing at all would be copied. */
export function isEmptyWalk(tree: SourceTree, root: WalkRoot): boolean {
  return root.includes !== undefined && walkSelection(tree, root).next().done === true;
}

function* walkDirectory(rules: Rules, place: Place): Generator<WalkItem> {
  for (const name of listNames(pathIn(rules.tree.folder, place.inTree))) {
    const inTree = joinPath(place.inTree === '' ? [name] : [place.inTree, name]);
    if (rules.tree.hides?.(inTree) === true) continue;
    const relative = joinPath(place.relative === '' ? [name] : [place.relative, name]);
    const here = judgeHere(rules, place, inTree, relative);
    const isKept = here.ignore?.isIgnored !== true && here.exclude?.isIgnored !== true && here.include?.isIgnored !== false;
    if (!isKept && !mayHoldKept(rules, here)) continue;
    const path = pathIn(rules.tree.folder, inTree);
    const stats = statOf(path);
    if (stats === undefined) continue;
    const item: WalkItem = { path, relative, stats };
    if (isKept) {
      yield* place.pending.splice(0);
      yield item;
      if (stats.isDirectory()) yield* walkDirectory(rules, here);
    } else if (stats.isDirectory()) {
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
    ...(ignore === undefined ? {} : { ignore }),
    ...(exclude === undefined ? {} : { exclude }),
    ...(include === undefined ? {} : { include }),
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
