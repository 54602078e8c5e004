// The flags of `index create`.
import type { FlagGroup } from '../flags.ts';
import { logFlags } from './log.ts';
import { resultFileFlags } from './output.ts';
import { registryFlags } from './registry.ts';

export const indexGroups: readonly FlagGroup[] = [
  {
    title: 'Of what',
    flags: [
      {
        name: 'from',
        kind: 'comma-list',
        isCommon: true,
        value: 'IMAGE,…',
        about: 'images by tag or digest, or other places',
        details:
          'images by tag or digest, in any repositories, or places such as oci:FOLDER:TAG; of an index all its images; may be repeated',
      },
      {
        name: 'from-json',
        kind: 'text',
        isCommon: true,
        value: 'FILE|-|LIST',
        about: 'the same as a JSON list',
        details:
          'a JSON list of names, or of objects {"image": NAME, "platform": OS/ARCH}: a file, - for standard input, or the list itself',
      },
      {
        name: 'platform',
        kind: 'comma-list',
        value: '[IMAGE=]OS/ARCH,…',
        about: 'what an image is for, or which images of all go in',
      },
      {
        name: 'match-annotation',
        kind: 'list',
        empty: 'refused',
        value: 'KEY=VALUE',
        about: 'only images with this annotation',
        details: 'only images with this annotation, as a build gives it by --annotation; others count as not there',
      },
      {
        name: 'wait',
        kind: 'duration',
        isCommon: true,
        value: 'DURATION',
        about: 'wait for images that are not there yet',
        details: 'wait so long, such as 30m, for images that are not there yet',
      },
    ],
  },
  {
    title: 'Where it goes',
    flags: [
      {
        name: 'tag',
        short: 't',
        kind: 'list',
        aliases: ['destination'],
        empty: 'refused',
        isCommon: true,
        value: 'NAME',
        about: 'name to push to; may be repeated',
        details: 'name to push to, or a place such as oci:FOLDER:TAG; may be repeated',
      },
      { name: 'annotation', kind: 'list', empty: 'refused', value: 'KEY=VALUE', about: 'annotation of the index' },
      {
        name: 'always-build-index',
        kind: 'boolean',
        about: 'false: a single image gets the name itself, without an index (default true)',
      },
      { name: 'dry-run', kind: 'boolean', isCommon: true, aliases: ['dryrun'], about: 'print the index and write nothing' },
      ...resultFileFlags,
      { name: 'images-file', kind: 'text', value: 'FILE', about: 'write NAME@DIGEST of every image of the index here, by commas' },
    ],
  },
  { title: 'Registries', flags: registryFlags.filter(({ name }) => name !== 'image-download-retry') },
  { title: 'What is told', flags: logFlags },
];
