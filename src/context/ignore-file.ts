// Which ignore file holds for a context, and reading it without leaving the context.
import { statSync } from 'node:fs';
import { basename, dirname, relative } from 'node:path';
import { bytesFromText, fsPath, textFromBytes } from '../bytes.ts';
import { BuilderError, ifCode, inWords, orElse } from '../errors.ts';
import { type IgnoreRules, parseIgnoreFile } from './ignore.ts';
import { pathIn } from '../paths.ts';
import { locate, type SourceTree } from './tree.ts';
import { readSmallFileSync } from '../small-file.ts';

const limitBytes = 16 * 1024 * 1024;

export interface IgnoreChoice {
  /** Absolute path of the Dockerfile: `<Dockerfile>.dockerignore` beside it comes first. */
  readonly dockerfilePath?: string;
  /** `--ignore-file`: this one and no other, absolute. */
  readonly ignoreFile?: string;
}

/**
 * The tree with the rules that hold for it: the file asked for, else the Dockerfile's own, else the `.dockerignore` at its top;
 * where the tree has no rules of its own, only the file asked for.
 * @throws BuilderError ERR_CONTEXT for a file that was asked for and is missing, is too large, or has a bad pattern
 */
export function applyIgnoreFile(tree: SourceTree, { dockerfilePath, ignoreFile }: IgnoreChoice): SourceTree {
  const own = (): IgnoreRules | undefined => (tree.hasOwnRules === false ? undefined : readOwn(tree, dockerfilePath));
  const found = ignoreFile === undefined ? own() : readAsked(tree, ignoreFile);
  if (found !== undefined) return { ...tree, ignore: found };
  const { ignore: _, ...plain } = tree;
  return plain;
}

function readAsked(tree: SourceTree, path: string): IgnoreRules {
  const rules = readBeside(tree, path);
  if (rules === undefined) throw new BuilderError('ERR_CONTEXT', `Cannot read ignore file ${path}: it does not exist`);
  return rules;
}

function readOwn(tree: SourceTree, dockerfilePath: string | undefined): IgnoreRules | undefined {
  const own = dockerfilePath === undefined ? undefined : readBeside(tree, `${dockerfilePath}.dockerignore`);
  return own ?? readInside(tree, '.dockerignore');
}

// A file of the context is read as one: through a link it could show us, and then a message, any file of this machine.
function readBeside(tree: SourceTree, path: string): IgnoreRules | undefined {
  const below = tree.files.folder === undefined ? '..' : relative(textFromBytes(tree.files.folder), dirname(path));
  if (below !== '..' && !below.startsWith('../') && !below.startsWith('/')) return readInside(tree, `${below}/${basename(path)}`);
  return readRules(path, basename(path));
}

function readInside(tree: SourceTree, path: string): IgnoreRules | undefined {
  const { folder } = tree.files;
  if (folder === undefined) return undefined;
  const located = locate(tree.files, bytesFromText(path));
  if (located.kind === 'loop') throw new BuilderError('ERR_CONTEXT', `Cannot read ignore file ${path}: it is a loop of symbolic links`);
  if (located.kind === 'missing') {
    if (located.link === undefined) return undefined;
    throw new BuilderError('ERR_CONTEXT', `Cannot read ignore file ${path}: it is a symbolic link to what is not in the context`);
  }
  return readRules(fsPath(pathIn(folder, located.path)), path.replace(/^\//, ''));
}

function readRules(path: string | Buffer, name: string): IgnoreRules | undefined {
  const others = inWords('ERR_CONTEXT', `Cannot read ignore file ${name}`);
  const bytes = orElse(
    () => {
      if (!statSync(path).isFile()) throw new TypeError('it is not a regular file');
      return readSmallFileSync(path, limitBytes);
    },
    ifCode(['ENOENT', 'ENOTDIR'], undefined, others),
  );
  return bytes && parseIgnoreFile(bytes.toString('utf8'), name);
}
