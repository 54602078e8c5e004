// What a build gives away, as values.
import type { Reference } from '../oci/reference.ts';

/** Where the image goes, and what is written about it. */
export interface OutputRequest {
  readonly destinations: readonly Reference[];
  readonly noPush: boolean;
  readonly ociLayoutPath?: string;
  readonly tarPath?: string;
  readonly digestFile?: string;
  readonly imageNameWithDigestFile?: string;
  readonly imageNameTagWithDigestFile?: string;
  /** Gets what `buildMetadata` says. */
  readonly metadataFile?: string;
  /** Gets the digest of the config. */
  readonly iidfile?: string;
  /** Gets the keys of all steps as JSON. */
  readonly cacheExplain?: string;
  readonly skipPushPermissionCheck: boolean;
  readonly ignoreImmutableTags: boolean;
  readonly pushRetries: number;
}

/** One place that the image was pushed to. */
export interface PushedImage {
  /** As a person would write it: `registry/repo:tag`. */
  readonly destination: string;
  readonly digest: string;
}
