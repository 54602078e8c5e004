// Reading a registry's answers: the statuses that count as success, and its errors in the specification's shape.
import type { Readable } from 'node:stream';
import { BuilderError, RegistryError } from '../errors.ts';
import { given } from '../given.ts';
import { type Digest, isDigest, splitDigest } from '../oci/digest.ts';
import { type Json, parseJson } from '../oci/json.ts';
import { TransientError, isTransientStatus, parseRetryAfter } from './retry.ts';

/** What is read of an error's body, in bytes. */
export const errorLimitBytes = 64 * 1024;

/** An answer, after redirects. */
export interface Response {
  readonly status: number;
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: Readable;
  readonly method: string;
  /** Where the answer came from in the end. */
  readonly url: URL;
  /** How often it was asked for, where nobody is to ask once more. */
  readonly tries?: number;
  /** What to try where it was refused to whom it was asked for by. */
  readonly advice?: string | undefined;
}

/** The first value of a header. */
export function header(response: Pick<Response, 'headers'>, name: string): string | undefined {
  return response.headers.get(name)?.[0];
}

/** The digest that an answer about `digest` names instead; undefined where it names that one, none, or one of another algorithm. */
export function otherDigest(response: Pick<Response, 'headers'>, digest: Digest): Digest | undefined {
  const told = header(response, 'docker-content-digest')?.trim();
  if (told === undefined || told === digest || !isDigest(told)) return undefined;
  return splitDigest(told).algorithm === splitDigest(digest).algorithm ? told : undefined;
}

/** The URL for people: no user, no password, no query values (presigned signatures are secrets), no fragment. */
export function redactUrl(url: URL): string {
  const names = [...url.searchParams.keys()].map((name) => `${name}=…`);
  return `${url.protocol}//${url.host}${url.pathname}${names.length === 0 ? '' : `?${names.join('&')}`}`;
}

/**
 * Passes an answer on if its status is one of `statuses`. `task` is "verb object", as in "push layer sha256:…".
 * @throws RegistryError with the registry's own words, TransientError where another try may help.
 */
export async function expect(response: Response, statuses: readonly number[], task: string): Promise<Response> {
  if (statuses.includes(response.status)) return response;
  throw await failureOf(response, task);
}

/** The error that an unwelcome answer means; reads and closes its body. */
export async function failureOf(response: Response, task: string): Promise<RegistryError> {
  const { errors, title } = response.method === 'HEAD' ? { errors: [], title: '' } : await readErrors(response);
  const [first] = errors;
  const page = isHtml(response) ? ` with an HTML page${title === '' ? '' : ` (${title})`}` : '';
  const said = first === undefined ? '' : ` ${first.code}${first.message === '' ? '' : `: ${first.message}`}`;
  const tries = response.tries === undefined ? '' : ` (tried ${response.tries} times)`;
  const message = `Cannot ${task}: ${response.url.host} answered ${response.status}${page}${said}${tries}`;
  const request = { method: response.method, url: redactUrl(response.url), status: response.status, errors };
  if (isTransientStatus(response.status)) {
    const retryAfterMs = parseRetryAfter(header(response, 'retry-after'), header(response, 'date'));
    const isSpent = response.tries !== undefined;
    return new TransientError(message, request, { retryAfterMs, isSpent, ...(response.status === 429 ? { hint: tooManyHint } : {}) });
  }
  const hint = response.status < 300 && page !== '' ? gatewayHint : (response.advice ?? hintFor(response, errors, title));
  const isAuth = response.status === 401 || response.status === 403;
  return new RegistryError(message, request, { hint, code: isAuth ? 'ERR_AUTH' : 'ERR_REGISTRY' });
}

/** The same refusal in other words, or with another hint. */
export function changed(error: RegistryError, to: { readonly message?: string; readonly hint?: string }): RegistryError {
  const { method, url, status, errors, code } = error;
  const hint = to.hint ?? error.hint;
  const request = { method, url, errors, ...given({ status }) };
  const options = { cause: error.cause, ...given({ hint }), ...(code === 'ERR_AUTH' ? { code } : {}) };
  return new RegistryError(to.message ?? error.message, request, options);
}

/** Throws an answer's body away, so that its connection can be used again. */
export async function discard(response: Pick<Response, 'body'>): Promise<void> {
  try {
    let seen = 0;
    for await (const chunk of response.body) {
      seen += Buffer.byteLength(chunk);
      if (seen > errorLimitBytes) break;
    }
  } catch {
    // nobody wanted it
  }
}

/**
 * A body of at most `limitBytes`, in memory.
 * @throws ERR_REGISTRY when there is more of it, or it is compressed (we never ask for that).
 */
