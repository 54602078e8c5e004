// The commands that work with containers, by buildah's names.
import { type Command, buildahFailure } from '../command.ts';
import { runCommitCommand } from './commit-command.ts';
import { runCopyIntoCommand } from './copy-command.ts';
import { runFromCommand, runMountCommand, runRemoveCommand, runRenameCommand, runUnmountCommand } from './from-command.ts';
import { runContainersCommand } from './list-command.ts';
import { runRunCommand } from './run-command.ts';
import { asStoreOwner } from '../sandbox/store-owner.ts';
import {
  commitGroups,
  addGroups,
  fromGroups,
  listGroups,
  mountGroups,
  removeGroups,
  renameGroups,
  runGroups,
  unmountGroups,
} from '../tables/containers.ts';

/** As root of the store. */
const asOwner =
  (command: string, act: Command['run']): Command['run'] =>
  async (input) =>
    await asStoreOwner(input, command, async () => await act(input));

const commands: readonly Command[] = [
  {
    name: 'from',
    usage: '[flags] IMAGE|scratch',
    about: 'make a container of an image, to work with it',
    groups: fromGroups,
    run: asOwner('from', runFromCommand),
  },
  {
    name: 'run',
    usage: '[flags] CONTAINER COMMAND [ARGUMENT…]',
    endsAtOperand: true,
    about: 'run a command in a container',
    groups: runGroups,
    run: asOwner('run', runRunCommand),
  },
  {
    name: 'add',
    usage: '[flags] CONTAINER SOURCE… DESTINATION',
    about: 'copy files into a container; archives are unpacked',
    groups: addGroups,
    run: asOwner('add', async (input) => await runCopyIntoCommand(input, 'ADD')),
  },
  {
    name: 'commit',
    usage: '[flags] CONTAINER [IMAGE]',
    about: 'make an image of a container',
    groups: commitGroups,
    run: asOwner('commit', runCommitCommand),
  },
  {
    name: 'containers',
    aliases: ['ps'],
    usage: '[flags]',
    about: 'list the containers',
    groups: listGroups,
    run: runContainersCommand,
  },
  {
    name: 'mount',
    usage: '[flags] [CONTAINER…]',
    about: "print where a container's files are",
    groups: mountGroups,
    run: runMountCommand,
  },
  {
    name: 'umount',
    aliases: ['unmount'],
    usage: '[flags] CONTAINER…',
    about: 'say that nobody works with the files any more',
    groups: unmountGroups,
    run: runUnmountCommand,
  },
  {
    name: 'rename',
    usage: '[flags] CONTAINER NAME',
    about: 'call a container otherwise',
    groups: renameGroups,
    run: runRenameCommand,
  },
  {
    name: 'rm',
    usage: '[flags] CONTAINER…',
    about: 'remove containers; images go by rmi',
    groups: removeGroups,
    run: asOwner('rm', runRemoveCommand),
  },
];

export const containerCommands: readonly Command[] = commands.map((command) => ({ ...command, failureStatus: () => buildahFailure }));
