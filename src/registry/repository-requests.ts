// Requests to one repository: each with the proof of who we are that the registry wants, asked for anew where that has expired.
import { given } from '../given.ts';
import type { Reference } from '../oci/reference.ts';
import { Authorizer } from './authorization.ts';
import type { Credentials } from './credentials.ts';
import type { Method } from './http-client.ts';
import { type Response, discard } from './response.ts';
import type { Retry } from './retry.ts';
import type { Body, Request, Transport } from './transport.ts';

/** What a request wants besides method and path; `mountFrom` adds a scope for another repository. */
export interface Wish {
  readonly access: 'pull' | 'push' | 'delete';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body;
  readonly mountFrom?: string;
  /** Bytes that the registry has to put in their place before it can answer. */
  readonly storesBytes?: number;
  /** False where the caller starts over with a new session instead. */
  readonly retry?: boolean;
  readonly task: string;
}

const actions = { pull: 'pull', push: 'pull,push', delete: 'pull,delete' } as const;

// A registry may copy a large blob from one store to another before it answers: a second for each MiB, four and a half minutes at most.
const patienceMsPerByte = 1000 / (1024 * 1024);
const longestPatienceMs = 270_000;

/** Which repository, and what reaches it. */
export interface RepositoryOptions {
  readonly reference: Reference;
  readonly base: URL;
  readonly transport: Transport;
  readonly credentials: Credentials;
  /** The transport's own where left out. */
  readonly retry?: Retry;
}

/** Sends requests with one repository's credentials and tokens. */
export class RepositoryRequests {
  readonly #reference: Reference;
  readonly #retry: Retry;
  readonly #base: URL;
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;

  constructor({ reference, base, transport, credentials, retry = transport.retry }: RepositoryOptions) {
    this.#reference = reference;
    this.#retry = retry;
    this.#base = base;
    this.#transport = transport;
    const { registry, repository } = reference;
    this.#authorizer = new Authorizer({ registry, repository, base, credentials, transport, retry });
  }

  /** True for an address of the registry itself, not of a storage or another host that it sends us to. */
  isOurs(url: URL): boolean {
    return url.origin === this.#base.origin;
  }

  /** The answer, whatever its status; 401 only with `refusals` 'any'. @throws RegistryError where there is none, ERR_AUTH for a 401 */
  async send(method: Method, path: string | URL, wish: Wish, signal: AbortSignal, refusals: 'throw' | 'any' = 'throw'): Promise<Response> {
    const url = typeof path === 'string' ? new URL(`/v2/${this.#reference.repository}/${path}`, this.#base) : path;
    const scopes = this.#scopes(wish);
    const isOurs = this.isOurs(url);
    for (let [attempt, isAsked] = [1, false]; ;) {
      const authorization = isOurs ? await this.#authorizer.header(scopes, signal) : undefined;
      const request: Request = {
        method,
        url,
        headers: { ...wish.headers, ...given({ authorization }) },
        task: wish.task,
        ...given({ body: wish.body }),
        ...(wish.storesBytes === undefined ? {} : { extraPatienceMs: Math.min(wish.storesBytes * patienceMsPerByte, longestPatienceMs) }),
      };
      const response = await (wish.retry === false
        ? this.#transport.attempt(request, signal)
        : this.#transport.send(request, signal, this.#retry));
      // A 401 from where we were redirected to is not the registry's, and gets no answer from us.
      if (response.status === 403 && this.isOurs(response.url)) return { ...response, advice: this.#authorizer.advice() };
      if (response.status !== 401 || !this.isOurs(response.url)) return response;
      const again = attempt <= 2 && (await this.#answer(response, authorization, scopes, attempt, signal));
      if (!again && refusals === 'any') return response;
      if (!again) throw await this.#authorizer.refusal(response, wish.task);
      await discard(response);
      // What was sent without a token was a question; the token that is had now may have run out when it gets there.
      if (authorization === undefined && !isAsked) isAsked = true;
      else attempt += 1;
    }
  }

  async #answer(
    response: Response,
    sent: string | undefined,
    scopes: readonly string[],
    attempt: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (attempt === 1) return await this.#authorizer.answer(response, sent, scopes, signal);
    return await this.#authorizer.retryWithFreshCredentials(signal);
  }

  #scopes(wish: Wish): readonly string[] {
    // The registry itself is of no repository.
    if (this.#reference.repository === '') return [];
    const own = `repository:${this.#reference.repository}:${actions[wish.access]}`;
    return wish.mountFrom === undefined ? [own] : [own, `repository:${wish.mountFrom}:pull`];
  }
}
