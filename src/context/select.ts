// From the words of a COPY to the files it names: wildcards, links inside the jail, ignore rules, and why nothing was found.
import { bytesFromText, type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError } from '../errors.ts';
import { compileExcludes, type IgnoreRules, judgePath, mayTakeBack } from './ignore.ts';
import { compileWildcard, hasWildcard } from './pattern.ts';
import type { FileStat } from '../files/file-view.ts';
import { childPath, clampPath, namesOf, pathBelow, pathOfNames, rootPath, splitPath } from '../paths.ts';
import { suggest } from '../suggest.ts';
import { locate, type Located, lossHint, type SourceTree } from './tree.ts';
import { isEmptyWalk, walkSelection } from './walk.ts';

/** One thing to copy: a file as itself, a directory as its content. */
export interface Selection {
  /** In the tree, free of links; `.` for its root. */
  readonly path: ByteString;
  /** The last component of the name it was asked for by: what a copy in a directory is called. */
  readonly name: ByteString;
  readonly stat: FileStat;
  /** Where only some of what lies below is meant (`--parents`): patterns relative to `path`. */
  readonly includes?: IgnoreRules;
}

/**
 * The things a source word names, wildcard matches in lexical order. A wildcard may match nothing.
 * @throws BuilderError ERR_CONTEXT where a name does not exist or is ignored, or a pattern is malformed
 */
export function selectSources(tree: SourceTree, word: string): Selection[] {
  const components = namesOf(cleanWord(word));
  const wildAt = components.findIndex((component) => hasWildcard(component));
  if (wildAt < 0) return [selectLiteral(tree, pathOfNames(components), word)];
  const base = find(tree, pathOfNames(components.slice(0, wildAt)), word);
  const paths = expandWildcards(tree, base.path, components.slice(wildAt));
  return paths.flatMap((path) => {
    const located = locate(tree.files, path);
    // A match may be a link that leads nowhere: like a name that isn't there.
    if (located.kind !== 'found') throw notFound(tree, word, located);
    if (!isVisible(tree, path) || !isVisible(tree, located.path)) return [];
    return [{ path: located.path, name: lastName(path), stat: located.stat }];
  });
}

/**
 * For `--parents`: the directory before the first `/./` (or the root), with the rest as a pattern of what is copied below it.
 * @throws BuilderError ERR_CONTEXT as selectSources
 */
export function selectWithParents(tree: SourceTree, word: string): Selection[] {
  const pivot = word.indexOf('/./');
  const parent = pivot < 0 ? '' : word.slice(0, pivot);
  const pattern = cleanWord(pivot < 0 ? word : word.slice(pivot + 3));
  const bases = selectSources(tree, parent).filter((base) => base.stat.type === 'directory');
  const isLiteral = !hasWildcard(parent) && !hasWildcard(word);
  const selections = bases.map((base) =>
    pattern === rootPath ? base : { ...base, includes: compileExcludes([textFromBytes(pattern)], word) },
  );
  if (isLiteral && selections.every((selection) => isEmptyWalk(tree, selection))) throw nothingBelow(tree, parent, pattern, word);
  return selections;
}

function selectLiteral(tree: SourceTree, path: ByteString, word: string): Selection {
  const found = find(tree, path, word);
  for (const each of [path, found.path]) if (!isVisible(tree, each)) throw ignored(tree, word, each);
  return { path: found.path, name: lastName(path), stat: found.stat };
}

function find(tree: SourceTree, path: ByteString, word: string): Extract<Located, { kind: 'found' }> {
  const located = locate(tree.files, path);
  if (located.kind !== 'found') throw notFound(tree, word, located);
  return located;
}

// Go's Walk and Match: directories are entered by their own name only (no links), and a match is not searched further.
function expandWildcards(tree: SourceTree, base: ByteString, patterns: readonly ByteString[]): ByteString[] {
  const matchers = patterns.map((pattern) => compileWildcard(textFromBytes(pattern)));
  let paths = [base];
  for (const matches of matchers) {
    paths = paths.flatMap((path) => {
      if (tree.files.stat(path)?.type !== 'directory') return [];
      const names = tree.files.names(path).filter((name) => matches(textFromBytes(name)));
      return names.map((name) => childPath(path, name));
    });
  }
  return paths;
}

