// The commands that look at images and move them, by skopeo's names, and those that make one piece by piece.
import { tellAccepted } from './accepted.ts';
import { runAssembleCommand } from './assemble-command.ts';
import { type Command, flagsOf } from './command.ts';
import { runConfigCommand } from './config-command.ts';
import { runCopyCommand } from './copy-command.ts';
import { runIndexCreateCommand } from './index-command.ts';
import { runDeleteCommand, runInspectCommand, runListTagsCommand, runManifestDigestCommand } from './inspect-command.ts';
import { indexGroups } from './tables/index-create.ts';
import { runLayerCommand } from './layer-command.ts';
import { runManifestCommand } from './manifest-command.ts';
import { logFlags } from './tables/log.ts';
import { assembleGroups, configGroups, layerGroups, manifestGroups } from './tables/pieces.ts';
import { runSyncCommand } from './sync-command.ts';
import { copyGroups, inspectGroups, namesGroups, syncGroups } from './tables/transports.ts';

const listed: readonly Command[] = [
  {
    name: 'copy',
    usage: '[flags] SOURCE DESTINATION',
    takesOperands: true,
    about: 'copy an image: docker://, oci:, oci-archive:, docker-archive:, dir:',
    groups: copyGroups,
    run: runCopyCommand,
  },
  {
    name: 'inspect',
    usage: '[flags] IMAGE',
    takesOperands: true,
    about: 'print what is known of an image, its manifest or its config',
    groups: inspectGroups,
    run: runInspectCommand,
  },
  {
    name: 'list-tags',
    usage: '[flags] REPOSITORY',
    takesOperands: true,
    about: 'print the tags of a repository, an OCI layout or a docker archive',
    groups: namesGroups,
    run: runListTagsCommand,
  },
  {
    name: 'delete',
    usage: '[flags] IMAGE',
    takesOperands: true,
    about: 'delete an image of a registry or an OCI layout',
    groups: namesGroups,
    run: runDeleteCommand,
  },
  {
    name: 'sync',
    usage: '[flags] SOURCE DESTINATION',
    takesOperands: true,
    about: 'copy many images: a repository, a folder, or what a YAML file lists',
    groups: syncGroups,
    run: runSyncCommand,
  },
  {
    name: 'index create',
    usage: '[flags] --tag NAME IMAGE…',
    takesOperands: true,
    about: 'several images, each for a platform of its own, under one name',
    groups: indexGroups,
    run: runIndexCreateCommand,
  },
  {
    name: 'manifest-digest',
    usage: 'FILE',
    takesOperands: true,
    about: 'print the digest of a manifest in a file',
    groups: [{ title: 'What is told', flags: logFlags }],
    run: runManifestDigestCommand,
  },
  {
    name: 'layer',
    usage: '[flags] FOLDER|ARCHIVE [PLACE]',
    takesOperands: true,
    about: 'make a layer by hand: of a folder, or of a tar file',
    groups: layerGroups,
    run: runLayerCommand,
  },
  {
    name: 'config',
    usage: '[flags] [PLACE]',
    takesOperands: true,
    about: 'make a config by hand: what an image says of itself',
    groups: configGroups,
    run: runConfigCommand,
  },
  {
    name: 'manifest',
    usage: '[flags] [PLACE]',
    takesOperands: true,
    about: 'make a manifest by hand: a config and layers as one image',
    groups: manifestGroups,
    run: runManifestCommand,
  },
  {
    name: 'assemble',
    usage: '[flags] MANIFEST [PIECE…] DESTINATION',
    takesOperands: true,
    about: 'make an image of pieces, and give it a name',
    groups: assembleGroups,
    run: runAssembleCommand,
  },
];

/** With a word for skopeo's flags that change nothing here. */
export const transportCommands: readonly Command[] = listed.map((command) => ({
  ...command,
  run: async (input) => {
    tellAccepted(input.settings, flagsOf(command), input.env, input.report.emit);
    return await command.run(input);
  },
}));
