// Whether a registry knows somebody: distribution-spec end-1, with credentials.
import { RegistryError } from '../errors.ts';
import { type RepositoryOptions, RepositoryRequests } from './repository-requests.ts';
import { discard, expect } from './response.ts';

/** @throws ERR_AUTH where the credentials are refused, RegistryError where there is no answer; a person waits, so there are few tries */
export async function checkLogin(
  registry: string,
  { transport, credentials }: Pick<RepositoryOptions, 'transport' | 'credentials'>,
  signal: AbortSignal,
): Promise<void> {
  const { policy } = transport.retry;
  const retry = { ...transport.retry, policy: { ...policy, tries: 2 }, isElsewhere: true };
  const task = `log in to ${registry}`;
  try {
    const base = await transport.baseUrl(registry, signal, retry);
    const requests = new RepositoryRequests({ reference: { registry, repository: '' }, base, transport, credentials, retry });
    const response = await requests.send('GET', new URL('/v2/', base), { access: 'pull', task }, signal);
    await discard(await expect(response, [200], task));
  } catch (error) {
    if (!(error instanceof RegistryError) || (error.status !== 401 && error.status !== 403)) throw error;
    const message = `Cannot log in to ${registry}: it refuses this user and password (${error.status})`;
    throw new RegistryError(message, error, { hint: 'a registry may want a token in place of the password', code: 'ERR_AUTH' });
  }
}
