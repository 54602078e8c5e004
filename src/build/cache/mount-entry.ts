// What a cache mount holds, as an image: one layer with its files, tagged by its name; annotations say what it is, labels say the same to
// `skopeo inspect`. Names are those of the cache on disk, within a namespace and for one kind of machine.
import { BuilderError } from '../../errors.ts';
import type { Image, Layer } from '../../oci/image.ts';
import { type Platform, formatPlatform } from '../../oci/platform.ts';
import { cacheMark, isTime, markedImage } from './entry.ts';
import { digestOfTexts } from './key.ts';

export interface MountEntry {
  /** As `mountTag` gives it. */
  readonly tag: string;
  /** The mount's id, for people. */
  readonly id: string;
  readonly layer: Layer;
  /** RFC 3339: when it was put here. */
  readonly stored: string;
}

/** How the tags of cache mounts begin. */
export const mountName = 'mount-';
/** Counts up when what is stored gets another meaning. */
const version = '1';

/** The tag of a cache mount. */
export function mountTag(name: string, namespace: string, platform: Platform): string {
  return `${mountName}${digestOfTexts([namespace, name, formatPlatform(platform)]).slice(0, 32)}`;
}

/** The image that stands for an entry. */
export function mountImage({ tag, id, layer, stored }: MountEntry, platform: Platform): Image {
  const marks = new Map([
    [cacheMark('version'), version],
    [cacheMark('mount'), id],
    [cacheMark('mount.tag'), tag],
    [cacheMark('stored'), stored],
  ]);
  return markedImage(marks, { layer, stored }, { platform, createdBy: `RUN --mount=type=cache,id=${id}` });
}

/** The entry that an image stands for. @throws ERR_LAYER where it is none, or another one */
export function parseMount({ annotations, layers }: Image, tag: string): MountEntry {
  const mark = (name: string): string => annotations.get(cacheMark(name)) ?? '';
  const fail = (state: string): never => {
    throw new BuilderError('ERR_LAYER', `Cannot use the cache mount ${tag}: ${state}`);
  };
  if (mark('version') !== version || !annotations.has(cacheMark('mount'))) fail('it is none of this version');
  if (mark('mount.tag') !== tag) fail('it is another one');
  const [layer] = layers;
  if (layer === undefined || layers.length !== 1) return fail(`it has ${layers.length} layers instead of one`);
  if (!isTime(mark('stored'))) fail('it does not say when it was made');
  return { tag, id: mark('mount'), layer, stored: mark('stored') };
}
