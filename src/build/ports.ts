// What a build needs of the world, as values and functions: tests put their own in.
import type { Materials } from '../attest/materials.ts';
import type { ByteString } from '../bytes.ts';
import type { SourceTree } from '../context/tree.ts';
import type { Emit } from '../events.ts';
import type { PulledBases } from '../outputs/store-image.ts';
import type { Launcher } from '../linux/launch.ts';
import type { ReadAheadRequest } from '../files/read-ahead.ts';
import type { LookRequest } from '../rootfs/second-look.ts';
import type { RegistryClient } from '../registry/client.ts';
import type { Signer } from '../trust/signer.ts';
import type { ResolveImage } from './base-images.ts';
import { type Lendable } from './borrow-places.ts';
import type { AddScope } from './instructions/add.ts';
import type { VolumeClaims } from './instructions/cache-volumes.ts';

export interface BuildPorts {
  /** Where images go. */
  readonly registry: RegistryClient;
  /** Signs what is pushed. */
  readonly signer?: Signer;
  /** Files from the web, for ADD. */
  readonly download: RegistryClient['download'];
  /** Repositories, for ADD. */
  readonly git?: NonNullable<AddScope['git']>;
  /** What came from outside, as far as it has been fetched; there where somebody wants to know. */
  readonly materials?: Materials;
  /** Any name of an image: a registry's, or that of a --build-context which is an image. */
  readonly resolveImage: ResolveImage;
  /** Images of registries that `resolveImage` gave, by what the store of this machine calls them. */
  readonly pulledBases?: PulledBases;
  readonly context: SourceTree;
  /** Those of --build-context that are folders, by lower-case name. */
  readonly namedFolders: ReadonlyMap<string, SourceTree>;
  /** Makes ready to launch: to be called before anything is unpacked. */
  readonly openLauncher?: () => Promise<void>;
  readonly launch: Launcher['launch'];
  /** Has another thread look at files while we do. */
  readonly lookAgain?: (request: LookRequest) => void;
  /** Has it read files before we do. */
  readonly readAhead?: (request: ReadAheadRequest) => void;
  /** @throws ERR_TAMPERED when a RUN changed the builder's own files. */
  readonly verifySeal: () => void;
  /** Bytes of `--secret id=…`, read before the first stage. */
  readonly secrets: ReadonlyMap<string, Buffer>;
  /** Agent sockets by id. */
  readonly ssh: ReadonlyMap<string, string>;
  readonly protectedPaths: readonly ByteString[];
  /** Where results of earlier builds in this container are, and what somebody writes to during this one: absolute. */
  readonly keptPlaces?: readonly string[];
  /** What a command may not take for a volume of its own. */
  readonly volumes?: VolumeClaims;
  /** Contexts in whose folders the image may work for a while. */
  readonly lendable?: Lendable;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}
