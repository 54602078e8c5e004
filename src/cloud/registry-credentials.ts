// Credentials of the clouds' registries, as the registry client asks for them: each cloud for its own hosts, kept while they are good.
import { BuilderError } from '../errors.ts';
import type { NativeHelper } from '../registry/credentials.ts';
import type { Credential } from '../registry/docker-config.ts';
import type { Clock } from '../registry/retry.ts';
import { type Passing, Renewed } from './renewed.ts';

export interface CloudRegistry {
  /** As `--credential-helpers` names it. */
  readonly name: 'ecr' | 'google' | 'acr';
  /** Names of docker-credential-* programs that it stands in for. */
  readonly programs: readonly string[];
  /** For "looked in". */
  readonly sources: readonly string[];
  /** Hosts are lower case and without a port. */
  readonly knows: (host: string) => boolean;
  /** Anybody may read there: then failing is no reason to stop. */
  readonly isPublic: (host: string) => boolean;
  /** Hosts of one group have the same credential. */
  readonly group: (host: string, registry: string) => string;
  /** Undefined where no source has any. `registry` is the host as it was named, with its port. @throws ERR_AUTH */
  readonly obtain: (host: string, signal: AbortSignal, registry: string) => Promise<Passing<Credential> | undefined>;
  readonly forget: () => void;
}

/** The helper that asks this cloud. */
export function nativeHelper(cloud: CloudRegistry, clock: Pick<Clock, 'now'>, warn: (message: string) => void): NativeHelper {
  const kept = new Map<string, Renewed<Credential>>();
  const isKnown = (registry: string): boolean => cloud.knows(hostOf(registry));
  return {
    name: cloud.name,
    programs: cloud.programs,
    sources: (registry) => (isKnown(registry) ? cloud.sources : []),
    find: async (registry, signal) => {
      const host = hostOf(registry);
      if (!cloud.knows(host)) return undefined;
      const group = cloud.group(host, registry);
      const make = (): Renewed<Credential> => new Renewed(clock, async (inner) => await cloud.obtain(host, inner, registry));
      const renewed = kept.getOrInsertComputed(group, make);
      try {
        const { value, renewAtMs } = await renewed.get(signal);
        return value === undefined ? undefined : { ...value, renewAtMs };
      } catch (error) {
        signal.throwIfAborted();
        if (!cloud.isPublic(host) || !(error instanceof BuilderError)) throw error;
        warn(`${error.message}; going on without credentials for ${registry}`);
        return undefined;
      }
    },
    forget: () => {
      cloud.forget();
      kept.clear();
    },
  };
}

function hostOf(registry: string): string {
  return registry.replace(/:\d+$/, '').toLowerCase();
}
