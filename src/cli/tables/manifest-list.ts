// The flags of `manifest create`, `add` and the others, by buildah's names.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { group, inert, list, text, toggle, unsupported, unsupportedFlags } from './flag.ts';
import { logFlags } from './log.ts';
import { placeFlags } from './push.ts';
import { storeFlags } from './store-root.ts';
import { storeHowFlags } from './store.ts';
import { programFlags, sideFlags } from './transports.ts';

const closing: readonly FlagGroup[] = [group('The store', storeFlags), group('What is told', logFlags)];

const registry = group('Registry, for images that are not in the store', [
  ...sideFlags(''),
  ...storeHowFlags,
  ...programFlags.filter(({ name }) => name.startsWith('override-')),
]);

const annotationFlag = list('annotation', 'KEY=VALUE', 'an annotation; may be repeated', { isCommon: true, empty: 'refused' });
const allFlag = toggle('all', 'all images of an index', { isCommon: true });

/** What is said of an image, whatever its config says. */
const entryFlags: readonly FlagSpec[] = [
  annotationFlag,
  text('os', 'OS', 'the system that the image is for', { isCommon: true }),
  text('arch', 'ARCH', 'the architecture that it is for', { isCommon: true }),
  text('variant', 'VARIANT', 'the variant of it', { isCommon: true }),
  text('os-version', 'VERSION', 'the version of the system'),
  ...unsupportedFlags('comma-list', ['features', 'os-features'], 'nothing here chooses an image by features'),
];

export const createListGroups: readonly FlagGroup[] = [
  group('The index', [
    allFlag,
    toggle('amend', 'add to an index that is there already', { short: 'a', isCommon: true }),
    { ...annotationFlag, about: 'an annotation of the index; may be repeated' },
  ]),
  registry,
  ...closing,
];

export const addToListGroups: readonly FlagGroup[] = [
  group('The image', [
    allFlag,
    ...entryFlags,
    unsupported('boolean', 'artifact', 'an index here has images'),
    ...unsupportedFlags(
      'text',
      ['artifact-type', 'artifact-config', 'artifact-config-type', 'artifact-layer-type', 'artifact-subject'],
      'an index here has images',
    ),
  ]),
  registry,
  ...closing,
];

export const annotateListGroups: readonly FlagGroup[] = [
  group('What is said of it', [
    ...entryFlags,
    toggle('index', 'annotations of the index itself; no image is named then'),
    unsupported('text', 'subject', 'an index here is about nothing else'),
  ]),
  ...closing,
];

export const listGroups: readonly FlagGroup[] = closing;
export const inspectListGroups: readonly FlagGroup[] = [registry, ...closing];

export const pushListGroups: readonly FlagGroup[] = [
  group('How it is pushed', [
    ...placeFlags.map((flag): FlagSpec => {
      if (flag.name === 'all') return toggle('all', 'its images go along: so it is anyway');
      return flag.name === 'rm' ? toggle('rm', 'remove it from the store afterwards', { aliases: ['purge'], isCommon: true }) : flag;
    }),
    unsupported('list', 'add-compression', 'yadokari copy --compress-format makes another image'),
    inert('boolean', 'force-compression', '--compress-format is for all layers'),
  ]),
  ...closing,
];