export async function readCapped(response: Response, limitBytes: number, what: string): Promise<Buffer> {
  const encoding = header(response, 'content-encoding');
  if (encoding !== undefined && encoding !== 'identity') {
    response.body.destroy();
    throw new BuilderError(
      'ERR_REGISTRY',
      `Cannot read ${what}: ${response.url.host} sent it with content encoding ${encoding.slice(0, 40)}`,
    );
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    const bytes: unknown = chunk;
    if (!Buffer.isBuffer(bytes)) throw new BuilderError('ERR_INTERNAL', `Cannot read ${what}: the stream is not of bytes`);
    size += bytes.length;
    // leaving the loop destroys the body
    if (size > limitBytes)
      throw new BuilderError('ERR_REGISTRY', `Cannot read ${what}: ${response.url.host} sent more than ${limitBytes} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/**
 * A body of JSON, in memory, with the value in it. `what` is "a manifest".
 * @throws RegistryError for anything else, and as `readCapped`: a proxy or a login page answers 200 with a page for people
 */
export async function readJson(
  response: Response,
  limitBytes: number,
  what: string,
): Promise<{ readonly bytes: Buffer; readonly root: Json }> {
  const bytes = await readCapped(response, limitBytes, what);
  const text = bytes.toString('utf8');
  try {
    return { bytes, root: parseJson(text) };
  } catch (error) {
    if (isHtml(response) || /^\uFEFF?\s*<(?:!doctype|html|head|body|!--)/i.test(text)) throw htmlInstead(response, what);
    const kind = header(response, 'content-type')?.slice(0, 100) ?? 'no content type';
    const state = text.trim() === '' ? 'sent nothing' : `sent no JSON that can be used (${clean(kind)})`;
    throw new RegistryError(
      `Cannot read ${what}: ${redactUrl(response.url)} ${state}`,
      { method: response.method, url: redactUrl(response.url), status: response.status },
      { cause: error },
    );
  }
}

/** True where the answer calls itself a page for people. */
export function isHtml(response: Pick<Response, 'headers'>): boolean {
  return /^\s*(?:text\/html|application\/xhtml\+xml)\b/i.test(header(response, 'content-type') ?? '');
}

/** An HTML page came where `what` was wanted. */
export function htmlInstead(response: Response, what: string): RegistryError {
  const url = redactUrl(response.url);
  return new RegistryError(
    `Cannot read ${what}: an HTML page came from ${url}`,
    { method: response.method, url, status: response.status },
    { hint: gatewayHint },
  );
}

const tooManyHint = 'many registries allow more to those who log in: give credentials, or name a mirror with --registry-mirror';
const gatewayHint = 'a proxy or a login page stands before the registry: open the URL in a browser, or check HTTPS_PROXY and NO_PROXY';

/** The specification's error list, or the title of a page. */
async function readErrors(response: Response): Promise<{ readonly errors: RegistryError['errors']; readonly title: string }> {
  let text: string;
  try {
    text = (await readCapped(response, errorLimitBytes, 'an error')).toString('utf8');
  } catch {
    return { errors: [], title: '' };
  }
  try {
    const root = parseJson(text);
    const list = root instanceof Map ? root.get('errors') : undefined;
    return { errors: Array.isArray(list) ? list.slice(0, 10).flatMap(readError) : [], title: '' };
  } catch {
    return { errors: [], title: isHtml(response) ? clean(/<title>([^<]{1,200})/i.exec(text)?.[1]) : '' };
  }
}

function readError(item: Json): RegistryError['errors'] {
  if (!(item instanceof Map)) return [];
  const [code, message, detail] = ['code', 'message', 'detail'].map((name) => item.get(name));
  const about = clean(detail instanceof Map ? detail.get('digest') : detail);
  return [{ code: clean(code), message: withDetail(clean(message), about) }];
}

/** What docker-registry leaves out of a message: the digest it speaks of. */
function withDetail(message: string, about: string): string {
  if (message === '' || about === '') return message || about;
  return message.includes(about) ? message : `${message} (${about})`;
}

// A registry's words go to a terminal: no control characters, no novels.
function clean(value: Json | undefined): string {
  return typeof value === 'string'
    ? value
        .replace(/\p{Cc}+/gu, ' ')
        .trim()
        .slice(0, 500)
    : '';
}

/** What to do where a server asks its clients for certificates. */
export function clientCertificateHint(host: string): string {
  return `give a client certificate with --registry-client-cert ${host}=<certificate>,<key>`;
}

function hintFor({ status, method, url }: Response, errors: RegistryError['errors'], title: string): string | undefined {
  const { host } = url;
  // nginx: "400 No required SSL certificate was sent", "400 The SSL certificate error".
  if (status === 400 && /\bSSL certificate\b/i.test(title)) return clientCertificateHint(host);
  if (errors.some((error) => error.code === 'NAME_UNKNOWN'))
    return method === 'GET'
      ? 'check the name of the repository'
      : 'some registries want a repository to be created before the first push (aws ecr create-repository)';
  if (status === 401 || status === 403) return `check the credentials for ${host} and what they allow`;
  if (status === 405) return `${host} may be read-only, such as a cache of another registry`;
  if (status === 413) return 'the registry, or a proxy in front of it, limits the size of uploads';
  return undefined;
}
