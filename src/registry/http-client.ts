// One HTTP exchange: connections, TLS, proxies, time limits. The only file that knows undici; its errors end here.
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { Agent, type Dispatcher, Pool, ProxyAgent, buildConnector } from 'undici';
import { BuilderError } from '../errors.ts';
import { type Names, lookupWith } from './names.ts';
import { isNoHttp, networkError, unreachable } from './network-error.ts';
import { type PaceLimits, defaultPaceLimits, paced, pacedUpload } from './pace.ts';
import { type ProxySettings, proxyFor } from './proxy.ts';
import { redactUrl } from './response.ts';
import { TransientError } from './retry.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** How one host is to be talked to. */
export interface HostRules {
  /** Plain HTTP is allowed where HTTPS doesn't answer. */
  readonly insecure?: boolean;
  readonly skipTlsVerify?: boolean;
  /** PEM text of authorities that are trusted for this host, besides the usual ones. */
  readonly certificates?: readonly string[];
  /** PEM text. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: string };
}

export interface HttpRequest {
  readonly method: Method;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Buffer> | Buffer;
  /** How much longer than usual the first byte of the answer may take; a registry may be busy moving a large blob. */
  readonly extraPatienceMs?: number;
  /** So many times as long as usual; servers that make what they send (archives of a commit, git packs) begin late. */
  readonly patience?: number;
  /** The body may take any time to come: the caller sees to it that the answer does. */
  readonly isGrowing?: true;
}

export interface HttpResponse {
  readonly status: number;
  /** By lower-case name, every value. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** The receiver owns it: read it to the end or destroy it. Errors are in our words, TransientError where another try may help. */
  readonly body: Readable;
}

export interface HttpOptions extends Partial<PaceLimits> {
  readonly names: Names;
  readonly hostRules: (host: string) => HostRules;
  readonly proxies?: ProxySettings;
  /** Where certificates of authorities are looked for, in words. */
  readonly authorities?: string | undefined;
  readonly connectTimeoutMs?: number;
  /** From the last byte sent to the first of the answer; as `stallTimeoutMs` where left out. */
  readonly answerTimeoutMs?: number;
}

export interface HttpClient {
  /** @throws TransientError or RegistryError when there is no answer. */
  readonly exchange: (request: HttpRequest, signal: AbortSignal) => Promise<HttpResponse>;
  readonly close: () => Promise<void>;
}

/** So many answers of status 1xx may come before the one that counts; Go's client takes as many. */
const interimLimit = 5;

/** A client with its own connection pools; nothing global is touched. */
export function createHttpClient(options: HttpOptions): HttpClient {
  const limits: PaceLimits = {
    stallTimeoutMs: options.stallTimeoutMs ?? defaultPaceLimits.stallTimeoutMs,
    slowWindowMs: options.slowWindowMs ?? defaultPaceLimits.slowWindowMs,
    slowBytesPerSecond: options.slowBytesPerSecond ?? defaultPaceLimits.slowBytesPerSecond,
  };
  const answerTimeoutMs = options.answerTimeoutMs ?? limits.stallTimeoutMs;
  const dispatchers = new Map<string, Dispatcher>();
  const proxyOf = (url: URL): URL | undefined => (options.proxies === undefined ? undefined : proxyFor(url, options.proxies));
  const dispatcherFor = (url: URL): Dispatcher => {
    const rules = options.hostRules(url.host);
    const proxy = proxyOf(url);
    const isPlain = rules.skipTlsVerify !== true && rules.certificates === undefined && rules.clientCertificate === undefined;
    const key = `${isPlain ? '' : url.host} ${proxy?.href ?? ''}`;
    return dispatchers.getOrInsertComputed(key, () => createDispatcher(options, rules, proxy));
  };
  const ask: HttpClient['exchange'] = async (request, signal) => {
    signal.throwIfAborted();
    const stalled = new AbortController();
    const either = AbortSignal.any([signal, stalled.signal]);
    const proxy = proxyOf(request.url);
    const failure = (why: string): TransientError =>
      new TransientError(`${unreachable(request.url.host, proxy)}: ${why}`, { method: request.method, url: redactUrl(request.url) });
    const wordsFor = (error: unknown): BuilderError => networkError(error, request, { proxy, authorities: options.authorities });
    const { body, sourceFailure } = outgoing(request.body, limits, (why) => stalled.abort(failure(why)));
    let interim = 0;
    try {
      const asked = dispatcherFor(request.url).request({
        origin: request.url.origin,
        path: `${request.url.pathname}${request.url.search}`,
        method: request.method,
        headers: request.headers,
        body,
        // Without this undici closes the connection after a HEAD. What a server sends after its answer all the same ends the connection too.
        reset: false,
        signal: either,
        // Each of them starts undici's time limit anew.
        onInfo: () => {
          interim += 1;
          if (interim > interimLimit) stalled.abort(failure(`it sent more than ${interimLimit} interim answers (1xx), and no other`));
        },
        bodyTimeout: limits.stallTimeoutMs,
        headersTimeout: request.isGrowing === true ? 0 : answerTimeoutMs * (request.patience ?? 1) + (request.extraPatienceMs ?? 0),
      });
      const answer = await orAborted(asked, either);
      // Whoever gives an answer up destroys its body, and undici tells the stream so: nobody else is there to hear it.
      answer.body.on('error', () => undefined);
      return { status: answer.statusCode, headers: headersOf(answer.headers), body: incoming(answer.body, limits, failure, wordsFor) };
    } catch (error) {
      signal.throwIfAborted();
      // What we were sending broke, not the network: its own error says more.
      if (sourceFailure() instanceof BuilderError) throw sourceFailure();
      if (stalled.signal.aborted) throw stalled.signal.reason;
      throw wordsFor(error);
    }
  };
  return {
    exchange: againAfterStray(ask),
    close: async () => {
      await Promise.all([...dispatchers.values()].map(async (dispatcher) => await dispatcher.destroy()));
      dispatchers.clear();
    },
  };
}

