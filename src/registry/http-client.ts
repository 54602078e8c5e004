// One HTTP exchange: connections, TLS, proxies, time limits. The only file that knows undici; its errors end here.
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { Agent, Client, type Dispatcher, ProxyAgent, type buildConnector } from 'undici';
import { BuilderError, RegistryError, systemCode } from '../errors.ts';
import { type Names, lookupWith } from './names.ts';
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
  readonly body?: Readable | Buffer;
  /** How much longer than usual the first byte of the answer may take; a registry may be busy moving a large blob. */
  readonly extraPatienceMs?: number;
  /** So many times as long as usual; servers that make what they send (archives of a commit, git packs) begin late. */
  readonly patience?: number;
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
  readonly connectTimeoutMs?: number;
  /** From the last byte sent to the first of the answer; as `stallTimeoutMs` where left out. */
  readonly answerTimeoutMs?: number;
}

export interface HttpClient {
  /** @throws TransientError or RegistryError when there is no answer. */
  readonly exchange: (request: HttpRequest, signal: AbortSignal) => Promise<HttpResponse>;
  readonly close: () => Promise<void>;
}

/** A client with its own connection pools; nothing global is touched. */
export function createHttpClient(options: HttpOptions): HttpClient {
  const limits: PaceLimits = {
    stallTimeoutMs: options.stallTimeoutMs ?? defaultPaceLimits.stallTimeoutMs,
    slowWindowMs: options.slowWindowMs ?? defaultPaceLimits.slowWindowMs,
    slowBytesPerSecond: options.slowBytesPerSecond ?? defaultPaceLimits.slowBytesPerSecond,
  };
  const answerTimeoutMs = options.answerTimeoutMs ?? limits.stallTimeoutMs;
  const dispatchers = new Map<string, Dispatcher>();
  const dispatcherFor = (url: URL): Dispatcher => {
    const rules = options.hostRules(url.host);
    const proxy = options.proxies === undefined ? undefined : proxyFor(url, options.proxies);
    const isPlain = rules.skipTlsVerify !== true && rules.certificates === undefined && rules.clientCertificate === undefined;
    const key = `${isPlain ? '' : url.host} ${proxy?.href ?? ''}`;
    const known = dispatchers.get(key);
    if (known !== undefined) return known;
    const made = createDispatcher(options, rules, proxy);
    dispatchers.set(key, made);
    return made;
  };
  return {
    exchange: async (request, signal) => {
      signal.throwIfAborted();
      const stalled = new AbortController();
      const either = AbortSignal.any([signal, stalled.signal]);
      const failure = (why: string): TransientError =>
        new TransientError(`Cannot reach ${request.url.host}: ${why}`, { method: request.method, url: redactUrl(request.url) });
      const { source, body } = outgoing(request.body, limits, (why) => stalled.abort(failure(why)));
      let sourceFailure: Error | undefined;
      source?.once('error', (error) => (sourceFailure = error));
      try {
        const answer = await dispatcherFor(request.url).request({
          origin: request.url.origin,
          path: `${request.url.pathname}${request.url.search}`,
          method: request.method,
          headers: request.headers,
          body,
          signal: either,
          bodyTimeout: limits.stallTimeoutMs,
          headersTimeout: answerTimeoutMs * (request.patience ?? 1) + (request.extraPatienceMs ?? 0),
        });
        // Whoever gives an answer up destroys its body, and undici tells the stream so: nobody else is there to hear it.
        answer.body.on('error', () => undefined);
        return { status: answer.statusCode, headers: headersOf(answer.headers), body: incoming(answer.body, request, limits, failure) };
      } catch (error) {
        signal.throwIfAborted();
        // What we were sending broke, not the network: its own error says more.
        if (sourceFailure instanceof BuilderError) throw sourceFailure;
        if (stalled.signal.aborted) throw stalled.signal.reason;
        throw networkError(error, request);
      }
    },
    close: async () => {
      await Promise.all([...dispatchers.values()].map(async (dispatcher) => await dispatcher.destroy()));
      dispatchers.clear();
    },
  };
}

function outgoing(
  body: Readable | Buffer | undefined,
  limits: PaceLimits,
  onStall: (why: string) => void,
): { readonly source?: Readable; readonly body: Readable | Buffer | null } {
  if (body === undefined) return { body: null };
  return Buffer.isBuffer(body) ? { body } : { source: body, body: pacedUpload(body, limits, onStall) };
}

function incoming(body: Readable, request: HttpRequest, limits: PaceLimits, fail: (why: string) => Error): Readable {
  const pass = async function* (): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* paced(body, limits, fail);
    } catch (error) {
      throw networkError(error, request);
    }
  };
  const out = Readable.from(pass(), { objectMode: false });
  out.once('close', () => body.destroy());
  out.on('error', () => undefined);
  return out;
}

