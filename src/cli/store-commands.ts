// The commands about the images of this machine, by buildah's, podman's and img's names.
import { tellAccepted } from './accepted.ts';
import { type Command, flagsOf } from './command.ts';
import { runImagesCommand } from './images-command.ts';
import { runPullCommand } from './pull-command.ts';
import { runDiskUsageCommand, runPruneCommand, runRemoveCommand, runTagCommand, runUntagCommand } from './removal-commands.ts';
import { diskUsageGroups, imagesGroups, namingGroups, pruneGroups, pullGroups, rmiGroups } from './tables/store.ts';

const listed: readonly Command[] = [
  {
    name: 'images',
    usage: '[flags] [IMAGE]',
    takesOperands: true,
    about: 'list the images of this machine',
    groups: imagesGroups,
    run: runImagesCommand,
  },
  {
    name: 'pull',
    usage: '[flags] IMAGE',
    takesOperands: true,
    about: 'fetch an image into the store, and print its id',
    groups: pullGroups,
    run: runPullCommand,
  },
  {
    name: 'tag',
    usage: '[flags] IMAGE NAME…',
    takesOperands: true,
    about: 'give an image more names',
    groups: namingGroups,
    run: runTagCommand,
  },
  {
    name: 'untag',
    usage: '[flags] IMAGE [NAME…]',
    takesOperands: true,
    about: 'take names from an image, and leave it',
    groups: namingGroups,
    run: runUntagCommand,
  },
  {
    name: 'rmi',
    usage: '[flags] IMAGE…',
    takesOperands: true,
    about: 'remove images, or names of them',
    groups: rmiGroups,
    run: runRemoveCommand,
  },
  {
    name: 'prune',
    usage: '[flags]',
    about: 'remove images without a name, and what else nobody needs',
    groups: pruneGroups,
    run: runPruneCommand,
  },
  {
    name: 'du',
    usage: '[flags]',
    about: 'print how much of the disk images take',
    groups: diskUsageGroups,
    run: runDiskUsageCommand,
  },
];

/** With a word for flags that change nothing here. */
export const storeCommands: readonly Command[] = listed.map((command) => ({
  ...command,
  run: async (input) => {
    tellAccepted(input.settings, flagsOf(command), input.env, input.report.emit);
    return await command.run(input);
  },
}));
