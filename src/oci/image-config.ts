// OCI image-spec config.md: what an image says about itself. Foreign JSON: members that we don't know are kept, and
// keys such as `__proto__` are only keys, so maps stand where JSON has objects with free keys.
import { given } from '../given.ts';
import { malformed, rest, sorted, strings, textOf } from './config-members.ts';
import { type Digest, isDigest } from './digest.ts';
import { type Json, type JsonObject, formatJson, jsonObject, parseJson } from './json.ts';
import { type RunConfig, formatRunConfig, parseRunConfig } from './run-config.ts';

export interface HistoryEntry {
  readonly created?: string;
  readonly createdBy?: string;
  readonly comment?: string;
  readonly author?: string;
  readonly emptyLayer?: boolean;
}

export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly osVersion?: string;
  readonly created?: string;
  readonly author?: string;
  readonly config: RunConfig;
  readonly diffIds: readonly Digest[];
  readonly history: readonly HistoryEntry[];
  readonly unknown: JsonObject;
}

/** The config of `FROM scratch` before any instruction. */
export function emptyImageConfig(platform: { readonly os: string; readonly architecture: string; readonly variant?: string }): ImageConfig {
  return {
    architecture: platform.architecture,
    os: platform.os,
    ...given({ variant: platform.variant }),
    config: { env: [], labels: new Map(), unknown: new Map() },
    diffIds: [],
    history: [],
    unknown: new Map(),
  };
}

/**
 * Reads a config blob.
 * @throws ERR_LAYER when it is not JSON, or a member has a type that the specification does not allow.
 */
export function parseImageConfig(text: string): ImageConfig {
  const root = parseJson(text);
  if (!(root instanceof Map)) throw malformed('the document', 'an object');
  const rootfs = root.get('rootfs');
  const run = root.get('config');
  if (run !== undefined && run !== null && !(run instanceof Map)) throw malformed('config', 'an object');
  const diffIds = rootfs instanceof Map ? strings(rootfs, 'diff_ids') : undefined;
  return {
    architecture: textOf(root, 'architecture') ?? '',
    os: textOf(root, 'os') ?? '',
    ...given({
      variant: textOf(root, 'variant'),
      osVersion: textOf(root, 'os.version'),
      created: textOf(root, 'created'),
      author: textOf(root, 'author'),
    }),
    config: parseRunConfig(run ?? new Map()),
    diffIds: (diffIds ?? []).map((id) => {
      if (isDigest(id)) return id;
      throw malformed('rootfs.diff_ids', 'a list of digests');
    }),
    history: parseHistory(root.get('history')),
    unknown: rest(root, knownRoot),
  };
}

/** The config blob: known members in the specification's order, then the unknown ones by name. Same value, same bytes. */
export function formatImageConfig(image: ImageConfig): string {
  const known = jsonObject({
    created: image.created || undefined,
    author: image.author || undefined,
    architecture: image.architecture,
    variant: image.variant || undefined,
    os: image.os,
    'os.version': image.osVersion || undefined,
    config: formatRunConfig(image.config),
    rootfs: jsonObject({ type: 'layers', diff_ids: image.diffIds }),
    history: image.history.map(formatHistory),
  });
  return formatJson(new Map([...known, ...sorted(image.unknown)]));
}

const knownRoot: ReadonlySet<string> = new Set([
  ...'architecture os variant os.version created author config rootfs history'.split(' '),
  // What the classic docker builder leaves behind of the base's own build; it would be wrong in a new image.
  ...'container container_config docker_version parent id'.split(' '),
]);
function parseHistory(value: Json | undefined): readonly HistoryEntry[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw malformed('history', 'a list');
  return value.map((entry: Json) => {
    if (!(entry instanceof Map)) throw malformed('history', 'a list of objects');
    return {
      ...given({
        created: textOf(entry, 'created'),
        createdBy: textOf(entry, 'created_by'),
        comment: textOf(entry, 'comment'),
        author: textOf(entry, 'author'),
      }),
      ...(entry.get('empty_layer') === true ? { emptyLayer: true } : {}),
    };
  });
}

function formatHistory({ created, createdBy, author, comment, emptyLayer }: HistoryEntry): JsonObject {
  return jsonObject({
    created: created || undefined,
    created_by: createdBy || undefined,
    author: author || undefined,
    comment: comment || undefined,
    empty_layer: emptyLayer || undefined,
  });
}
