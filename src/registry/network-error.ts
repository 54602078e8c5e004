// What broke between us and a registry, in our words: whether it may pass, and what to try.
import { BuilderError, RegistryError, messageOf, systemCode } from '../errors.ts';
import { given } from '../given.ts';
import { clientCertificateHint, redactUrl } from './response.ts';
import { TransientError, isTransientStatus } from './retry.ts';

/** "Cannot reach HOST", with the proxy that it is reached through: which of the two failed may not show. */
export function unreachable(host: string, proxy: URL | undefined): string {
  return `Cannot reach ${host}${proxy === undefined ? '' : ` through the proxy ${proxy.host}`}`;
}

/**
 * What a failed connection or a body that broke off means, in our words; a BuilderError stays what it is. `authorities` says where
 * their certificates are looked for.
 */
export function networkError(
  error: unknown,
  request: { readonly method: string; readonly url: URL },
  { proxy, authorities }: { readonly proxy?: URL | undefined; readonly authorities?: string | undefined } = {},
): BuilderError {
  if (error instanceof BuilderError) return error;
  const codes = codesOf(error);
  const url = redactUrl(request.url);
  const host = request.url.host;
  const status = proxyStatusOf(error);
  const why = status === undefined ? reasonOf(error, codes) : `the proxy answered ${status}`;
  const hint = status === 407 ? proxyPasswordHint : hintFor(codes, request.url, authorities);
  // What undici says of a proxy's status is said by then.
  const options = { ...(status === undefined ? { cause: withoutAdvice(error, codes) } : {}), ...given({ hint }) };
  const message = `${unreachable(host, proxy)}: ${why}`;
  return codes.some((code) => passing.has(code)) || (status !== undefined && isTransientStatus(status))
    ? new TransientError(message, { method: request.method, url }, { ...options, isRefusal: codes.some((code) => refusals.has(code)) })
    : new RegistryError(message, { method: request.method, url }, options);
}

const passing: ReadonlySet<string> = new Set([
  ...'ECONNREFUSED ECONNRESET ECONNABORTED ETIMEDOUT EPIPE EHOSTUNREACH ENETUNREACH EAI_AGAIN'.split(' '),
  ...'CONNECT_TIMEOUT HEADERS_TIMEOUT BODY_TIMEOUT SOCKET RES_CONTENT_LENGTH_MISMATCH PRX_CONN'.split(' ').map((name) => `UND_ERR_${name}`),
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
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'it speaks only versions of TLS that are no longer safe'],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'it speaks only versions of TLS that are no longer safe'],
  ['ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL', 'it speaks no HTTP/1.1'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not speak TLS'],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'it does not speak TLS'],
]);

/** Alerts of a server about its client's certificate, or the lack of one. */
const clientCertificateCode =
  /^ERR_SSL_.*ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED)$/;

/** Whose reason may be our clock. */
const datedCodes: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);

const untrustedCode = /^(?:CERT_UNTRUSTED|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/;

const withoutTls: ReadonlySet<string> = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG']);

/** True for a failure that shows that the other side speaks, but not TLS. */
export function isWithoutTls(error: RegistryError): boolean {
  return codesOf(error).some((code) => withoutTls.has(code));
}

/** True for a failure that shows that what was answered is no HTTP. */
export function isNoHttp(error: unknown): boolean {
  // undici gives no code for it.
  return error instanceof Error && error.cause instanceof Error && error.cause.name === 'HTTPParserError';
}

function reasonOf(error: unknown, codes: readonly string[]): string {
  const message = messageOf(error);
  if (codes.some((code) => clientCertificateCode.test(code))) return 'it wants a client certificate, or another one than ours';
  for (const code of codes) {
    const reason = reasons.get(code);
    if (reason !== undefined) return datedCodes.has(code) ? `${reason} (our clock says ${new Date().toISOString().slice(0, 16)}Z)` : reason;
  }
  if (codes.includes('UND_ERR_SOCKET')) return 'the connection closed early';
  // OpenSSL's own: number, library, function, reason, file, line.
  const tls = /^[0-9A-F]+:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(message)?.[1];
  if (tls !== undefined) return `TLS failed: ${tls}`;
  return message.split('\n', 1)[0] ?? 'unknown reason';
}

/** What a proxy said instead of opening the way; undici has only words for it. */
function proxyStatusOf(error: unknown): number | undefined {
  const said = error instanceof Error ? /^Proxy (?:response|Authentication Required) \((\d+)\)/.exec(error.message)?.[1] : undefined;
  return said === undefined ? undefined : Number(said);
}

const proxyPasswordHint = 'give the proxy its user and password: USER:PASSWORD@ before the host in HTTPS_PROXY=http://host:port';

function hintFor(codes: readonly string[], { host, pathname }: URL, authorities = 'a file that SSL_CERT_FILE names'): string | undefined {
  const skip = `--skip-tls-verify-registry ${host} skips the check`;
  if (codes.some((code) => untrustedCode.test(code)))
    return `put its authority's certificate into ${authorities}, or name it with --registry-certificate ${host}=<file>; ${skip}`;
  if (codes.includes('ERR_TLS_CERT_ALTNAME_INVALID')) return `call it by a name that its certificate is for; ${skip}`;
  if (codes.some((code) => datedCodes.has(code))) return `renew its certificate, or set the clock of this machine; ${skip}`;
  if (codes.some((code) => clientCertificateCode.test(code))) return clientCertificateHint(host);
  if (codes.some((code) => withoutTls.has(code))) {
    // A repository of git, or a context: no flag for registries has a say there.
    if (!pathname.startsWith('/v2/')) return 'write http:// instead of https://; for a context of git:// set GIT_PULL_METHOD=http';
    return `allow plain HTTP with --insecure-registry ${host}`;
  }
  if (codes.includes('ENOTFOUND') && !host.endsWith('docker.io')) return 'check the name of the host';
  return undefined;
}

/** What Node says of flags for itself is no advice for who runs us. */
function withoutAdvice(error: unknown, codes: readonly string[]): unknown {
  const advice = /; if the root CA is installed locally, .*$/s;
  if (!(error instanceof Error) || !advice.test(error.message)) return error;
  return Object.assign(new Error(error.message.replace(advice, '')), { code: codes[0] });
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
