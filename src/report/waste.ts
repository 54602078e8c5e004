// Bytes of an image that nobody needs: which instruction stored them, where, and what to do about it.
import type { FolderSize, HiddenFiles, ImageContents } from '../events.ts';
import { given } from '../given.ts';
import { formatBytes, formatCount } from './units.ts';

/** What is said of a layer: the instruction that made it. */
export interface LayerMaker {
  readonly text: string;
  /** In the Dockerfile, where it is known. */
  readonly line?: number;
}

export interface Finding {
  readonly bytes: number;
  readonly what: string;
  readonly fix: string;
  /** Of the instruction to change. */
  readonly line?: number;
}

export interface WasteSums {
  /** As dive has it: what would do, to what is stored; 1 where nothing is stored twice. */
  readonly efficiency: number;
  /** Content that a layer above hides; and those of them that a layer of this image's own wastes. */
  readonly wastedBytes: number;
  readonly userWastedBytes: number;
  /** Content of the layers that are not the base's. */
  readonly userBytes: number;
}

const smallest = 20_000;
const mostFindings = 12;

/** Folders that package managers fill and nobody reads in an image. */
const leftovers: readonly { readonly path: string; readonly fix: string }[] = [
  { path: 'var/lib/apt/lists/', fix: 'rm -rf /var/lib/apt/lists/* in the same RUN, or RUN --mount=type=cache,target=/var/lib/apt/lists' },
  { path: 'var/cache/apt/', fix: 'apt-get clean in the same RUN, or RUN --mount=type=cache,target=/var/cache/apt' },
  { path: 'var/cache/apk/', fix: 'apk add --no-cache' },
  { path: 'var/cache/dnf/', fix: 'dnf clean all in the same RUN' },
  { path: 'var/cache/yum/', fix: 'yum clean all in the same RUN' },
  { path: 'root/.cache/pip/', fix: 'pip install --no-cache-dir, or RUN --mount=type=cache,target=/root/.cache/pip' },
  { path: 'root/.npm/', fix: 'RUN --mount=type=cache,target=/root/.npm' },
  { path: 'root/.cache/go-build/', fix: 'RUN --mount=type=cache,target=/root/.cache/go-build' },
  { path: 'root/.cargo/registry/', fix: 'RUN --mount=type=cache,target=/root/.cargo/registry' },
  { path: 'root/.m2/', fix: 'RUN --mount=type=cache,target=/root/.m2' },
  { path: 'usr/local/share/.cache/', fix: 'RUN --mount=type=cache,target=/usr/local/share/.cache' },
];

/** The sums that `inspect --waste` and its gates go by. */
export function sumWaste({ layers, baseLayers, storedBytes, idealBytes }: ImageContents): WasteSums {
  let [wastedBytes, userWastedBytes, userBytes] = [0, 0, 0];
  for (const [number, { contents }] of layers.entries()) {
    if (contents === undefined) continue;
    if (number >= baseLayers) userBytes += contents.bytes;
    for (const each of contents.hidden) {
      wastedBytes += each.bytes;
      if (isOwn(each, number, baseLayers)) userWastedBytes += each.bytes;
    }
  }
  return { efficiency: storedBytes === 0 ? 1 : idealBytes / storedBytes, wastedBytes, userWastedBytes, userBytes };
}

/** What of the waste is this image's own, the largest first. */
export function findWaste(contents: ImageContents, maker: (layer: number) => LayerMaker): readonly Finding[] {
  const { layers, baseLayers } = contents;
  const found: Finding[] = [];
  for (const [number, layer] of layers.entries()) {
    if (layer.contents === undefined || number < baseLayers) continue;
    for (const each of layer.contents.hidden) if (isOwn(each, number, baseLayers)) found.push(explain(each, number, maker));
    for (const { path, fix } of leftovers) {
      const folder = layer.contents.folders.find((one) => one.path === path);
      const isGone = layers.some(
        ({ contents: above }, other) => other > number && above?.hidden.some((one) => one.layer === number && covers(one, path)),
      );
      if (folder === undefined || isGone) continue;
      const { line } = maker(number);
      const what = `${nameOf(maker(number))} leaves ${formatBytes(folder.bytes)} in /${path.slice(0, -1)}`;
      found.push({ bytes: folder.bytes, what, fix, ...given({ line }) });
    }
  }
  return found
    .filter(({ bytes }) => bytes >= smallest)
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, mostFindings);
}

// What a base image holds can't be left out by taking it away; what is stored a second time is our own doing.
function isOwn({ layer, how }: HiddenFiles, by: number, baseLayers: number): boolean {
  return by >= baseLayers && (layer >= baseLayers || how === 'again');
}

function covers({ how, places }: HiddenFiles, path: string): boolean {
  return (
    how === 'removed' && places.some((place) => path.startsWith(place.path) || `${place.path}/` === path || place.path.startsWith(path))
  );
}

function explain({ layer, how, bytes, files, places }: HiddenFiles, by: number, maker: (layer: number) => LayerMaker): Finding {
  const [above, below] = [maker(by), maker(layer)];
  const amount = `${formatBytes(bytes)} (${formatCount(files, 'file')}: ${placesOf(places)})`;
  if (how === 'removed') {
    const what = `${nameOf(above)} removes ${amount} that ${nameOf(below)} stored: the image carries them all the same`;
    return { bytes, what, fix: 'remove them in the RUN that makes them, or make them in a stage of its own', ...lineOf(below) };
  }
  if (how === 'again') {
    const fix = /^(?:COPY|ADD)\b/i.test(below.text)
      ? 'give owner and mode where the files come in: COPY --chown, --chmod'
      : 'change them in the RUN that makes them, or leave them as they are: chmod and chown store a file again';
    return { bytes, what: `${nameOf(above)} stores ${amount} of ${nameOf(below)} again`, fix, ...lineOf(above) };
  }
  return {
    bytes,
    what: `${nameOf(above)} replaces ${amount} of ${nameOf(below)}`,
    fix: 'make them once, in one of the two',
    ...lineOf(above),
  };
}

function placesOf(places: readonly FolderSize[]): string {
  // A folder that is all of another one says more, and what is in one that is named says nothing new.
  const inner = places.filter(
    ({ path, bytes }) => !places.some((other) => other.path !== path && other.path.startsWith(path) && other.bytes === bytes),
  );
  const outer = inner.filter(
    ({ path }) => !inner.some((other) => other.path !== path && other.path.endsWith('/') && path.startsWith(other.path)),
  );
  const names = outer.slice(0, 3).map(({ path }) => `/${path.replace(/\/$/, '')}`);
  return `${names.join(', ')}${outer.length > names.length ? ', …' : ''}`;
}

function nameOf({ text, line }: LayerMaker): string {
  const short = text.length > 60 ? `${text.slice(0, 59)}…` : text;
  return line === undefined ? short : `${short} (line ${line})`;
}

function lineOf({ line }: LayerMaker): { readonly line?: number } {
  return given({ line });
}

/** The instruction of a history's `created_by`, as people write it. */
export function instructionOf(createdBy: string): string {
  const text = createdBy
    .replace(/^\/bin\/sh -c #\(nop\)\s+/, '')
    .replace(/^RUN (?:\|\d+ (?:\S+=.*? )?)?\/bin\/sh -c /, 'RUN ')
    .replace(/^\/bin\/sh -c /, 'RUN ')
    .replace(/\s+# buildkit$/, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return text === '' ? 'a layer without a history' : text;
}
