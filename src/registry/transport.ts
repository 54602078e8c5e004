// Requests with redirects and retries. Headers that carry secrets stay with the origin that they were made for.
import { isIP } from 'node:net';
import { RegistryError } from '../errors.ts';
import { given } from '../given.ts';
import { findBaseUrl } from './base-url.ts';
import { type Exchange, observed } from './notes.ts';
import { bareHost, isLoopback } from './proxy.ts';
import { type Response, discard, failureOf, header, redactUrl } from './response.ts';
import { type Clock, type Retry, type RetryPolicy, defaultRetryPolicy, isTransientStatus, systemClock, withRetries } from './retry.ts';
import { JointWork } from './joint-work.ts';
import { type Method, type HttpOptions, createHttpClient } from './http-client.ts';

/** Content that can be sent again from its start. */
export interface Body {
  /** A chunk has to stay as it is until the next is asked for. */
  readonly open: () => AsyncIterable<Buffer> | Buffer;
  /** Sent as Content-Length; left out where nobody knows it yet. */
  readonly sizeBytes?: number;
}

export interface Request {
  readonly method: Method;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body;
  readonly extraPatienceMs?: number;
  readonly patience?: number;
  /** Checks each further hop; throws to refuse it. */
  readonly checkHop?: (to: URL) => void;
  readonly redirectLimit?: number;
  /** "verb object" for error messages. */
  readonly task: string;
}

export interface TransportOptions extends HttpOptions {
  readonly userAgent: string;
  readonly retryPolicy?: RetryPolicy;
  readonly clock?: Clock;
  /** Gets a line for each further try. */
  readonly onRetry?: (line: string) => void;
  /** Hears of each exchange, redirects among them. */
  readonly onExchange?: (exchange: Exchange) => void;
}

export interface Transport {
  /** With retries (ours where left out): any answer whose status another try can't change. */
  readonly send: (request: Request, signal: AbortSignal, retry?: Retry) => Promise<Response>;
  /** One try: any answer at all. */
  readonly attempt: (request: Request, signal: AbortSignal) => Promise<Response>;
  /** `https://host/`, or `http://host/` where that is allowed and what answers there. Settled once a host, by an answer. */
  readonly baseUrl: (registry: string, signal: AbortSignal, retry?: Retry) => Promise<URL>;
  readonly allowsHttp: (host: string) => boolean;
  readonly retry: Retry;
  readonly close: () => Promise<void>;
}

/** The transport of one client; owns its connections until `close`. */
export function createTransport(options: TransportOptions): Transport {
  const client = observed(createHttpClient(options), options.onExchange ?? (() => undefined));
  const ownRetry: Retry = {
    policy: options.retryPolicy ?? defaultRetryPolicy,
    clock: options.clock ?? systemClock,
    ...given({ tell: options.onRetry }),
  };
  const bases = new JointWork<string, URL>();
  const allowsHttp = (host: string): boolean =>
    options.hostRules(host).insecure === true ||
    isLoopback(bareHost(URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : host));

  const attempt = async (request: Request, signal: AbortSignal): Promise<Response> => {
    let url = request.url;
    let headers: Readonly<Record<string, string>> = request.headers ?? {};
    const chain = [redactUrl(url)];
    for (;;) {
      signal.throwIfAborted();
      const length = lengthOf(request);
      const answer = await client.exchange(
        {
          method: request.method,
          url,
          headers: { 'user-agent': options.userAgent, ...headers, ...(length === undefined ? {} : { 'content-length': String(length) }) },
          ...(request.body === undefined ? {} : { body: request.body.open() }),
          ...given({ extraPatienceMs: request.extraPatienceMs, patience: request.patience }),
          ...(request.body !== undefined && request.body.sizeBytes === undefined ? { isGrowing: true } : {}),
        },
        signal,
      );
      const response: Response = { ...answer, method: request.method, url };
      const location = isRedirect(answer.status) ? header(response, 'location') : undefined;
      if (location === undefined) return response;
      await discard(response);
      const to = nextHop(request, url, location, answer.status);
      chain.push(redactUrl(to));
      if (chain.length > (request.redirectLimit ?? 10) + 1) {
        throw refused(request, url, `too many redirects (${chain.join(' → ')})`);
      }
      request.checkHop?.(to);
      if (to.origin !== url.origin) headers = withoutSecrets(headers);
      url = to;
    }
  };

  return {
    attempt,
    send: async (request, signal, retry = ownRetry) =>
      await withRetries(retry, signal, async (count) => {
        const response = await attempt(request, signal);
        if (!isTransientStatus(response.status)) return response;
        if (count < retry.policy.tries) throw await failureOf(response, request.task);
        // The last try's answer goes to the caller, who knows what to say about it.
        return { ...response, tries: count };
      }),
    baseUrl: async (registry, signal, retry = ownRetry) =>
      await bases.get(baseKey(registry, retry), signal, (inner) => findBaseUrl(registry, allowsHttp(registry), { attempt, retry }, inner)),
    allowsHttp,
    retry: ownRetry,
    close: client.close,
  };
}

