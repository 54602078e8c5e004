// A file from the web, for ADD: the registry client's own connections and name resolution, and nobody's credentials.
import type { Readable } from 'node:stream';
import { BuilderError, RegistryError } from '../errors.ts';
import { basic } from './authorization.ts';
import { header, discard, redactUrl } from './response.ts';
import { TransientError } from './retry.ts';
import type { Transport } from './transport.ts';

export interface Download {
  readonly lastModified: string | undefined;
  /** Bytes, where the server says so. */
  readonly sizeBytes: number | undefined;
  /** The receiver owns it. */
  readonly body: Readable;
}

/** 30 s for a registry are two minutes for a web or git server. */
export const serverPatience = 4;

/**
 * Fetches a URL, redirects followed, retried until the answer begins.
 * @throws ERR_CONTEXT when the answer is not 200, RegistryError when there is none.
 */
export async function fetchFile(
  transport: Transport,
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Download> {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new BuilderError('ERR_CONTEXT', `Cannot download ${redactUrl(url)}: only http and https are supported`);
  }
  const task = `download ${redactUrl(url)}`;
  const { request, secrets } = withoutUserinfo(url);
  // What is stored compressed must arrive as it is stored: its digest is of those bytes.
  const sent = { 'accept-encoding': 'identity', ...secrets, ...headers };
  let response;
  try {
    response = await transport.send({ method: 'GET', url: request, headers: sent, patience: serverPatience, task }, signal);
  } catch (error) {
    if (!(error instanceof RegistryError) || error instanceof TransientError) throw error;
    throw new BuilderError('ERR_CONTEXT', error.message, { cause: error, hint: error.hint });
  }
  // No condition was sent, so 304 is as little of an answer as 206 or 204: none of them has the file.
  if (response.status !== 200) {
    await discard(response);
    throw new BuilderError('ERR_CONTEXT', `Cannot ${task}: ${response.url.host} answered ${response.status}`);
  }
  const length = header(response, 'content-length');
  return {
    lastModified: header(response, 'last-modified'),
    sizeBytes: length === undefined || !/^\d{1,15}$/.test(length) ? undefined : Number(length),
    body: response.body,
  };
}

/** The URL without what only its server may read, and that as headers. */
export function withoutUserinfo(url: URL): { readonly request: URL; readonly secrets: Readonly<Record<string, string>> } {
  const request = new URL(url);
  request.username = '';
  request.password = '';
  request.hash = '';
  if (url.username === '' && url.password === '') return { request, secrets: {} };
  const [user, password] = [decoded(url.username), decoded(url.password)];
  return { request, secrets: { authorization: basic({ user, password }) } };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a percent sign that is no escape stands for itself
  }
}