/** What a failed connection or a body that broke off means, in our words; a BuilderError stays what it is. */
export function networkError(error: unknown, request: { readonly method: string; readonly url: URL }): BuilderError {
  if (error instanceof BuilderError) return error;
  const codes = codesOf(error);
  const url = redactUrl(request.url);
  const host = request.url.host;
  const why = reasonOf(error, codes);
  const hint = hintFor(codes, host);
  const options = { cause: error, ...(hint === undefined ? {} : { hint }) };
  const message = `Cannot reach ${host}: ${why}`;
  return codes.some((code) => passing.has(code))
    ? new TransientError(message, { method: request.method, url }, { ...options, isRefusal: codes.some((code) => refusals.has(code)) })
    : new RegistryError(message, { method: request.method, url }, options);
}

const passing: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_PRX_CONN',
]);

const refusals: ReadonlySet<string> = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH']);

const reasons: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'connection reset'],
  ['EPIPE', 'connection closed while sending'],
  ['ETIMEDOUT', 'connection timed out'],
  ['EHOSTUNREACH', 'no route to host'],
  ['ENETUNREACH', 'network unreachable'],
  ['ENOTFOUND', 'no such host'],
  ['EAI_AGAIN', 'no name server answered'],
  ['UND_ERR_CONNECT_TIMEOUT', 'connection timed out'],
  ['UND_ERR_HEADERS_TIMEOUT', 'no answer in time'],
  ['UND_ERR_BODY_TIMEOUT', 'the answer stalled'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'the answer broke off'],
  ['UND_ERR_HEADERS_OVERFLOW', 'the answer has too many headers'],
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is self-signed'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'its certificate comes from an authority that is not trusted here'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'its certificate comes from an authority that is not trusted here'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'its certificate chain is incomplete or not trusted here'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for another host'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not speak TLS'],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'it does not speak TLS'],
]);

/** Whose reason may be our clock. */
const datedCodes: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);

const certificateCode = /^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT)/;

/** True for a failure that shows that the other side speaks, but not TLS. */
export function isWithoutTls(error: RegistryError): boolean {
  return codesOf(error).some((code) => code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG');
}

function reasonOf(error: unknown, codes: readonly string[]): string {
  const message = error instanceof Error ? error.message : String(error);
  const proxyStatus = /^Proxy response \((\d+)\)/.exec(message)?.[1];
  if (proxyStatus !== undefined) return `the proxy answered ${proxyStatus}`;
  for (const code of codes) {
    const reason = reasons.get(code);
    if (reason !== undefined) return datedCodes.has(code) ? `${reason} (our clock says ${new Date().toISOString().slice(0, 16)}Z)` : reason;
  }
  if (codes.includes('UND_ERR_SOCKET')) return 'the connection closed early';
  return message.split('\n', 1)[0] ?? 'unknown reason';
}

function hintFor(codes: readonly string[], host: string): string | undefined {
  if (codes.some((code) => certificateCode.test(code))) {
    return `trust its authority with --registry-certificate ${host}=<file>, or skip the check with --skip-tls-verify-registry ${host}`;
  }
  if (codes.some((code) => code.startsWith('ERR_SSL_'))) return `allow plain HTTP with --insecure-registry ${host}`;
  if (codes.includes('ENOTFOUND')) return 'check the name of the registry';
  return undefined;
}

function codesOf(error: unknown): readonly string[] {
  const codes: string[] = [];
  const pending: unknown[] = [error];
  for (let seen = 0; pending.length > 0 && seen < 20; seen++) {
    const item = pending.shift();
    const code = systemCode(item);
    if (code !== undefined) codes.push(code);
    if (item instanceof AggregateError) pending.push(...item.errors);
    if (item instanceof Error && item.cause !== undefined) pending.push(item.cause);
  }
  return codes;
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
  // Bodies are large and few, and HTTP/1.1 gives each its own connection; every registry speaks it.
  const common = { allowH2: false, maxHeaderSize: 16_384 };
  if (proxy === undefined) return new Agent({ ...common, connect });
  return new ProxyAgent({
    ...common,
    uri: proxy.href,
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

/**
 * Makes undici load what it only loads with its first connection (its parser), and Node the extra authorities: after
 * the base image is unpacked, files of ours may no longer be trusted to be ours. Talks to itself over loopback.
 */
export async function warmUpHttp(): Promise<void> {
  getCACertificates('extra');
  const server = createServer((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n'));
  });
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen(0, '127.0.0.1', resolve);
  await listening;
  const address = server.address();
  if (address === null || typeof address === 'string') throw new BuilderError('ERR_INTERNAL', 'Cannot warm up: there is no loopback port');
  const client = new Client(`http://127.0.0.1:${address.port}`);
  try {
    const answer = await client.request({ method: 'GET', path: '/' });
    await answer.body.dump();
  } finally {
    await client.destroy();
    server.close();
  }
}
