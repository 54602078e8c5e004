// The flags of `index create`.
import type { FlagGroup } from '../flags.ts';
import { logFlags } from './log.ts';
import { resultFileFlags } from './output.ts';
import { registryFlags } from './registry.ts';
import { commaList, duration, group, list, text, toggle } from './flag.ts';

export const indexGroups: readonly FlagGroup[] = [
  group('Of what', [
    commaList('from', 'IMAGE,…', 'images by tag or digest, or other places', {
      isCommon: true,
      details:
        'images by tag or digest, in any repositories, or places such as oci:FOLDER:TAG; of an index all its images; may be repeated',
    }),
    text('from-json', 'FILE|-|LIST', 'the same as a JSON list', {
      isCommon: true,
      details: 'a JSON list of names, or of objects {"image": NAME, "platform": OS/ARCH}: a file, - for standard input, or the list itself',
    }),
    commaList('platform', '[IMAGE=]OS/ARCH,…', 'what an image is for, or which images of all go in'),
    list('match-annotation', 'KEY=VALUE', 'only images with this annotation', {
      empty: 'refused',
      details: 'only images with this annotation, as a build gives it by --annotation; others count as not there',
    }),
    duration('wait', 'DURATION', 'wait for images that are not there yet', {
      isCommon: true,
      details: 'wait so long, such as 30m, for images that are not there yet',
    }),
  ]),
  group('Where it goes', [
    list('tag', 'NAME', 'name to push to; may be repeated', {
      short: 't',
      aliases: ['destination'],
      empty: 'refused',
      isCommon: true,
      details: 'name to push to, or a place such as oci:FOLDER:TAG; may be repeated',
    }),
    list('annotation', 'KEY=VALUE', 'annotation of the index', { empty: 'refused' }),
    toggle('always-build-index', 'false: a single image gets the name itself, without an index (default true)'),
    toggle('dry-run', 'print the index and write nothing', { isCommon: true, aliases: ['dryrun'] }),
    ...resultFileFlags,
    text('images-file', 'FILE', 'write NAME@DIGEST of every image of the index here, by commas'),
  ]),
  group(
    'Registries',
    registryFlags.filter(({ name }) => name !== 'image-download-retry'),
  ),
  group('What is told', logFlags),
];
