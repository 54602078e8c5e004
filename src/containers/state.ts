// What is known of a working container besides its files: a value, kept as JSON that a person can read.
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { parseAnnotations } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { type HistoryEntry, type ImageConfig, emptyImageConfig, formatImageConfig, parseImageConfig } from '../oci/image-config.ts';
import { type Json, type JsonObject, formatJson, jsonObject, parseJson } from '../oci/json.ts';

/** What becomes of the image besides its files and its config. */
export interface ImageSettings {
  /** Of the manifest. */
  readonly annotations: ReadonlyMap<string, string>;
  /** Of the history entry that the layer gets. */
  readonly createdBy?: string;
  readonly historyComment?: string;
  /** Entries without a layer (`--add-history`), which come before the layer's own. */
  readonly history: readonly HistoryEntry[];
}

/** How commands run in the container unless a command says otherwise. */
export interface RunSettings {
  /** As `--volume` has them. */
  readonly volumes: readonly string[];
  /** `name:address` each. */
  readonly hosts: readonly string[];
  readonly memory?: string;
  readonly pidsLimit?: number;
  /** `none`; else the machine's. */
  readonly network?: string;
}

export interface ContainerState {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** Only what is ready can be worked with; what is neither ready nor locked was left behind by a process that was killed. */
  readonly status: 'making' | 'ready' | 'removing';
  /** RFC 3339. */
  readonly created: string;
  /** The digest of the manifest of the image that it began as, which must not go before the container does; undefined for scratch. */
  readonly image?: Digest;
  /** The id of that image: hexadecimal digits of its config's digest. */
  readonly imageId?: string;
  readonly imageName: string;
  readonly isMounted: boolean;
  /** Places in the root that a running command needs and the image has not; taken away when nothing runs. */
  readonly mountPoints: readonly string[];
  readonly config: ImageConfig;
  readonly settings: ImageSettings;
  readonly run: RunSettings;
}

export const noSettings: ImageSettings = { annotations: new Map(), history: [] };

/** A state as JSON, with indentation. */
export function formatState(state: ContainerState): string {
  const { settings, run } = state;
  const root = jsonObject({
    id: state.id,
    name: state.name,
    status: state.status,
    created: state.created,
    image: state.image,
    imageId: state.imageId,
    imageName: state.imageName,
    isMounted: state.isMounted,
    mountPoints: state.mountPoints,
    settings: jsonObject({
      annotations: settings.annotations,
      createdBy: settings.createdBy,
      historyComment: settings.historyComment,
    }),
    run: jsonObject({ volumes: run.volumes, hosts: run.hosts, memory: run.memory, pidsLimit: run.pidsLimit, network: run.network }),
    // Entries that are to come are kept as a config has them.
    history: parseJson(formatImageConfig({ ...emptyImageConfig({ os: '', architecture: '' }), history: settings.history })),
    config: parseJson(formatImageConfig(state.config)),
  });
  return `${JSON.stringify(JSON.parse(formatJson(root)), null, 2)}\n`;
}

/** @throws ERR_ROOTFS for a text that is no state */
export function parseState(text: string, path: string): ContainerState {
  try {
    const root = membersOf(parseJson(text));
    const settings = membersOf(root.get('settings'));
    const run = membersOf(root.get('run'));
    const status = textAt(root, 'status');
    if (status !== 'making' && status !== 'ready' && status !== 'removing') throw new RangeError('its status is unknown');
    return {
      id: textAt(root, 'id') ?? '',
      name: textAt(root, 'name') ?? '',
      status,
      created: textAt(root, 'created') ?? '',
      ...given({ image: digestAt(root, 'image'), imageId: textAt(root, 'imageId') }),
      imageName: textAt(root, 'imageName') ?? '',
      isMounted: root.get('isMounted') === true,
      mountPoints: textsAt(root, 'mountPoints'),
      config: configAt(root, 'config'),
      settings: {
        annotations: parseAnnotations(settings.get('annotations'), 'annotations') ?? new Map(),
        ...given({ createdBy: textAt(settings, 'createdBy'), historyComment: textAt(settings, 'historyComment') }),
        history: configAt(root, 'history').history,
      },
      run: {
        volumes: textsAt(run, 'volumes'),
        hosts: textsAt(run, 'hosts'),
        ...given({ memory: textAt(run, 'memory'), pidsLimit: numberAt(run, 'pidsLimit'), network: textAt(run, 'network') }),
      },
    };
  } catch (error) {
    throw new BuilderError('ERR_ROOTFS', `Cannot read ${path}: it is not the state of a container`, { cause: error });
  }
}

function membersOf(value: Json | undefined): JsonObject {
  if (value === undefined) return new Map();
  if (value instanceof Map) return value;
  throw new RangeError('a member is not an object');
}

function configAt(object: JsonObject, key: string): ImageConfig {
  return parseImageConfig(formatJson(membersOf(object.get(key))));
}

function textAt(object: JsonObject, key: string): string | undefined {
  const value = object.get(key);
  return typeof value === 'string' ? value : undefined;
}

function digestAt(object: JsonObject, key: string): Digest | undefined {
  const text = textAt(object, key);
  if (text === undefined || isDigest(text)) return text;
  throw new RangeError(`${key} is no digest`);
}

function numberAt(object: JsonObject, key: string): number | undefined {
  const value = object.get(key);
  return typeof value === 'number' ? value : undefined;
}

function textsAt(object: JsonObject, key: string): readonly string[] {
  const value = object.get(key);
  return Array.isArray(value) ? value.filter((item: Json) => typeof item === 'string') : [];
}
