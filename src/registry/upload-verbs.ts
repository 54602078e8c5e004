// The verbs of an upload: distribution-spec, "Pushing blobs". One request each, no policy.
import { BuilderError, RegistryError } from '../errors.ts';
import { given } from '../given.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { locationOf } from './location.ts';
import type { Repository } from './repository.ts';
import type { Wish } from './repository-requests.ts';
import { type Response, discard, expect, header, otherDigest, redactUrl } from './response.ts';
import { TransientError } from './retry.ts';
import type { Body } from './transport.ts';

/** An upload that was begun. */
export interface UploadSession {
  readonly location: URL;
  /** A chunk that is not the last may not have fewer. */
  readonly chunkMinBytes: number;
}

/** distribution-spec end-4a: where to send the bytes. */
export async function startUpload(repository: Repository, signal: AbortSignal, { retry = true } = {}): Promise<UploadSession> {
  const task = `start an upload to ${repository.name}`;
  const wish: Wish = { access: 'push', retry, task };
  const response = await expect(await repository.requests.send('POST', 'blobs/uploads/', wish, signal), [202, 201], task);
  return await sessionOf(response, task);
}

/** distribution-spec end-11, one try: 'mounted', or the session that was begun instead. */
export async function mountBlob(
  repository: Repository,
  digest: Digest,
  from: string,
  signal: AbortSignal,
): Promise<UploadSession | 'mounted'> {
  const query = `?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`;
  const task = `mount a blob of ${from} in ${repository.name}`;
  const wish: Wish = { access: 'push', mountFrom: from, retry: false, task };
  const response = await expect(await repository.requests.send('POST', `blobs/uploads/${query}`, wish, signal), [201, 202], task);
  if (response.status === 202) return await sessionOf(response, task);
  await discard(response);
  const other = otherDigest(response, digest);
  if (other === undefined) return 'mounted';
  const request = { method: response.method, url: redactUrl(response.url), status: response.status };
  throw new RegistryError(`Cannot ${task}: the registry says it mounted ${other}, not ${digest}`, request);
}

/**
 * distribution-spec end-6: the whole blob in one PUT, or the end of one that was sent in chunks. @throws ERR_DIGEST_MISMATCH where the
 * registry says that it stored another one
 */
export async function putBlob(
  repository: Repository,
  location: URL,
  { digest, size }: Descriptor,
  body: Body | undefined,
  signal: AbortSignal,
): Promise<void> {
  const task = `push blob ${digest} to ${repository.name}`;
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
  const response = await expect(await repository.requests.send('PUT', url, wish, signal), [201, 200, 204], task);
  await discard(response);
  const other = otherDigest(response, digest);
  if (other === undefined) return;
  throw new BuilderError('ERR_DIGEST_MISMATCH', `Cannot ${task}: the registry says it stored ${other}, not ${digest}`, {
    hint: 'the registry, or what stands before it, takes one upload for another: try again, and ask its keeper if it stays so',
  });
}

/** distribution-spec end-5: bytes `start` to `start + body.sizeBytes`; the next location and the bytes that are there. */
export async function patchBlob(
  repository: Repository,
  location: URL,
  start: number,
  body: Body & { readonly sizeBytes: number },
  signal: AbortSignal,
): Promise<{ readonly location: URL; readonly doneBytes: number }> {
  const task = `push a chunk to ${repository.name}`;
  const end = start + body.sizeBytes;
  const headers = { 'content-type': 'application/octet-stream', 'content-range': `${start}-${end - 1}` };
  const response = await repository.requests.send(
    'PATCH',
    location,
    { access: 'push', headers, body, retry: false, storesBytes: body.sizeBytes, task },
    signal,
  );
  await discard(await expect(response, [202, 201, 204], task));
  return { location: nextLocation(response, location, task), doneBytes: end };
}

/**
 * end-5 as docker push does it: all there is and all that is still to come, without a length. The next location.
 * @throws TransientError when no answer has come `answerMs` after the last byte
 */
export async function patchGrowing(
  repository: Repository,
  location: URL,
  open: () => AsyncIterable<Buffer>,
  answerMs: number,
  signal: AbortSignal,
): Promise<URL> {
  const task = `push a growing blob to ${repository.name}`;
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onEnd = (): void => late.abort(new TransientError(`Cannot ${task}: no answer`, { method: 'PATCH', url: repository.name }));
  const openTimed = async function* (): AsyncGenerator<Buffer, void, undefined> {
    clearTimeout(timer);
    yield* open();
    timer = setTimeout(onEnd, answerMs);
  };
  const headers = { 'content-type': 'application/octet-stream' };
  const wish: Wish = { access: 'push', headers, body: { open: openTimed }, retry: false, task };
  try {
    const response = await repository.requests.send('PATCH', location, wish, AbortSignal.any([signal, late.signal]));
    await discard(await expect(response, [202, 201, 204], task));
    return nextLocation(response, location, task);
  } finally {
    clearTimeout(timer);
  }
}

/** distribution-spec end-13: how far an upload got; undefined where its session is gone or says nothing. */
export async function uploadStatus(
  repository: Repository,
  location: URL,
  signal: AbortSignal,
): Promise<{ readonly location: URL; readonly doneBytes: number } | undefined> {
  const task = `look up an upload to ${repository.name}`;
  const response = await repository.requests.send('GET', location, { access: 'push', task }, signal);
  await discard(response);
  const range = /^(?:bytes=)?0-(\d{1,15})$/.exec(header(response, 'range')?.trim() ?? '');
  if (response.status !== 204 || range === null) return undefined;
  // "0-0" may mean one byte or none: such a session is not worth keeping.
  const last = Number(range[1]);
  if (last === 0) return undefined;
  return { location: nextLocation(response, location, task), doneBytes: last + 1 };
}

/** Who stops a build doesn't wait long; registries forget sessions of their own accord, after days. */
export const cancelMs = 2_000;

/** distribution-spec end-14, best effort: a registry that keeps the session will expire it. */
export async function cancelUpload(repository: Repository, location: URL, signal: AbortSignal): Promise<void> {
  try {
    await discard(
      await repository.requests.send(
        'DELETE',
        location,
        { access: 'push', retry: false, task: `cancel an upload to ${repository.name}` },
        signal,
      ),
    );
  } catch {
    signal.throwIfAborted();
  }
}

async function sessionOf(response: Response, task: string): Promise<UploadSession> {
  await discard(response);
  // distribution-spec: pushing a blob in chunks
  const least = header(response, 'oci-chunk-min-length');
  return { location: locationOf(response, task), chunkMinBytes: least !== undefined && /^\d{1,12}$/.test(least) ? Number(least) : 0 };
}

/** Where the next bytes go: a registry that doesn't say means where these went. */
function nextLocation(response: Response, location: URL, task: string): URL {
  return header(response, 'location') === undefined ? location : locationOf(response, task);
}
