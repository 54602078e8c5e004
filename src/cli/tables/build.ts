// The flags of a build, grouped as people look for them.
import type { FlagGroup, FlagSpec } from '../flags.ts';
import { cacheFlags } from './cache.ts';
import { logFlags } from './log.ts';
import { imageFlags } from './image.ts';
import { outputFlags } from './output.ts';
import { registryFlags } from './registry.ts';
import { reportFlags } from './report.ts';
import { policyFlags } from './signing.ts';
import { sourceFlags } from './source.ts';
import { group, inert, text, toggle } from './flag.ts';

/** How the build goes about it. */
const runFlags: readonly FlagSpec[] = [
  toggle('dryrun', 'print the plan and build nothing', { kaniko: 'same' }),
  toggle('cleanup', 'empty the root after the build', { environment: 'KANIKO_CLEANUP', environmentWins: true, kaniko: 'same' }),
  toggle('pre-cleanup', 'empty the root before the build', {
    environment: 'KANIKO_PRE_CLEANUP',
    environmentWins: true,
    details: 'empty the root before the build; before an image is unpacked that is done anyway',
    kaniko: 'same',
  }),
  toggle('preserve-context', "put the container's own files back after the build", {
    environment: 'KANIKO_PRESERVE_CONTEXT',
    environmentWins: true,
    details:
      "move the container's own files away while an image is unpacked in their place, and back after the build, also after one that fails",
    kaniko: 'the same by an archive of the whole root',
  }),
  toggle(
    'borrow-context',
    "move the context's files out of the way where the image works in their folder; without a terminal that is so anyway",
  ),
  toggle('materialize', 'unpack every stage, so that the root holds the last one at the end', { kaniko: 'same' }),
  toggle('print-plan', 'print the plan, then build', { environment: 'KANIKO_PRINT_PLAN', kaniko: 'only the variable' }),
  text('kaniko-dir', 'FOLDER', 'folder for layers and stages (default /kaniko)', { environment: 'KANIKO_DIR', kaniko: 'same' }),
  toggle('force', "build on the image's own root though nothing looks like a container", {
    kaniko: 'same; without it a build outside a container is refused',
  }),
  text('network', 'default|host|none', "network of RUN; only the container's own can be given", { choices: ['default', 'host', 'none'] }),
  toggle('no-check', 'do not print build-check warnings'),
  inert('count', 'image-fs-extract-retry', 'unpacking is checked and is not tried again', {
    value: 'N',
    kaniko: 'tries more for unpacking the base',
  }),
];

export const buildGroups: readonly FlagGroup[] = [
  group('What to build', sourceFlags),
  group('Where it goes', outputFlags),
  group('The image', imageFlags),
  group('Cache', cacheFlags),
  group('Registries', [...registryFlags, ...policyFlags]),
  group('The build', runFlags),
  group('What is told', [...reportFlags, ...logFlags]),
];

/** All of them. */
export const buildFlags: readonly FlagSpec[] = buildGroups.flatMap(({ flags }) => flags);
