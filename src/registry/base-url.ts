// Where a registry answers: by HTTPS, or where that is allowed by HTTP. An answer settles it; a failure only says to ask again.
import { BuilderError, RegistryError } from '../errors.ts';
import { given } from '../given.ts';
import { dockerHub } from '../oci/reference.ts';
import { type Response, discard, failureOf } from './response.ts';
import { type Retry, TransientError, isTransientStatus, withRetries } from './retry.ts';
import type { Transport } from './transport.ts';
import { isWithoutTls } from './network-error.ts';

/**
 * `https://host/` or `http://host/`. Without leave for HTTP nothing is asked.
 * @throws RegistryError with both reasons where neither answers
 */
export async function findBaseUrl(
  registry: string,
  mayBeHttp: boolean,
  { attempt, retry }: { readonly attempt: Transport['attempt']; readonly retry: Retry },
  signal: AbortSignal,
): Promise<URL> {
  // Docker Hub's name in image names is not where its registry answers.
  const host = registry === dockerHub ? 'registry-1.docker.io' : registry;
  const https = new URL(`https://${host}/`);
  if (!mayBeHttp) return https;
  const http = new URL(`http://${host}/`);
  const task = `reach ${registry}`;
  const ping = async (base: URL, pinging: AbortSignal): Promise<Response> =>
    await attempt({ method: 'GET', url: new URL('/v2/', base), task }, pinging);
  return await withRetries(retry, signal, async () => {
    const controller = new AbortController();
    const inner = AbortSignal.any([signal, controller.signal]);
    // Both at once, for who has no TLS is asked again soon; who has it is never spoken to without.
    const plain = baseOrRefusal(async () => {
      const answer = await ping(http, inner);
      // Servers of TLS answer 400 to plain HTTP, and a proxy in between 5xx for a server that is away.
      if (answer.status === 400 || answer.status === 407 || isTransientStatus(answer.status)) throw await failureOf(answer, task);
      await discard(answer);
      // Who was led on to TLS has been answered there, although the first try there may have failed.
      return answer.url.origin === https.origin ? https : http;
    }, inner);
    // Its failure is for who waits for it below, if anybody does.
    plain.catch(() => undefined);
    try {
      const secure = await baseOrRefusal(async () => {
        // Whatever its status: it came through TLS.
        await discard(await ping(https, inner));
        return https;
      }, inner);
      if (secure instanceof URL) return secure;
      const other = await plain;
      if (other instanceof URL) return other;
      throw neither(host, secure, other);
    } finally {
      controller.abort(new BuilderError('ERR_ABORTED', 'the other one answered'));
      await plain.catch(() => undefined);
    }
  });
}

/** What `ask` gives, or why the network does not let it. */
async function baseOrRefusal(ask: () => Promise<URL>, signal: AbortSignal): Promise<URL | RegistryError> {
  try {
    return await ask();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RegistryError) return error;
    throw error;
  }
}

/** Both reasons, as kaniko gives them. What may pass on the side that the host speaks is tried again. */
function neither(host: string, secure: RegistryError, plain: RegistryError): RegistryError {
  const [overTls, overPlain] = [reasonOf(secure), reasonOf(plain)];
  const why = overTls === overPlain ? overTls : `over HTTPS ${overTls}; over HTTP ${overPlain}`;
  const hint = isWithoutTls(secure) ? plain.hint : (secure.hint ?? plain.hint);
  const options = { cause: secure, ...given({ hint }) };
  const request = { method: secure.method, url: secure.url };
  const message = `Cannot reach ${host}${viaProxy.exec(plain.message)?.[1] ?? ''}: ${why}`;
  // A certificate that is not trusted stays so, whatever HTTP says; without TLS only HTTP counts.
  const mayPass = plain instanceof TransientError && (secure instanceof TransientError || isWithoutTls(secure));
  if (!mayPass) return new RegistryError(message, request, options);
  const isRefusal = plain.isRefusal && (!(secure instanceof TransientError) || secure.isRefusal);
  return new TransientError(message, request, { ...options, isRefusal, retryAfterMs: plain.retryAfterMs });
}

function reasonOf(error: RegistryError): string {
  return error.message.replace(/^Cannot reach [^ ]+(?: through the proxy [^ ]+)?: (?:[^ ]+ (?=answered ))?/, '');
}

const viaProxy = /^Cannot reach [^ ]+( through the proxy [^ ]+): /;
