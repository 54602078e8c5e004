// The commands about the images of this machine, by buildah's, podman's and img's names.
import { runLoadCommand, runSaveCommand } from './archive-commands.ts';
import { type Command, buildahFailure } from '../command.ts';
import { runDiffCommand } from './diff-command.ts';
import { runHistoryCommand } from './history-command.ts';
import { runImagesCommand } from './images-command.ts';
import { manifestListCommands } from './manifest-list-commands.ts';
import { runPullCommand } from './pull-command.ts';
import { runDiskUsageCommand, runPruneCommand, runRemoveCommand, runTagCommand, runUntagCommand } from './removal-commands.ts';
import {
  diffGroups,
  diskUsageGroups,
  historyGroups,
  imagesGroups,
  namingGroups,
  pruneGroups,
  pullGroups,
  rmiGroups,
  unpackGroups,
  loadGroups,
  saveGroups,
} from '../tables/store.ts';
import { runUnpackCommand } from './unpack-command.ts';

const commands: readonly Command[] = [
  {
    name: 'images',
    usage: '[flags] [IMAGE]',
    about: 'list the images of this machine',
    groups: imagesGroups,
    run: runImagesCommand,
  },
  {
    name: 'pull',
    usage: '[flags] IMAGE',
    about: 'fetch an image into the store, and print its id',
    groups: pullGroups,
    run: runPullCommand,
  },
  {
    name: 'tag',
    usage: '[flags] IMAGE NAME…',
    about: 'give an image more names',
    groups: namingGroups,
    run: runTagCommand,
  },
  {
    name: 'untag',
    usage: '[flags] IMAGE [NAME…]',
    about: 'take names from an image, and leave it',
    groups: namingGroups,
    run: runUntagCommand,
  },
  {
    name: 'rmi',
    usage: '[flags] IMAGE…',
    about: 'remove images, or names of them',
    groups: rmiGroups,
    run: runRemoveCommand,
  },
  {
    name: 'prune',
    usage: '[flags]',
    about: 'remove images without a name, the cache of builds, and what else nobody needs',
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
  {
    name: 'save',
    usage: '[flags] IMAGE…',
    about: 'write images into an archive',
    groups: saveGroups,
    run: runSaveCommand,
  },
  {
    name: 'load',
    usage: '[flags] [FILE]',
    about: 'take the images of an archive',
    groups: loadGroups,
    run: runLoadCommand,
  },
  {
    name: 'history',
    usage: '[flags] IMAGE',
    about: 'print what made an image, step by step',
    groups: historyGroups,
    run: runHistoryCommand,
  },
  {
    name: 'diff',
    usage: '[flags] IMAGE [BASE]',
    about: 'print what an image adds, changes and deletes',
    groups: diffGroups,
    run: runDiffCommand,
  },
  {
    name: 'unpack',
    usage: '[flags] IMAGE [FOLDER]',
    about: "put an image's files into a folder",
    groups: unpackGroups,
    run: runUnpackCommand,
  },
];

export const storeCommands: readonly Command[] = [...commands, ...manifestListCommands].map((command) => ({
  ...command,
  failureStatus: () => buildahFailure,
}));
