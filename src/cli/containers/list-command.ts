// `yadokari containers` and `inspect` of a container, as buildah prints them.
import type { ContainerStore } from '../../containers/container-store.ts';
import type { ContainerState } from '../../containers/state.ts';
import { BuilderError } from '../../errors.ts';
import { formatImageConfig } from '../../oci/image-config.ts';
import { type Json, type JsonObject, jsonObject, parseJson } from '../../oci/json.ts';
import type { CommandInput } from '../command.ts';
import { containersOf } from './from-command.ts';
import { printJson } from '../../go/json.ts';
import { formatRows } from '../table.ts';

const idLength = 12;

/** A table, JSON, ids, or a line by a template. */
export async function runContainersCommand(input: CommandInput): Promise<void> {
  const { settings, stdout } = input;
  const shown = containersOf(input)
    .list()
    .filter((state) => settings.list('filter').every((filter) => matches(state, filter)));
  stdout.write(listText(shown, input));
}

function listText(shown: readonly ContainerState[], { settings }: Pick<CommandInput, 'settings'>): string {
  const isWhole = settings.boolean('notruncate');
  const short = (id: string): string => (isWhole ? id : id.slice(0, idLength));
  const lines = (texts: readonly string[]): string => texts.map((text) => (text.endsWith('\n') ? text : `${text}\n`)).join('');
  const template = settings.text('format');
  if (settings.boolean('json') || template === 'json') return `${shown.length === 0 ? 'null' : printJson(shown.map(jsonOf))}\n`;
  // Ids are whole there, and blanks part columns, as with buildah.
  if (template !== undefined) return formatRows(shown.map(templateValue), { columns: {} }, settings);
  if (settings.boolean('quiet')) return lines(shown.map(({ id }) => id));
  const width = isWhole ? 64 : idLength;
  const row = (id: string, builder: string, image: string, imageName: string, name: string): string =>
    `${id.padEnd(width)}  ${builder.padEnd(8)} ${image.padEnd(width)} ${imageName.padEnd(32)} ${name}`.trimEnd();
  const heading = settings.boolean('noheading') ? [] : [row('CONTAINER ID', 'BUILDER', 'IMAGE ID', 'IMAGE NAME', 'CONTAINER NAME')];
  return lines([
    ...heading,
    ...shown.map(({ id, imageId = '', imageName, name }) => row(short(id), '   *', short(imageId), imageName, name)),
  ]);
}

/** What is known of a container, by the names that buildah has for it. */
export function describeContainer(state: ContainerState, containers: ContainerStore): JsonObject {
  const { settings, config } = state;
  const asJson = parseJson(formatImageConfig(config));
  return jsonObject({
    Type: 'yadokari',
    FromImage: state.image === undefined ? '' : state.imageName,
    FromImageID: state.imageId ?? '',
    FromImageDigest: state.image ?? '',
    Container: state.name,
    ContainerID: state.id,
    MountPoint: state.isMounted ? containers.rootFolder(state) : '',
    Created: state.created,
    ImageAnnotations: settings.annotations,
    ImageCreatedBy: settings.createdBy ?? '',
    ImageHistoryComment: settings.historyComment ?? '',
    OCIv1: asJson,
    Docker: asJson,
    Volumes: state.run.volumes,
  });
}

function jsonOf({ id, imageId = '', imageName, name }: ContainerState): Json {
  return jsonObject({ id, builder: true, imageid: imageId, imagename: imageName, containername: name });
}

function templateValue({ id, imageId = '', imageName, name }: ContainerState): JsonObject {
  return jsonObject({ ContainerID: id, Builder: '   *', ImageID: imageId, ImageName: imageName, ContainerName: name });
}

function matches({ id, name, imageId = '', imageName }: ContainerState, filter: string): boolean {
  const equals = filter.indexOf('=');
  const [key, value] = [filter.slice(0, equals), filter.slice(equals + 1)];
  if (key === 'id') return id.startsWith(value);
  if (key === 'name') return name.includes(value);
  if (key === 'ancestor') return imageName === value || imageId.startsWith(value) || imageName.endsWith(`/${value}`);
  throw new BuilderError('ERR_USAGE', `Cannot use --filter ${filter}: expected id=, name= or ancestor=`);
}
