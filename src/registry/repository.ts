// One repository of one registry, all verbs of the distribution-spec that we use, no policy.
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { BuilderError, RegistryError } from '../errors.ts';
import { given } from '../given.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestOf, isDigest, splitDigest } from '../oci/digest.ts';
import { type StoredManifest, isSchema1Type, manifestLimitBytes, servedType, storedManifest } from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import type { Reference } from '../oci/reference.ts';
import { locationOf } from './location.ts';
import { type RepositoryOptions, RepositoryRequests, type Wish } from './repository-requests.ts';
import { type Response, changed, discard, expect, failureOf, header, htmlInstead, isHtml, readJson } from './response.ts';
import { type Retry, TransientError, isTransientStatus, withRetries } from './retry.ts';
import type { Body } from './transport.ts';

const manifestTypes = [MediaType.ociIndex, MediaType.ociManifest, MediaType.dockerList, MediaType.dockerManifest].join(', ');
/** An upload that was begun. */
export interface UploadSession {
  readonly location: URL;
  /** A chunk that is not the last may not have fewer. */
  readonly chunkMinBytes: number;
}

/** Verbs on one repository. Every failure is a RegistryError that names the task. */
export class Repository {
  readonly reference: Reference;
  readonly retry: Retry;
  /** For verbs that stand elsewhere (`tags.ts`, `referrers.ts`). */
  readonly requests: RepositoryRequests;
  /** False once a blob of unknown length was not taken. */
  takesGrowing = true;
  /** False once a registry would not say whether it has a blob, however often it was asked. */
  #answersHead = true;

  constructor(options: RepositoryOptions) {
    this.reference = options.reference;
    this.retry = options.retry ?? options.transport.retry;
    this.requests = new RepositoryRequests({ ...options, retry: this.retry });
  }

  get name(): string {
    return `${this.reference.registry}/${this.reference.repository}`;
  }

  /**
   * distribution-spec end-3. Undefined where there is none (404). `mediaType` is what an index calls it, which counts more than the
   * answer's Content-Type.
   * @throws as `parseManifest`
   */
  async manifest(target: string, signal: AbortSignal, mediaType?: string): Promise<StoredManifest | undefined> {
    const found = await this.#manifest(target, signal);
    return found === undefined ? undefined : storedManifest(found.bytes, mediaType ?? found.contentType, found.digest);
  }

