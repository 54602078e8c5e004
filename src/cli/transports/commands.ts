// The commands that look at images and move them, by skopeo's names, and those that make one piece by piece.
import { runAssembleCommand } from '../pieces/assemble-command.ts';
import { runConfigCommand } from '../pieces/config-command.ts';
import { type Command, type CommandInput, buildahFailure } from '../command.ts';
import { runConfigureCommand } from '../containers/config-command.ts';
import { runCopyIntoCommand } from '../containers/copy-command.ts';
import { containersOf } from '../containers/from-command.ts';
import { describeContainer } from '../containers/list-command.ts';
import { runCopyCommand } from './copy-command.ts';
import { RegistryError } from '../../errors.ts';
import { runIndexCreateCommand } from './index-command.ts';
import { runDeleteCommand, runInspectCommand, runListTagsCommand, runManifestDigestCommand } from './inspect-command.ts';
import { indexGroups } from '../tables/index-create.ts';
import { runLayerCommand } from '../pieces/layer-command.ts';
import { runManifestCommand } from '../pieces/manifest-command.ts';
import { asStoreOwner } from '../sandbox/store-owner.ts';
import { configBothGroups, copyBothGroups } from '../tables/containers.ts';
import { logFlags } from '../tables/log.ts';
import { assembleGroups, layerGroups, manifestGroups } from '../tables/pieces.ts';
import { runSyncCommand } from './sync-command.ts';
import { runGenerateKeyCommand } from './generate-key-command.ts';
import { generateKeyFlags } from '../tables/signing.ts';
import { inspectGroups, namesGroups, syncGroups } from '../tables/transports.ts';
import { group } from '../tables/flag.ts';
import { printJson } from '../../go/json.ts';
import { renderLine } from '../../go/template.ts';
import { isPlaceName } from '../../transports/places.ts';

/** As skopeo's: 2 where a registry says that there is no such image. */
const skopeoStatus = (error: unknown): number | undefined =>
  error instanceof RegistryError && error.errors.some(({ code }) => code === 'MANIFEST_UNKNOWN') ? 2 : undefined;

/** Of commands that skopeo and buildah both have: skopeo's name places. */
const statusByPlace: Command['failureStatus'] = (error, words) =>
  words.some((word) => isPlaceName(word)) ? skopeoStatus(error) : buildahFailure;

export const transportCommands: readonly Command[] = [
  {
    name: 'generate-sigstore-key',
    usage: '[flags]',
    about: 'make a key that images are signed by',
    groups: [group('The key', generateKeyFlags), group('What is told', logFlags)],
    run: async (input) => runGenerateKeyCommand(input),
  },
  {
    name: 'copy',
    usage: '[flags] SOURCE DESTINATION | CONTAINER SOURCE… DESTINATION',
    about: 'copy an image from place to place, or files into a container',
    groups: copyBothGroups,
    failureStatus: statusByPlace,
    run: runAnyCopyCommand,
  },
  {
    name: 'inspect',
    usage: '[flags] IMAGE|CONTAINER',
    about: 'print what is known of an image, its manifest or its config, or of a container',
    groups: inspectGroups,
    failureStatus: statusByPlace,
    run: runAnyInspectCommand,
  },
  {
    name: 'list-tags',
    usage: '[flags] REPOSITORY',
    about: 'print the tags of a repository, an OCI layout or a docker archive',
    groups: namesGroups,
    failureStatus: skopeoStatus,
    run: runListTagsCommand,
  },
  {
    name: 'delete',
    usage: '[flags] IMAGE',
    about: 'delete an image of a registry or an OCI layout',
    groups: namesGroups,
    failureStatus: skopeoStatus,
    run: runDeleteCommand,
  },
  {
    name: 'sync',
    usage: '[flags] SOURCE DESTINATION',
    about: 'copy many images: a repository, a folder, or what a YAML file lists',
    groups: syncGroups,
    failureStatus: skopeoStatus,
    run: runSyncCommand,
  },
  {
    name: 'index create',
    usage: '[flags] --tag NAME IMAGE…',
    about: 'several images, each for a platform of its own, under one name',
    groups: indexGroups,
    run: runIndexCreateCommand,
  },
  {
    name: 'manifest-digest',
    usage: 'FILE',
    about: 'print the digest of a manifest in a file',
    groups: [group('What is told', logFlags)],
    run: runManifestDigestCommand,
  },
  {
    name: 'layer',
    usage: '[flags] FOLDER|ARCHIVE [PLACE]',
    about: 'make a layer by hand: of a folder, or of a tar file',
    groups: layerGroups,
    run: runLayerCommand,
  },
  {
    name: 'config',
    usage: '[flags] [PLACE|CONTAINER]',
    about: 'say what an image says of itself: make its config, or change a container',
    groups: configBothGroups,
    failureStatus: statusByPlace,
    run: runAnyConfigCommand,
  },
  {
    name: 'manifest',
    usage: '[flags] [PLACE]',
    about: 'make a manifest by hand: a config and layers as one image',
    groups: manifestGroups,
    run: runManifestCommand,
  },
  {
    name: 'assemble',
    usage: '[flags] MANIFEST [PIECE…] DESTINATION',
    about: 'make an image of pieces, and give it a name',
    groups: assembleGroups,
    run: runAssembleCommand,
  },
];

/** Of two commands called `copy`, skopeo's names places, and buildah's a container. */
async function runAnyCopyCommand(input: CommandInput): Promise<number | void> {
  if (input.positionals.some((word) => isPlaceName(word))) return await runCopyCommand(input);
  return await asStoreOwner(input, 'copy', async () => await runCopyIntoCommand(input, 'COPY'));
}

/** An image at a place or of the store, or a container, which comes first where both have the name. */
async function runAnyInspectCommand(input: CommandInput): Promise<number | void> {
  const { positionals, settings, stdout } = input;
  const [word = ''] = positionals;
  const type = settings.text('type');
  const containers = containersOf(input);
  const isPlace = positionals.length !== 1 || isPlaceName(word);
  const isContainer = type === 'container' || (type === undefined && !isPlace && containers.has(word));
  if (!isContainer) return await runInspectCommand(input);
  const value = describeContainer(containers.find(word), containers);
  const template = settings.text('format');
  stdout.write(template === undefined ? `${printJson(value)}\n` : renderLine(template, value));
}

/** A piece of an image that is made by hand, or what a container's image is going to say. */
async function runAnyConfigCommand(input: CommandInput): Promise<number | void> {
  const [word] = input.positionals;
  if (word === undefined || isPlaceName(word)) return await runConfigCommand(input);
  return await runConfigureCommand(input);
}
