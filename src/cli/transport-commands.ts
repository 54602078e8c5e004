// The commands that look at images and move them, by skopeo's names.
import type { Command } from './command.ts';
import { runCopyCommand } from './copy-command.ts';
import { copyGroups } from './tables/transports.ts';

export const transportCommands: readonly Command[] = [
  {
    name: 'copy',
    usage: '[flags] SOURCE DESTINATION',
    about: 'copy an image: docker://, oci:, oci-archive:, docker-archive:, dir:',
    groups: copyGroups,
    run: runCopyCommand,
  },
];
