// Secrets for downloads: HTTP_AUTH_HEADER_<host> and HTTP_AUTH_TOKEN_<host>, for ADD of a URL and for https:// contexts.
import { BuilderError } from '../errors.ts';
import type { RegistryClient } from '../registry/client.ts';

/**
 * `download` with the Authorization header that a secret holds for the URL's host, with its port or without; a header is sent as
 * it is, a token as a bearer's. Redirects to other hosts don't get it.
 */
export function withDownloadSecrets(
  download: RegistryClient['download'],
  secrets: ReadonlyMap<string, Buffer>,
): RegistryClient['download'] {
  return async (url, options) => {
    const authorization = authorizationFor(url, secrets);
    if (authorization === undefined) return await download(url, options);
    return await download(url, { ...options, headers: { ...options.headers, authorization } });
  };
}

function authorizationFor(url: URL, secrets: ReadonlyMap<string, Buffer>): string | undefined {
  for (const host of new Set([url.host, url.hostname])) {
    const header = secretLine(secrets, `HTTP_AUTH_HEADER_${host}`);
    if (header !== undefined) return header;
    const token = secretLine(secrets, `HTTP_AUTH_TOKEN_${host}`);
    if (token !== undefined) return `Bearer ${token}`;
  }
  return undefined;
}

/** A secret for a header, without the line end that a file has more often than not; undefined for none. @throws ERR_USAGE */
export function secretLine(secrets: ReadonlyMap<string, Buffer>, id: string): string | undefined {
  const text = secrets.get(id)?.toString('utf8').trim();
  if (text === undefined || text === '') return undefined;
  // oxlint-disable-next-line no-control-regex -- a header can't carry them
  if (/[\u0000-\u001f\u007f]/.test(text)) throw new BuilderError('ERR_USAGE', `Cannot use secret ${id}: it has several lines`);
  return text;
}
