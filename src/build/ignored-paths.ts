// --ignore-path: what is never in a layer, by kaniko's rule: a name of the path may be a pattern, and all that is below belongs to it.
import { type ByteString, bytesFromText, textFromBytes } from '../bytes.ts';
import { type PathMatcher, compileWildcard, hasWildcard } from '../context/pattern.ts';
import { BuilderError } from '../errors.ts';
import { clampPath } from '../paths.ts';
import type { LeftOut } from '../rootfs/left-out.ts';

/** A link in most images, the builder's among them: where it leads is the image's, and mounts below are known as such. */
export const varRun = '/var/run';

/** True for a path that is to stay as it is on the disk, too: not for patterns. */
export function isKeptOnDisk(path: string): boolean {
  return path !== varRun && !hasWildcard(path);
}

/** What these paths leave out; undefined where there are none. @throws ERR_USAGE for what is no pattern */
export function leftOutBy(paths: readonly string[]): LeftOut | undefined {
  if (paths.length === 0) return undefined;
  const patterns = paths.map((path) => clampPath(bytesFromText(path)).split('/').map(compileName(path)));
  const isAny = (path: ByteString, lengthOf: (names: readonly PathMatcher[]) => number, isExact: boolean): boolean => {
    const names = path.split('/') as ByteString[]; // parts of bytes
    return patterns.some((pattern) => {
      const length = lengthOf(pattern);
      const isLong = isExact ? names.length === length : names.length >= length;
      return isLong && pattern.slice(0, length).every((matches, index) => matches(textFromBytes(names[index] ?? path)));
    });
  };
  return {
    covers: (path) => isAny(path, ({ length }) => length, false),
    isAbove: (path) => isAny(path, ({ length }) => length - 1, true),
  };
}

function compileName(path: string): (name: string) => PathMatcher {
  return (name) => {
    try {
      return hasWildcard(name) ? compileWildcard(name) : (text) => text === textFromBytes(name as ByteString); // a part of bytes
    } catch (error) {
      throw new BuilderError('ERR_USAGE', `Cannot use --ignore-path=${path}: ${JSON.stringify(name)} is no pattern`, { cause: error });
    }
  };
}
