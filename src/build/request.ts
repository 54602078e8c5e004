// Everything a build is asked for, as one frozen value. The command line makes it; nothing below reads argv or env.
import type { ProvenanceRequest } from '../attest/provenance.ts';
import type { Digest } from '../oci/digest.ts';
import type { Platform } from '../oci/platform.ts';
import type { BuiltInHelper } from '../registry/credentials.ts';
import type { CachePlace } from '../outputs/entry-place.ts';
import type { OutputRequest, PushedImage } from '../outputs/output-request.ts';

/** `--secret`: where a secret's bytes come from. */
export interface SecretSpec {
  readonly id: string;
  readonly source: { readonly kind: 'file'; readonly path: string } | { readonly kind: 'value'; readonly value: string };
}

/** `--build-context name=place`. */
export interface NamedContextSpec {
  readonly name: string;
  readonly place: string;
}

/** When a base is looked for in the store of this machine: before its registry is asked, never, or only there. */
export interface StoreRequest {
  readonly folder: string;
  /** `newer` asks as `always`, and takes what is here where it gets no image. */
  readonly pull: 'missing' | 'always' | 'never' | 'newer';
}

/** `--cache` and what belongs to it. */
export interface CacheRequest {
  /** Asked in this order. */
  readonly from: readonly CachePlace[];
  /** Where new entries go; undefined keeps none. */
  readonly to?: CachePlace;
  /** What is found elsewhere goes there, too. */
  readonly copiesFound?: boolean;
  /** Older entries are as good as none. */
  readonly ttlMs: number;
  /** COPY and ADD. */
  readonly copyLayers: boolean;
  /** RUN and WORKDIR. */
  readonly runLayers: boolean;
  /** What cache mounts hold is kept, too, of each at most so much; undefined keeps none. */
  readonly mountBytes?: number;
}

export interface BuildRequest {
  /** Path, or `-` for standard input. */
  readonly dockerfile: string;
  /** A place; `-` is whatever comes by standard input. */
  readonly context: string;
  readonly contextSubPath?: string;
  readonly ignoreFile?: string;
  /** The `.dockerignore` of an archive or a repository counts: kaniko's rule, not BuildKit's. */
  readonly appliesUnpackedRules: boolean;
  readonly namedContexts: readonly NamedContextSpec[];
  /** `--git` settings. */
  readonly git: ReadonlyMap<string, string>;
  readonly targets: readonly string[];
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly secrets: readonly SecretSpec[];
  /** Agent sockets by id. */
  readonly ssh: ReadonlyMap<string, string>;
  /** Variables of the image, over its own; and those that it goes without. */
  readonly env: ReadonlyMap<string, string>;
  readonly unsetEnv: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  /** An image is built for each; several make an index. */
  readonly platforms: readonly Platform[];
  /** The one that is being built for; before that, the first. */
  readonly platform: Platform;
  readonly buildPlatform: Platform;
  readonly compression: 'gzip' | 'zstd';
  /** Undefined is the compressor's default. */
  readonly compressionLevel?: number;
  readonly imageFormat: 'inherit' | 'docker' | 'oci';
  /** What is stated beside the image of how it came to be; undefined states nothing. */
  readonly provenance?: ProvenanceRequest;
  readonly reproducible: boolean;
  /** Every stage is unpacked, whether a RUN needs it or not. */
  readonly alwaysUnpack: boolean;
  /** Which layers of the last stage become one: those that it adds, or its base's, too. Undefined: each step has its own. */
  readonly merges?: 'new' | 'all';
  /** Seconds since 1970: the build's own time, and that of every file in new layers. */
  readonly timestamp?: number;
  readonly omitsHistory: boolean;
  /** The context's files may be moved out of the way where the image works in their folder. */
  readonly borrowsContext: boolean;
  /** In no layer; names may be patterns. */
  readonly ignorePaths: readonly string[];
  readonly network: 'default' | 'host' | 'none';
  /** The root is emptied after the build. */
  readonly cleanup: boolean;
  /** The root is emptied before the build, even where nothing is unpacked. */
  readonly preCleanup: boolean;
  /** What the root held before the build is put back after it. */
  readonly preservesRoot: boolean;
  /** Undefined: every step is executed, and nothing kept. */
  readonly cache?: CacheRequest;
  /** Where a warmer keeps base images; an absolute path. */
  readonly baseFolder?: { readonly path: string; readonly ttlMs: number };
  /** Somebody keeps the events: what is in the image is told, too. */
  readonly tellsContents: boolean;
  readonly printChecks: boolean;
  /** The plan is told before building, or instead of it. */
  readonly printsPlan: boolean;
  readonly planOnly: boolean;
  readonly downloadRetries: number;
  /** The builder's own folder inside the root: layers, stages and caches live below it. */
  readonly builderFolder: string;
  /** The root that is built in: `/` except in tests. */
  readonly rootPath: string;
  /** Images of this machine, as bases. */
  readonly store?: StoreRequest;
  readonly output: OutputRequest;
}

export interface BuildResult {
  readonly digest: string;
  readonly pushed: readonly PushedImage[];
  /** The digest of its config, which is its name in the store. */
  readonly imageId: Digest;
}

/** What is said of single registries, by host. */
export interface HostSettings {
  readonly insecureRegistries: ReadonlySet<string>;
  readonly skipTlsVerifyRegistries: ReadonlySet<string>;
  /** Path of a PEM file. */
  readonly certificates: ReadonlyMap<string, string>;
  readonly clientCertificates: ReadonlyMap<string, { readonly certificate: string; readonly key: string }>;
}

/** How registries are reached; one set of rules for pulling, one for pushing. */
export interface RegistryRequest extends HostSettings {
  readonly insecurePush: boolean;
  readonly insecurePull: boolean;
  readonly skipTlsVerifyPush: boolean;
  readonly skipTlsVerifyPull: boolean;
  /** By registry: `host[/prefix]`, tried in order. */
  readonly mirrors: ReadonlyMap<string, readonly string[]>;
  readonly onlyMirrors: boolean;
  /** Built-in credential helpers to ask; undefined is all. */
  readonly credentialHelpers?: ReadonlySet<BuiltInHelper>;
  /** What is larger is sent in chunks of so many bytes. */
  readonly chunkBytes?: number;
  readonly userAgent: string;
}