  async #manifest(
    target: string,
    signal: AbortSignal,
  ): Promise<{ readonly bytes: Buffer; readonly contentType: string | undefined; readonly digest: Digest } | undefined> {
    const task = `pull ${this.#named(target)}`;
    const wish: Wish = { access: 'pull', headers: { accept: manifestTypes }, retry: false, task };
    // With its body: that may break off as well.
    const found = await withRetries(this.retry, signal, async () => {
      const response = await this.requests.send('GET', `manifests/${target}`, wish, signal);
      if (response.status === 404) {
        await discard(response);
        return undefined;
      }
      await expect(response, [200], task);
      const { bytes } = await readJson(response, manifestLimitBytes, `the manifest of ${this.#named(target)}`);
      const contentType = servedType(bytes, header(response, 'content-type'));
      const digest = isDigest(target) ? digestLike(target, bytes) : digestOf(bytes);
      // The digest of a signed manifest is that of its payload, and schema 1 is refused by whoever reads it.
      if (isSchema1Type(contentType ?? '')) return { bytes, contentType, digest, claimed: undefined };
      if (isDigest(target) && digest !== target) {
        throw new BuilderError('ERR_DIGEST_MISMATCH', `Cannot use manifest ${target} of ${this.name}: the registry sent ${digest}`);
      }
      return { bytes, contentType, digest, claimed: header(response, 'docker-content-digest') };
    });
    if (
      found === undefined ||
      isDigest(target) ||
      found.claimed === undefined ||
      !isDigest(found.claimed) ||
      found.claimed === found.digest
    )
      return found;
    // Spoiled on the way: then what is right is there by its digest. Else the registry is one that names manifests wrongly.
    return (await this.#manifest(found.claimed, signal)) ?? found;
  }

  /** The digest that a tag points to, or undefined where there is no such tag. Costs no pull on registries that count them. */
  async resolve(target: string, signal: AbortSignal): Promise<Digest | undefined> {
    const task = `look up ${this.#named(target)}`;
    const response = await this.requests.send(
      'HEAD',
      `manifests/${target}`,
      { access: 'pull', headers: { accept: manifestTypes }, task },
      signal,
    );
    await discard(response);
    if (response.status === 404) return undefined;
    const claimed = header(response, 'docker-content-digest');
    if (response.status === 200 && claimed !== undefined && isDigest(claimed)) return claimed;
    // No HEAD here, no digest in it, or no reason in its missing body: GET has them all.
    return (await this.#manifest(target, signal))?.digest;
  }

  /** distribution-spec end-7. Idempotent; the registry's word that it has these very bytes is checked. */
  async putManifest(target: string, content: StoredManifest, signal: AbortSignal): Promise<void> {
    const task = `push ${this.#named(target)}`;
    const body = { open: () => content.bytes, sizeBytes: content.bytes.length };
    const wish: Wish = { access: 'push', headers: { 'content-type': content.mediaType }, body, task };
    let response: Response;
    try {
      response = await expect(await this.requests.send('PUT', `manifests/${target}`, wish, signal), [201, 200, 202], task);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof RegistryError)) throw error;
      const stored = await this.#isStored(target, content.digest, error, signal);
      if (stored === 'yes') return;
      throw stored === 'unknown' && error.code !== 'ERR_AUTH'
        ? changed(error, { message: `${error.message}; it may have been stored all the same` })
        : error;
    }
    await discard(response);
    const claimed = header(response, 'docker-content-digest');
    // A web server that answers 200 to anything would otherwise pass for a registry.
    const stored = claimed !== undefined && isDigest(claimed) && response.status === 201 ? claimed : await this.resolve(target, signal);
    if (stored === content.digest) return;
    throw new BuilderError(
      'ERR_DIGEST_MISMATCH',
      `Cannot ${task}: the registry says it stored ${stored ?? 'nothing'}, not ${content.digest}`,
    );
  }

  /** Whether a PUT that failed was done all the same: its answer got lost, or a second try was refused as a tag may not change. */
  async #isStored(target: string, digest: Digest, failure: RegistryError, signal: AbortSignal): Promise<'yes' | 'no' | 'unknown'> {
    // Who no longer answers is not waited for once more.
    const retry = failure.status !== undefined;
    const wish: Wish = { access: 'pull', headers: { accept: manifestTypes }, retry, task: `look up ${this.#named(target)}` };
    try {
      const response = await this.requests.send('HEAD', `manifests/${target}`, wish, signal);
      await discard(response);
      if (response.status === 404) return 'no';
      const claimed = header(response, 'docker-content-digest');
      if (response.status !== 200 || claimed === undefined) return 'unknown';
      return claimed === digest ? 'yes' : 'no';
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof BuilderError) return 'unknown';
      throw error;
    }
  }

  /** distribution-spec end-2. `unknown` where the registry answers no HEAD for blobs. */
  async hasBlob(digest: Digest, signal: AbortSignal): Promise<'yes' | 'no' | 'unknown'> {
    const task = `look up blob ${digest} in ${this.name}`;
    if (!this.#answersHead) return 'unknown';
    const response = await this.requests.send('HEAD', `blobs/${digest}`, { access: 'push', task }, signal, 'any');
    await discard(response);
    // A login page has an answer to everything.
    if (response.status === 200) return isHtml(response) ? 'unknown' : 'yes';
    if (response.status === 404) return 'no';
    if (![401, 403, 405, 501].includes(response.status) && !isTransientStatus(response.status)) throw await failureOf(response, task);
    this.#answersHead = false;
    return 'unknown';
  }

  /** distribution-spec end-2, from a byte on. The answer is 200, or 206 where `offset` is honoured. */
  async blob({ digest, size }: Descriptor, offset: number, signal: AbortSignal): Promise<Response> {
    const task = `pull blob ${digest} from ${this.name}`;
    const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${offset}-` };
    const wish: Wish = { access: 'pull', headers: { 'accept-encoding': 'identity', ...headers }, retry: false, task };
    const ask = async (): Promise<Response> => await this.requests.send('GET', `blobs/${digest}`, wish, signal);
    let response = await ask();
    if ([400, 401, 403].includes(response.status) && !this.requests.isOurs(response.url)) {
      // The presigned address that the registry sent us to may have run out on the way: it makes a new one.
      await discard(response);
      response = await ask();
    }
    await expect(response, offset === 0 ? [200] : [200, 206, 416], task);
    if (!isHtml(response) || Number(header(response, 'content-length')) === size - offset) return response;
    response.body.destroy();
    throw htmlInstead(response, `blob ${digest} of ${this.name}`);
  }

  /** distribution-spec end-4a: where to send the bytes. */
  async startUpload(signal: AbortSignal, { retry = true } = {}): Promise<UploadSession> {
    const task = `start an upload to ${this.name}`;
    const wish: Wish = { access: 'push', retry, task };
    const response = await expect(await this.requests.send('POST', 'blobs/uploads/', wish, signal), [202, 201], task);
    return await sessionOf(response, task);
  }

  /** distribution-spec end-11, one try: 'mounted', or the session that was begun instead. */
  async mount(digest: Digest, from: string, signal: AbortSignal): Promise<UploadSession | 'mounted'> {
    const query = `?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`;
    const task = `mount a blob of ${from} in ${this.name}`;
    const wish: Wish = { access: 'push', mountFrom: from, retry: false, task };
    const response = await expect(await this.requests.send('POST', `blobs/uploads/${query}`, wish, signal), [201, 202], task);
    if (response.status === 202) return await sessionOf(response, task);
    await discard(response);
    return 'mounted';
  }

  /** distribution-spec end-6: the whole blob in one PUT, or the end of one that was sent in chunks. */
  async putBlob(location: URL, { digest, size }: Descriptor, body: Body | undefined, signal: AbortSignal): Promise<void> {
    const task = `push blob ${digest} to ${this.name}`;
    const url = new URL(location);
    // appended by hand: URLSearchParams would re-encode what the registry wrote there
    url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
    const headers = { 'content-type': 'application/octet-stream' };
    const wish: Wish = {
      access: 'push',
      headers,
      retry: false,
      storesBytes: size,
      task,
      ...given({ body }),
    };
    await discard(await expect(await this.requests.send('PUT', url, wish, signal), [201, 200, 204], task));
  }

  /** distribution-spec end-5: bytes `start` to `start + body.sizeBytes`; the next location and the bytes that are there. */
  async patchBlob(
    location: URL,
    start: number,
    body: Body & { readonly sizeBytes: number },
    signal: AbortSignal,
  ): Promise<{ readonly location: URL; readonly doneBytes: number }> {
    const task = `push a chunk to ${this.name}`;
    const end = start + body.sizeBytes;
    const headers = { 'content-type': 'application/octet-stream', 'content-range': `${start}-${end - 1}` };
    const response = await this.requests.send(
      'PATCH',
      location,
      { access: 'push', headers, body, retry: false, storesBytes: body.sizeBytes, task },
      signal,
    );
    await discard(await expect(response, [202, 201, 204], task));
    return { location: header(response, 'location') === undefined ? location : locationOf(response, task), doneBytes: end };
  }

  /**
   * end-5 as docker push does it: all there is and all that is still to come, without a length. The next location.
   * @throws TransientError when no answer has come `answerMs` after the last byte
   */
  async patchGrowing(location: URL, open: () => Readable, answerMs: number, signal: AbortSignal): Promise<URL> {
    const task = `push a growing blob to ${this.name}`;
    const late = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const openTimed = (): Readable => {
      clearTimeout(timer);
      const source = open();
      const onEnd = (): void => late.abort(new TransientError(`Cannot ${task}: no answer`, { method: 'PATCH', url: this.name }));
      source.once('end', () => (timer = setTimeout(onEnd, answerMs)));
      return source;
    };
    const headers = { 'content-type': 'application/octet-stream' };
    const wish: Wish = { access: 'push', headers, body: { open: openTimed }, retry: false, task };
    try {
      const response = await this.requests.send('PATCH', location, wish, AbortSignal.any([signal, late.signal]));
      await discard(await expect(response, [202, 201, 204], task));
      return header(response, 'location') === undefined ? location : locationOf(response, task);
    } finally {
      clearTimeout(timer);
    }
  }

  /** distribution-spec end-13: how far an upload got; undefined where its session is gone or says nothing. */
  async uploadStatus(location: URL, signal: AbortSignal): Promise<{ readonly location: URL; readonly doneBytes: number } | undefined> {
    const task = `look up an upload to ${this.name}`;
    const response = await this.requests.send('GET', location, { access: 'push', task }, signal);
    await discard(response);
    const range = /^(?:bytes=)?0-(\d{1,15})$/.exec(header(response, 'range')?.trim() ?? '');
    if (response.status !== 204 || range === null) return undefined;
    // "0-0" may mean one byte or none: such a session is not worth keeping.
    const last = Number(range[1]);
    if (last === 0) return undefined;
    return { location: header(response, 'location') === undefined ? location : locationOf(response, task), doneBytes: last + 1 };
  }

  /** distribution-spec end-14, best effort: a registry that keeps the session will expire it. */
  async cancelUpload(location: URL, signal: AbortSignal): Promise<void> {
    try {
      await discard(
        await this.requests.send('DELETE', location, { access: 'push', retry: false, task: `cancel an upload to ${this.name}` }, signal),
      );
    } catch {
      signal.throwIfAborted();
    }
  }

  #named(target: string): string {
    return isDigest(target) ? `${this.name}@${target}` : `${this.name}:${target}`;
  }
}

async function sessionOf(response: Response, task: string): Promise<UploadSession> {
  await discard(response);
  // distribution-spec: pushing a blob in chunks
  const least = header(response, 'oci-chunk-min-length');
  return { location: locationOf(response, task), chunkMinBytes: least !== undefined && /^\d{1,12}$/.test(least) ? Number(least) : 0 };
}

function digestLike(model: Digest, bytes: Buffer): Digest {
  return splitDigest(model).algorithm === 'sha512' ? `sha512:${createHash('sha512').update(bytes).digest('hex')}` : digestOf(bytes);
}
