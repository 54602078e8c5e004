// The project's own sources as data, for tests that hold the rules of ARCHITECTURE.md.
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

export interface SourceFile {
  /** Relative to the folder that was read, with `/`. */
  readonly path: string;
  /** The first folder of `path`, or the file's name without `.ts` for a loose file. */
  readonly room: string;
  /** The source without comments. */
  readonly code: string;
  /** Module specifiers of every static import and re-export, types included. */
  readonly imports: readonly string[];
}

/** Every TypeScript file below `folder`, sorted by path. */
export function readSourceFiles(folder: string): readonly SourceFile[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((name) => sourceFile(relative(folder, join(folder, name)).split(sep).join('/'), readFileSync(join(folder, name), 'utf8')));
}

/** One source file from its text. */
export function sourceFile(path: string, text: string): SourceFile {
  const code = withoutComments(text);
  const [first = path] = path.split('/');
  const imports = [...code.matchAll(/(?:^|\n)\s*(?:import|export)\s(?:[^;'"`]*?\sfrom\s*)?'([^']+)'/g)].map((match) => match[1] ?? '');
  return { path, room: first.replace(/\.ts$/, ''), code, imports };
}

// Strings are matched first so that a `//` inside one is not taken for a comment.
function withoutComments(text: string): string {
  const token = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
  return text.replace(token, (part) => (part.startsWith('//') || part.startsWith('/*') ? ' ' : part));
}