/**
 * Refuses addresses that no registry has a reason to send us to: cloud metadata and link-local always, and private
 * addresses from a public one. Names are not looked up here.
 * @throws RegistryError
 */
export function checkAddress(from: URL, to: URL, task: string): void {
  const host = bareHost(to.hostname).toLowerCase();
  const isPrivate = isPrivateLiteral(host);
  const isMetadata = host.startsWith('169.254.') || /^fe[89ab]/.test(host) || host === 'fd00:ec2::254' || host.startsWith('::ffff:a9fe:');
  if (isMetadata || (isPrivate && to.host !== from.host && !isPrivateLiteral(bareHost(from.hostname)) && from.hostname !== 'localhost')) {
    throw new RegistryError(`Cannot ${task}: ${from.host} sends us to ${to.host}, which is a private address`, {
      method: 'GET',
      url: redactUrl(to),
    });
  }
}

function isPrivateLiteral(host: string): boolean {
  if (isIP(host) === 4)
    return /^(?:0|10|127)\.|^192\.168\.|^169\.254\.|^172\.(?:1[6-9]|2\d|3[01])\.|^100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(host);
  return isIP(host) === 6 && (/^f[cd]|^fe[89ab]|^::ffff:/i.test(host) || host === '::1' || host === '::');
}

/** Who is not patient decides for nobody else. */
function baseKey(registry: string, { isElsewhere = false }: Retry): string {
  return `${registry} ${isElsewhere}`;
}

/** Some servers want one even where there is no body. */
function lengthOf({ method, body }: Request): number | undefined {
  if (body !== undefined) return body.sizeBytes;
  return method === 'POST' || method === 'PUT' ? 0 : undefined;
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

function nextHop(request: Request, from: URL, location: string, status: number): URL {
  if (!URL.canParse(location, from)) throw refused(request, from, 'it redirects to something that is no URL');
  const to = new URL(location, from);
  to.hash = '';
  if (to.protocol !== 'https:' && to.protocol !== 'http:') throw refused(request, from, `it redirects to ${to.protocol}`);
  if (to.username !== '' || to.password !== '') throw refused(request, from, 'it redirects to a URL with credentials in it');
  if (from.protocol === 'https:' && to.protocol === 'http:') throw refused(request, from, `it redirects from https to ${to.origin}`);
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  // 301 to 303 let clients turn a write into a GET, which would lose the content; within one host they only mean "use https".
  if (!isRead && status !== 307 && status !== 308 && to.hostname !== from.hostname) {
    throw refused(request, from, `it redirects ${request.method} to ${redactUrl(to)} with ${status}`);
  }
  checkAddress(from, to, request.task);
  return to;
}

function refused(request: Request, url: URL, why: string): RegistryError {
  return new RegistryError(`Cannot ${request.task}: ${why}`, { method: request.method, url: redactUrl(url) });
}

const secretHeaders: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization', 'x-amz-security-token']);

function withoutSecrets(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !secretHeaders.has(name.toLowerCase())));
}