/** undici hears an abort once a connection is there: a server that accepts and then says nothing would be waited for. */
async function orAborted(asked: Promise<Dispatcher.ResponseData>, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([asked, aborted]);
  } catch (error) {
    void asked.then(
      ({ body }) => body.on('error', () => undefined).destroy(),
      () => undefined,
    );
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Some servers send a body after their answer to HEAD, which the next request on that connection then gets for an answer. */
function againAfterStray(ask: HttpClient['exchange']): HttpClient['exchange'] {
  return async (request, signal) => {
    try {
      return await ask(request, signal);
    } catch (error) {
      const isRepeatable = request.body === undefined || Buffer.isBuffer(request.body);
      if (signal.aborted || !isRepeatable || !isNoHttp(error)) throw error;
      return await ask(request, signal);
    }
  };
}

/** What goes out, and what its source has failed with. */
function outgoing(
  source: HttpRequest['body'],
  limits: PaceLimits,
  onStall: (why: string) => void,
): { readonly body: Buffer | null; readonly sourceFailure: () => unknown } {
  let failure: unknown;
  const told = async function* (content: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* content;
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  const body = source === undefined || Buffer.isBuffer(source) ? source : pacedUpload(told(source), limits, onStall);
  // undici's documentation knows iterables, its types don't.
  return { body: (body ?? null) as Buffer | null, sourceFailure: () => failure };
}

function incoming(body: Readable, limits: PaceLimits, fail: (why: string) => Error, wordsFor: (error: unknown) => BuilderError): Readable {
  const pass = async function* (): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* paced(body, limits, fail);
      // undici gives a connection back one turn after the answer's end: whoever asks at once would open another one.
      await setImmediate();
    } catch (error) {
      throw wordsFor(error);
    }
  };
  const out = Readable.from(pass(), { objectMode: false });
  out.once('close', () => body.destroy());
  out.on('error', () => undefined);
  return out;
}

function headersOf(headers: Readonly<Record<string, string | string[] | undefined>>): ReadonlyMap<string, readonly string[]> {
  const out = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) out.set(name.toLowerCase(), Array.isArray(value) ? value : [value]);
  }
  return out;
}

function createDispatcher(options: HttpOptions, rules: HostRules, proxy: URL | undefined): Dispatcher {
  const connect: buildConnector.BuildOptions = {
    lookup: lookupWith(options.names),
    timeout: options.connectTimeoutMs ?? 30_000,
    ...tlsOptions(rules),
  };
  // ARCHITECTURE.md says why.
  const common = { allowH2: false, maxHeaderSize: 16_384 };
  if (proxy === undefined) return new Agent({ ...common, connect: withAlerts(buildConnector({ ...connect, allowH2: false })) });
  return new ProxyAgent({
    ...common,
    uri: proxy.href,
    // Without this it waits five minutes for the proxy to open the way.
    clientFactory: (origin, given) => new Pool(origin, { ...given, headersTimeout: options.connectTimeoutMs ?? 30_000 }),
    // It has no way to hear what `common` says.
    requestTls: { ...connect, allowH2: false },
    // The proxy is another host: a client certificate and a relaxed check are not for it.
    proxyTls: {
      lookup: lookupWith(options.names),
      timeout: options.connectTimeoutMs ?? 30_000,
      ...tlsOptions(options.hostRules(proxy.host)),
    },
  });
}

/**
 * In TLS 1.3 a server refuses a client's certificate after the handshake. Node tells so and lets the connection end as if in order, and
 * undici then only knows that it has ended; so it ends with what was told.
 */
function withAlerts(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) =>
    connect(options, (...[failure, socket]) => {
      if (failure !== null) return callback(failure, null);
      socket.once('error', (error) => socket.destroy(error));
      callback(null, socket);
    });
}

function tlsOptions(rules: HostRules): { readonly rejectUnauthorized?: boolean; readonly secureContext?: SecureContext } {
  const { certificates, clientCertificate } = rules;
  const verify = rules.skipTlsVerify === true ? { rejectUnauthorized: false } : {};
  if (certificates === undefined && clientCertificate === undefined) return verify;
  // One context for all connections: parsing the authorities takes milliseconds each time.
  const secureContext = createSecureContext({
    ...(certificates === undefined ? {} : { ca: [...getCACertificates('default'), ...certificates] }),
    ...(clientCertificate === undefined ? {} : { cert: clientCertificate.certificate, key: clientCertificate.key }),
  });
  return { ...verify, secureContext };
}
