// Google's registries take an access token as a password.
import type { CloudRegistry } from '../registry-credentials.ts';
import type { Clock } from '../../registry/retry.ts';
import { type GoogleCredentials, googleSources } from './credentials.ts';

/** gcr.io with its regions, and Artifact Registry's pkg.dev. */
export function google(credentials: GoogleCredentials, clock: Pick<Clock, 'now'>): CloudRegistry {
  return {
    name: 'google',
    programs: ['gcr', 'gcloud'],
    sources: googleSources,
    knows: (host) => host === 'gcr.io' || /\.(?:gcr\.io|pkg\.dev)$/.test(host),
    isPublic: () => false,
    group: () => 'all',
    obtain: async (_host, signal) => {
      const { value, renewAtMs } = await credentials.token(signal);
      if (value === undefined) return undefined;
      return { value: { kind: 'password', user: 'oauth2accesstoken', password: value.token }, lifeMs: renewAtMs - clock.now() };
    },
    forget: credentials.forget,
  };
}
