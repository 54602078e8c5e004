// Notices what a RUN leaves in what the pod mounts, and in the container's own folders: it is not in the image, and nobody would hear of
// that before the image is used.
import { lstatSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import { type ByteString, textFromBytes } from '../bytes.ts';
import type { Emit, StepLabel } from '../events.ts';
import type { Mount } from '../linux/mounts.ts';
import { engineOwn } from '../tree/pod-map.ts';

export interface MountWatch {
  /** Looks at the mounts, right before a RUN starts. */
  readonly before: () => void;
  /** Looks again, and warns of what the command `text` made there, once for each mount. */
  readonly after: (text: string, step: StepLabel | undefined) => void;
  /** Has nothing more to tell of the mount at this absolute path. */
  readonly leave: (path: string) => void;
}

/** Entries of a mount that are looked at: a volume may hold any number, and a RUN is not to wait for them. */
const entriesSeen = 256;
/** Where commands leave what no image is to have. */
const temporary: ReadonlySet<string> = new Set(['/tmp', '/var/tmp', '/run', '/var/run']);

/**
 * Watches the mounts of the image's root and the container's own `names` in it, but for those at or below `known`, which the builder is
 * told to use, and those for engines.
 */
export function watchMounts(
  mounts: readonly Mount[],
  names: readonly ByteString[],
  { rootPath, known, emit }: { readonly rootPath: string; readonly known: readonly string[]; readonly emit: Emit },
): MountWatch {
  const isKnown = (path: string): boolean => known.some((one) => path === one || path.startsWith(`${one}/`) || one.startsWith(`${path}/`));
  const mounted = new Map(mounts.map(({ target, isReadOnly }) => [textFromBytes(target), { isReadOnly }]));
  // What changes in one that is mounted read-only, others have changed.
  const look = (path: string): string => (mounted.get(path)?.isReadOnly === true ? '' : stateOf(path));
  const places = [...new Set([...mounted.keys(), ...names.map((name) => join(rootPath, textFromBytes(name)))])]
    .filter((path) => path !== '/' && path.startsWith(rootPath === '/' ? '/' : `${rootPath}/`) && !isKnown(path))
    .map((path) => ({ path, inImage: join('/', posix.relative(rootPath, path)), seen: '' }))
    .filter(({ inImage }) => !engineOwn.test(inImage.slice(1)) && !temporary.has(inImage));
  const told = new Set<string>();
  return {
    leave: (path) => void told.add(path),
    before: () => {
      for (const place of places) if (!told.has(place.path)) place.seen = look(place.path);
    },
    after: (text, step) => {
      for (const { path, inImage, seen } of places) {
        if (told.has(path) || (look(path) === seen && !makesFolder(text, inImage))) continue;
        told.add(path);
        const [whose, other] = mounted.has(path)
          ? ['is mounted into this container', 'mount it elsewhere']
          : ["is this container's own, and was there before", 'name it otherwise'];
        const message = `${inImage} ${whose}: what a RUN makes there is not in the image; ${other}, or have RUN write to another folder`;
        emit({ kind: 'warning', code: `run-mount ${path}`, message, ...(step === undefined ? {} : { range: step.range }) });
      }
    },
  };
}

/** Times and sizes of what is mounted, and of the first entries in it. */
function stateOf(path: string): string {
  const facts = (one: string): string => {
    const stat = lstatSync(one, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? '' : `${stat.ino} ${stat.ctimeNs} ${stat.size}`;
  };
  try {
    const names = lstatSync(path).isDirectory() ? readdirSync(path).slice(0, entriesSeen) : [];
    return [facts(path), ...names.map((name) => `${name} ${facts(join(path, name))}`)].join('\n');
  } catch {
    return ''; // what can't be looked at
  }
}

/** `mkdir -p` of a folder that is mounted finds it there and changes nothing, and the image has none. */
function makesFolder(text: string, folder: string): boolean {
  return text.split(/[;&|\n]+/).some((command) => {
    const words = command.trim().split(/\s+/);
    const isMaking = words.includes('mkdir') || (words.includes('install') && words.includes('-d'));
    return isMaking && words.some((word) => word.replace(/\/+$/, '') === folder || word.startsWith(`${folder}/`));
  });
}
