// What a build gives away, as values.
import type { Reference } from '../oci/reference.ts';
import type { SigningRequest } from '../trust/signer.ts';
import type { StoreOutput } from './store-image.ts';

/** Where the image goes, and what is written about it. */
export interface OutputRequest {
  readonly destinations: readonly Reference[];
  readonly noPush: boolean;
  readonly ociLayoutPath?: string;
  readonly tarPath?: string;
  readonly exports: readonly ExportSpec[];
  /** The store of this machine, where the image is kept. */
  readonly store?: StoreOutput;
  /** Each of these is an absolute path, or the http(s) URL of who takes it by PUT. */
  readonly digestFile?: string;
  readonly imageNameWithDigestFile?: string;
  readonly imageNameTagWithDigestFile?: string;
  /** Gets what `buildMetadata` says. */
  readonly metadataFile?: string;
  /** Gets the digest of the config. */
  readonly iidfile?: string;
  /** `$BUILDER_OUTPUT/images`: what was pushed, a JSON object a line. */
  readonly builderOutput?: string;
  /** As `builderOutput`, for Drone and Harness: what `artifactOf` says. */
  readonly artifactFile?: string;
  /** Gets the keys of all steps as JSON. */
  readonly cacheExplain?: string;
  /** Who signs what is pushed. */
  readonly signing?: SigningRequest;
  readonly skipPushPermissionCheck: boolean;
  readonly ignoreImmutableTags: boolean;
  readonly pushRetries: number;
}

/** Files that get what became of the image, with the flags or variables that name them. */
export const resultFlags = {
  digestFile: 'digest-file',
  imageNameWithDigestFile: 'image-name-with-digest-file',
  imageNameTagWithDigestFile: 'image-name-tag-with-digest-file',
  metadataFile: 'metadata-file',
  iidfile: 'iidfile',
  builderOutput: 'BUILDER_OUTPUT',
  artifactFile: 'PLUGIN_ARTIFACT_FILE',
  cacheExplain: 'cache-explain',
} as const;
export type ResultFile = keyof typeof resultFlags;
export const resultFiles = Object.keys(resultFlags) as readonly ResultFile[]; // its own keys

/** All that may name a place of its own. */
export const outputPlaces = ['ociLayoutPath', 'tarPath', ...resultFiles] as const;

/** The files and folders that a build writes. */
export function outputPaths(output: OutputRequest): readonly string[] {
  const paths = outputPlaces.flatMap((name) => output[name] ?? []).filter((place) => !isUrl(place));
  return [...paths, ...output.exports.map(({ path }) => path)];
}

export const exportTypes = ['local', 'tar', 'oci', 'docker'] as const;
export type ExportType = (typeof exportTypes)[number];

/** `--output`: the image's files in a folder or an archive, or the image as an archive or a layout. */
export interface ExportSpec {
  readonly type: ExportType | 'layout';
  /** Absolute; or `standardOutput` of `store/whole-file.ts`, for archives. */
  readonly path: string;
}

/** The name of the file in the folder BUILDER_OUTPUT, as Google Cloud Build has it. */
export const builderOutputFile = 'images';

export function isUrl(place: string): boolean {
  return /^https?:\/\//i.test(place);
}

/** One place that the image was pushed to. */
export interface PushedImage {
  /** As a person would write it: `registry/repo:tag`. */
  readonly destination: string;
  readonly digest: string;
}
