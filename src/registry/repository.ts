// One repository of one registry, all verbs of the distribution-spec that we use, no policy.
import { createHash } from 'node:crypto';
import { BuilderError, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestOf, hasDigest, isDigest, splitDigest } from '../oci/digest.ts';
import { type StoredManifest, isSchema1Type, manifestLimitBytes, servedType, storedManifest } from '../oci/manifest.ts';
import { MediaType } from '../oci/media-type.ts';
import type { Reference } from '../oci/reference.ts';
import { type RepositoryOptions, RepositoryRequests, type Wish } from './repository-requests.ts';
import { type Response, changed, discard, expect, failureOf, header, htmlInstead, isHtml, otherDigest, readJson } from './response.ts';
import { type Retry, isTransientStatus, withRetries } from './retry.ts';

const manifestTypes = [MediaType.ociIndex, MediaType.ociManifest, MediaType.dockerList, MediaType.dockerManifest].join(', ');

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
      const stored = await this.#isStored(target, content.bytes, error, signal);
      if (stored === 'yes') return;
      throw stored === 'unknown' && error.code !== 'ERR_AUTH'
        ? changed(error, { message: `${error.message}; it may have been stored all the same` })
        : error;
    }
    await discard(response);
    const claimed = header(response, 'docker-content-digest');
    // A web server that answers 200 to anything would otherwise pass for a registry.
    const stored = claimed !== undefined && isDigest(claimed) && response.status === 201 ? claimed : await this.resolve(target, signal);
    // Registries call what comes by a tag by its sha256, whatever it is called elsewhere.
    if (stored !== undefined && hasDigest(content.bytes, stored)) return;
    throw new BuilderError(
      'ERR_DIGEST_MISMATCH',
      `Cannot ${task}: the registry says it stored ${stored ?? 'nothing'}, not ${content.digest}`,
    );
  }

  /** Whether a PUT that failed was done all the same: its answer got lost, or a second try was refused as a tag may not change. */
  async #isStored(target: string, bytes: Buffer, failure: RegistryError, signal: AbortSignal): Promise<'yes' | 'no' | 'unknown'> {
    // Who no longer answers is not waited for once more.
    const retry = failure.status !== undefined;
    const wish: Wish = { access: 'pull', headers: { accept: manifestTypes }, retry, task: `look up ${this.#named(target)}` };
    try {
      const response = await this.requests.send('HEAD', `manifests/${target}`, wish, signal);
      await discard(response);
      if (response.status === 404) return 'no';
      const claimed = header(response, 'docker-content-digest');
      if (response.status !== 200 || claimed === undefined) return 'unknown';
      return isDigest(claimed) && hasDigest(bytes, claimed) ? 'yes' : 'no';
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
    if (response.status === 200 && isHtml(response)) return 'unknown';
    // Of another blob it says nothing about ours: that is sent, and the answer to it is checked.
    if (response.status === 200) return otherDigest(response, digest) === undefined ? 'yes' : 'no';
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

  #named(target: string): string {
    return isDigest(target) ? `${this.name}@${target}` : `${this.name}:${target}`;
  }
}

function digestLike(model: Digest, bytes: Buffer): Digest {
  return splitDigest(model).algorithm === 'sha512' ? `sha512:${createHash('sha512').update(bytes).digest('hex')}` : digestOf(bytes);
}
