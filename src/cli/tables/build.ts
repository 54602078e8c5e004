// The flags of a build, grouped as people look for them.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { cacheFlags } from './cache.ts';
import { logFlags } from './log.ts';
import { imageFlags } from './image.ts';
import { outputFlags } from './output.ts';
import { registryFlags } from './registry.ts';
import { reportFlags } from './report.ts';
import { sourceFlags } from './source.ts';

/** How the build goes about it. */
const runFlags: readonly FlagSpec[] = [
  { name: 'dryrun', kind: 'boolean', isCommon: true, about: 'print the plan and build nothing', kaniko: 'same' },
  {
    name: 'cleanup',
    kind: 'boolean',
    environment: 'KANIKO_CLEANUP',
    environmentWins: true,
    about: 'empty the root after the build',
    kaniko: 'same',
  },
  {
    name: 'pre-cleanup',
    kind: 'boolean',
    environment: 'KANIKO_PRE_CLEANUP',
    environmentWins: true,
    about: 'empty the root before the build',
    details: 'empty the root before the build; before an image is unpacked that is done anyway',
    kaniko: 'same',
  },
  {
    name: 'preserve-context',
    kind: 'boolean',
    environment: 'KANIKO_PRESERVE_CONTEXT',
    environmentWins: true,
    about: "put the container's own files back after the build",
    details:
      "move the container's own files away while an image is unpacked in their place, and back after the build, also after one that fails",
    kaniko: 'the same by an archive of the whole root',
  },
  {
    name: 'borrow-context',
    kind: 'boolean',
    about: "move the context's files out of the way where the image works in their folder; without a terminal that is so anyway",
  },
  {
    name: 'materialize',
    kind: 'boolean',
    about: 'unpack every stage, so that the root holds the last one at the end',
    kaniko: 'same',
  },
  {
    name: 'print-plan',
    kind: 'boolean',
    environment: 'KANIKO_PRINT_PLAN',
    about: 'print the plan, then build',
    kaniko: 'only the variable',
  },
  {
    name: 'kaniko-dir',
    kind: 'text',
    environment: 'KANIKO_DIR',
    value: 'FOLDER',
    about: 'folder for layers and stages (default /kaniko)',
    kaniko: 'same',
  },
  {
    name: 'force',
    kind: 'boolean',
    about: "build on the image's own root though nothing looks like a container",
    kaniko: 'same; without it a build outside a container is refused',
  },
  {
    name: 'network',
    kind: 'text',
    value: 'default|host|none',
    choices: ['default', 'host', 'none'],
    about: "network of RUN; only the container's own can be given",
  },
  { name: 'no-check', kind: 'boolean', about: 'do not print build-check warnings' },
  {
    name: 'image-fs-extract-retry',
    kind: 'count',
    value: 'N',
    about: '',
    inert: 'unpacking is checked and is not tried again',
    kaniko: 'tries more for unpacking the base',
  },
];

export const buildGroups: readonly FlagGroup[] = [
  { title: 'What to build', flags: sourceFlags },
  { title: 'Where it goes', flags: outputFlags },
  { title: 'The image', flags: imageFlags },
  { title: 'Cache', flags: cacheFlags },
  { title: 'Registries', flags: registryFlags },
  { title: 'The build', flags: runFlags },
  { title: 'What is told', flags: [...reportFlags, ...logFlags] },
];

/** All of them. */
export const buildFlags: readonly FlagSpec[] = buildGroups.flatMap(({ flags }) => flags);