/** False for what ignore rules take away, unless an exception takes something below it back. */
function isVisible(tree: SourceTree, path: ByteString): boolean {
  if (path === rootPath) return true;
  if (tree.hides?.(path) === true) return false;
  if (tree.ignore === undefined) return true;
  const text = textFromBytes(path);
  if (!judgePath(tree.ignore, text).isIgnored) return true;
  const stat = tree.files.stat(path);
  if (stat?.type !== 'directory' || !mayTakeBack(tree.ignore, text)) return false;
  return !walkSelection(tree, { path, stat }).next().done;
}

// A source is always inside its tree: `/`, `.` and `..` in front only name its root.
function cleanWord(word: string): ByteString {
  return clampPath(bytesFromText(word));
}

function lastName(path: ByteString): ByteString {
  return path === rootPath ? path : splitPath(path).name;
}

function nothingBelow(tree: SourceTree, parent: string, pattern: ByteString, word: string): BuilderError {
  const path = pathBelow(cleanWord(parent), pattern);
  const located = locate(tree.files, path);
  if (located.kind !== 'found') return notFound(tree, word, located);
  for (const each of [path, located.path]) if (!isVisible(tree, each)) return ignored(tree, word, each);
  return new BuilderError('ERR_CONTEXT', `Cannot copy '${word}' with --parents: its path in ${tree.label} goes through a symbolic link`, {
    hint: `Name the place it leads to: '${textFromBytes(located.path)}'.`,
  });
}

function notFound(tree: SourceTree, word: string, located: Exclude<Located, { kind: 'found' }>): BuilderError {
  const start = `Cannot copy '${word}'`;
  if (located.kind === 'loop')
    return new BuilderError('ERR_CONTEXT', `${start}: too many symbolic links at '${textFromBytes(located.path)}' in ${tree.label}`);
  if (located.link !== undefined) {
    const target = textFromBytes(located.path);
    const message = `${start}: '${textFromBytes(located.link)}' in ${tree.label} is a symbolic link to '${target}', which is not found there`;
    return new BuilderError('ERR_CONTEXT', message, { hint: `A link in ${tree.label} is followed inside it, never out of it.` });
  }
  const missing = textFromBytes(located.missing);
  const hint = hintFor(tree, located.missing);
  const place = cleanWord(word) === located.missing || missing === '.' ? '' : ` ('${missing}' does not exist)`;
  return new BuilderError('ERR_CONTEXT', `${start}: not found in ${tree.label}${place}`, hint === undefined ? {} : { hint });
}

/** Whose the place is, who took away what was there, or which name may have been meant. */
function hintFor(tree: SourceTree, missing: ByteString): string | undefined {
  if (tree.isForeign?.(missing) === true)
    return `what a RUN makes there is not the image's: it is a mount or a folder of this container, the builder's, or left out by --ignore-path; let it write elsewhere`;
  const guess = guessName(tree, missing);
  return lossHint(tree, missing) ?? (guess === undefined ? undefined : `did you mean '${guess}'?`);
}

function ignored(tree: SourceTree, word: string, path: ByteString): BuilderError {
  const rule = tree.ignore === undefined ? undefined : judgePath(tree.ignore, textFromBytes(path)).rule;
  if (rule === undefined || tree.ignore === undefined) {
    return new BuilderError('ERR_CONTEXT', `Cannot copy '${word}': '${textFromBytes(path)}' in ${tree.label} belongs to the builder`);
  }
  const message = `Cannot copy '${word}': excluded from ${tree.label} by ${tree.ignore.name}:${rule.line} '${rule.text}'`;
  return new BuilderError('ERR_CONTEXT', message, { hint: `remove that line, or add '!${textFromBytes(path)}' below it` });
}

/** The visible sibling whose name is nearest to the one that is missing. */
function guessName(tree: SourceTree, missing: ByteString): string | undefined {
  const { parent } = splitPath(missing);
  if (tree.files.stat(parent)?.type !== 'directory') return undefined;
  const visible = tree.files
    .names(parent)
    .slice(0, 1000)
    .filter((name) => isVisible(tree, childPath(parent, name)));
  const name = suggest(textFromBytes(lastName(missing)), visible.map(textFromBytes));
  return name === undefined ? undefined : textFromBytes(childPath(parent, bytesFromText(name)));
}
