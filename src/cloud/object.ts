// An object of a store as one stream that survives broken connections: it goes on where it was, and only in the same object.
import { BuilderError, RegistryError } from '../errors.ts';
import { type Response, discard, errorLimitBytes, failureOf, header, redactUrl } from '../registry/response.ts';
import { type Retry, Patience, TransientError, isTransientStatus, progressBytes } from '../registry/retry.ts';

export interface StoredObject {
  /** As it was named, without secrets. */
  readonly name: string;
  /** Asks for it once, with these headers beside its own; redirects are nobody's business but the store's. */
  readonly request: (headers: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<Response>;
  /** What to say to a refusal, beside what the store says. */
  readonly hint: (status: number) => string;
}

export interface OpenedObject {
  readonly body: AsyncIterable<Buffer>;
  readonly lastModified: string | undefined;
}

/** Opens the object; its bytes fail with a BuilderError. @throws ERR_CONTEXT when there is none, ERR_AUTH when it is not for us */
export async function openStored(object: StoredObject, retry: Retry, signal: AbortSignal): Promise<OpenedObject> {
  const patience = new Patience(retry);
  const first = await begin(object, {}, patience, signal);
  return { body: readAll(object, first, patience, signal), lastModified: header(first, 'last-modified') };
}

async function* readAll(object: StoredObject, first: Response, patience: Patience, signal: AbortSignal): AsyncGenerator<Buffer> {
  const etag = header(first, 'etag');
  const length = header(first, 'content-length');
  const size = length === undefined || !/^\d{1,15}$/.test(length) ? undefined : Number(length);
  let response = first;
  let skip = 0;
  let done = 0;
  let doneAtFailure = 0;
  for (;;) {
    try {
      for await (const chunk of response.body) {
        const bytes: unknown = chunk;
        if (!Buffer.isBuffer(bytes)) throw new BuilderError('ERR_INTERNAL', 'Cannot read an object: the stream is not of bytes');
        const fresh = bytes.subarray(Math.min(skip, bytes.length));
        skip -= bytes.length - fresh.length;
        if (fresh.length === 0) continue;
        done += fresh.length;
        yield fresh;
      }
      if (size === undefined || done === size) return;
      throw new TransientError(`Cannot read ${object.name}: it ended after ${done} of ${size} bytes`, urlOf(response));
    } catch (error) {
      signal.throwIfAborted();
      if (done - doneAtFailure >= progressBytes) patience.renew();
      doneAtFailure = done;
      await patience.wait(error, signal);
      const same = etag === undefined || etag.startsWith('W/') ? {} : { 'if-match': etag };
      response = await begin(object, { range: `bytes=${done}-`, ...same }, patience, signal);
      skip = response.status === 206 ? 0 : done;
      checkSame(object, response, done, { size, etag });
    }
  }
}

async function begin(
  object: StoredObject,
  headers: Readonly<Record<string, string>>,
  patience: Patience,
  signal: AbortSignal,
): Promise<Response> {
  for (;;) {
    try {
      const response = await object.request(headers, signal);
      if (response.status === 200 || response.status === 206) return response;
      if (isTransientStatus(response.status)) throw await failureOf(response, `read ${object.name}`);
      throw await refusal(object, response);
    } catch (error) {
      signal.throwIfAborted();
      try {
        await patience.wait(error, signal);
      } catch (final) {
        // No answer at all: the connection's words don't say what was wanted.
        if (!(final instanceof RegistryError) || final.status !== undefined) throw final;
        const why = final.message.replace(/^Cannot /, 'can not ');
        throw new BuilderError('ERR_CONTEXT', `Cannot read ${object.name}: ${why}`, {
          cause: final,
          hint: final.hint,
        });
      }
    }
  }
}

/** Not every store looks at If-Match. */
function checkSame(
  object: StoredObject,
  response: Response,
  offset: number,
  { size, etag }: { readonly size: number | undefined; readonly etag: string | undefined },
): void {
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(header(response, 'content-range') ?? '');
  const length = header(response, 'content-length');
  const isRight =
    response.status === 206
      ? Number(range?.[1] ?? -1) === offset && (size === undefined || range?.[2] === '*' || Number(range?.[2]) === size)
      : size === undefined || length === undefined || Number(length) === size;
  if (isRight && (etag === undefined || (header(response, 'etag') ?? etag) === etag)) return;
  response.body.destroy();
  throw new BuilderError('ERR_CONTEXT', `Cannot read ${object.name}: it has become another object while it was read`);
}

async function refusal(object: StoredObject, response: Response): Promise<BuilderError> {
  const { status } = response;
  if (status === 412) {
    await discard(response);
    return new BuilderError('ERR_CONTEXT', `Cannot read ${object.name}: it has become another object while it was read`);
  }
  const text = await beginning(response);
  // S3 and Azure answer with XML, Google with JSON.
  const code = /<Code>([^<]{1,100})<\/Code>/.exec(text)?.[1] ?? '';
  const message = /<Message>([^<]{1,300})/.exec(text)?.[1] ?? /"message":\s*"([^"]{1,300})"/.exec(text)?.[1] ?? '';
  const said = [code, message.replace(/[\s\p{Cc}]+/gu, ' ').trim()].filter((part) => part !== '').join(': ');
  return new RegistryError(
    `Cannot read ${object.name}: ${response.url.host} answered ${status}${said === '' ? '' : ` ${said}`}`,
    { ...urlOf(response), status },
    { code: status === 401 || status === 403 ? 'ERR_AUTH' : 'ERR_REGISTRY', hint: object.hint(status) },
  );
}

async function beginning(response: Response): Promise<string> {
  let text = '';
  try {
    for await (const chunk of response.body) {
      text += String(chunk);
      if (text.length > errorLimitBytes) break;
    }
  } catch {
    // its status says enough
  }
  return text;
}

function urlOf(response: Response): { readonly method: string; readonly url: string } {
  return { method: response.method, url: redactUrl(response.url) };
}
