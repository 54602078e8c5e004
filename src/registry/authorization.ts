// Proving who we are to one repository: Basic, or a bearer token from the server that the registry names.
// distribution-spec leaves this open; the flow is the Docker token specification, in the form registries speak it.
import { isIP } from 'node:net';
import { RegistryError, type BuilderError } from '../errors.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import type { Credential, FoundCredential } from './docker-config.ts';
import { bareHost } from './proxy.ts';
import { changed, type Response, expect, failureOf, readJson, redactUrl } from './response.ts';
import { type Retry, withRetries } from './retry.ts';
import { JointWork } from './joint-work.ts';
import { type Transport, checkAddress } from './transport.ts';

const tokenLimitBytes = 64 * 1024;
const shortestLifeMs = 60_000;

interface Token {
  readonly value: string;
  readonly refreshAtMs: number;
}

interface Bearer {
  readonly realm: URL;
  readonly service: string | undefined;
}

/** Which repository it is for, and what it works with. */
export interface AuthorizerOptions {
  readonly registry: string;
  readonly repository: string;
  readonly base: URL;
  readonly credentials: Credentials;
  readonly transport: Transport;
  readonly retry: Retry;
}

/** Keeps the tokens of one repository. Scopes are asked for as `repository:<name>:<actions>`, ours first. */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  #scheme: 'unknown' | 'basic' | Bearer = 'unknown';
  #credential: FoundCredential | undefined;
  #hasCredential = false;
  readonly #tokens = new JointWork<string, Token>();
  readonly #reloading = new JointWork<'once', void>();
  readonly #extraScopes = new Set<string>();

  constructor(options: AuthorizerOptions) {
    this.#options = options;
  }

  /** The Authorization header for a request, as far as it is known what the registry wants; else undefined. */
  async header(scopes: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    const credential = await this.#read(signal);
    if (credential?.kind === 'bearer') return `Bearer ${credential.token}`;
    if (this.#scheme === 'unknown') return undefined;
    if (this.#scheme === 'basic') return credential?.kind === 'password' ? basic(credential) : undefined;
    return `Bearer ${(await this.#token(this.#scheme, scopes, signal)).value}`;
  }

  /**
   * Learns from a 401 to a request that was sent with `sent`: true where it is worth sending again.
   * @throws ERR_AUTH when there is nothing (more) to prove ourselves with.
   */
  async answer(response: Response, sent: string | undefined, scopes: readonly string[], signal: AbortSignal): Promise<boolean> {
    const challenges = parseChallenges(response.headers.get('www-authenticate') ?? []);
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer' && challenge.parameters.has('realm'));
    if (bearer !== undefined) {
      this.#learnBearer(bearer, sent, scopes);
      return true;
    }
    if (challenges.some((challenge) => challenge.scheme === 'basic')) {
      this.#scheme = 'basic';
      const known = await this.#read(signal);
      if (known?.kind === 'password' && sent !== basic(known)) return true;
      return known === undefined ? false : await this.#reload(known, signal);
    }
    if (challenges.length === 0) return false;
    const schemes = [...new Set(challenges.map((challenge) => challenge.scheme))].join(', ');
    throw this.#failure(`it wants ${schemes}, which is not supported`, response);
  }

  /** After a second refusal: forgets tokens and reads the credentials anew, once. True where they have changed. */
  async retryWithFreshCredentials(signal: AbortSignal): Promise<boolean> {
    return await this.#reload(this.#credential, signal);
  }

  /** What to try after a 403: somebody was known, and may not, or nobody was named. */
  advice(): string | undefined {
    const { credentials, registry, repository } = this.#options;
    if (this.#credential === undefined) return `give credentials for ${registry}: none were ${this.#lookedIn()}`;
    const source = credentials.answeredBy?.(registry, repository);
    return source === undefined ? undefined : `check what the credentials of ${source} allow at ${registry}`;
  }

  /** Where none were found, which may be nowhere (`--no-creds`). */
  #lookedIn(whose = ''): string {
    const sources = this.#options.credentials.sources(this.#options.registry);
    return `found${whose}${sources.length === 0 ? '' : ` (looked in: ${sources.join(', ')})`}`;
  }

  /** What to say about a 401 that stays. */
  async refusal(response: Response, task: string): Promise<BuilderError> {
    const failure = await failureOf(response, task);
    const { credentials, registry, repository } = this.#options;
    const source = credentials.answeredBy?.(registry, repository);
    if (this.#credential !== undefined)
      return source === undefined ? failure : changed(failure, { message: `${failure.message}; the credentials are those of ${source}` });
    return new RegistryError(
      `${failure.message}; no credentials ${this.#lookedIn(` for ${registry}`)}`,
      { method: failure.method, url: failure.url, status: response.status, errors: failure.errors },
      {
        code: 'ERR_AUTH',
        hint: `yadokari login ${registry}; in a container mount a config.json at /kaniko/.docker, or set DOCKER_AUTH_CONFIG (docs/credentials.md)`,
      },
    );
  }

  async #read(signal: AbortSignal): Promise<Credential | undefined> {
    const isStale = this.#options.retry.clock.now() >= (this.#credential?.renewAtMs ?? Number.POSITIVE_INFINITY);
    if (!this.#hasCredential || isStale) {
      this.#credential = await this.#options.credentials.find(this.#options.registry, this.#options.repository, signal);
      this.#hasCredential = true;
    }
    return this.#credential;
  }

  /** Reads the credentials anew, once for all who are refused. True where there are others now than those that were `refused`. */
  async #reload(refused: Credential | undefined, signal: AbortSignal): Promise<boolean> {
    await this.#reloading.get('once', signal, async (inner) => {
      await this.#options.credentials.reload(inner);
      this.#hasCredential = false;
      this.#tokens.clear();
      this.#reloading.delete('once'); // they may change again
    });
    return JSON.stringify(await this.#read(signal)) !== JSON.stringify(refused);
  }

  #learnBearer(challenge: Challenge, sent: string | undefined, scopes: readonly string[]): void {
    const realm = this.#realm(challenge.parameters.get('realm') ?? '');
    this.#scheme = { realm, service: challenge.parameters.get('service') };
    if (sent === undefined) return;
    // A placeholder scope may stand in any first challenge; only a refusal for lack of scope is to be believed.
    if (challenge.parameters.get('error') === 'insufficient_scope') {
      for (const scope of (challenge.parameters.get('scope') ?? '').split(' ')) if (scope !== '') this.#extraScopes.add(scope);
    }
    this.#tokens.delete(scopes.join(' '));
  }

  #realm(text: string): URL {
    const { base, registry, transport } = this.#options;
    if (!URL.canParse(text, base)) throw this.#failure('the address of its token server is no URL');
    const realm = new URL(text, base);
    this.#checkRealm(realm);
    if (realm.protocol === 'http:' && !(base.protocol === 'http:' && transport.allowsHttp(registry))) {
      throw this.#failure(`its token server ${realm.origin} has no TLS, and credentials would travel in the open`);
    }
    return realm;
  }

  #checkRealm(realm: URL): void {
    const { base } = this.#options;
    if (realm.protocol !== 'https:' && realm.protocol !== 'http:') throw this.#failure(`its token server has a ${realm.protocol} address`);
    if (realm.username !== '' || realm.password !== '') throw this.#failure('the address of its token server holds credentials');
    if (realm.hostname !== base.hostname || isIP(bareHost(realm.hostname)) !== 0) {
      checkAddress(base, realm, `authenticate to ${this.#options.registry}`);
    }
  }

  async #token(bearer: Bearer, wanted: readonly string[], signal: AbortSignal): Promise<Token> {
    const key = wanted.join(' ');
    const { retry } = this.#options;
    const begin = async (inner: AbortSignal): Promise<Token> =>
      await withRetries(retry, inner, async () => await this.#fetch(bearer, mergeScopes([...wanted, ...this.#extraScopes]), inner));
    const token = await this.#tokens.get(key, signal, begin);
    if (retry.clock.now() < token.refreshAtMs) return token;
    this.#tokens.delete(key, token);
    return await this.#tokens.get(key, signal, begin);
  }

  async #fetch(bearer: Bearer, scopes: readonly string[], signal: AbortSignal): Promise<Token> {
    const credential = await this.#read(signal);
    try {
      return await this.#ask(bearer, scopes, credential, signal);
    } catch (error) {
      signal.throwIfAborted();
      const isRefused = credential !== undefined && error instanceof RegistryError && error.status === 401;
      if (!isRefused || !(await this.#reload(credential, signal))) throw error;
      return await this.#ask(bearer, scopes, await this.#read(signal), signal);
    }
  }

  async #ask(bearer: Bearer, scopes: readonly string[], credential: Credential | undefined, signal: AbortSignal): Promise<Token> {
    const { registry, repository } = this.#options;
    const task = `get a token for ${repository === '' ? registry : `${registry}/${repository}`}`;
    if (credential?.kind === 'identity') {
      const answer = await this.#exchange(bearer, scopes, credential, task, signal);
      // These mean "no such flow here" (GCR, JFrog, ACR); the token may still do as a password.
      if (![400, 401, 404, 405].includes(answer.status) || credential.user === '')
        return await this.#keep(await expect(answer, [200], task));
      answer.body.destroy();
    }
    const url = new URL(bearer.realm);
    if (bearer.service !== undefined) url.searchParams.set('service', bearer.service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    const asPassword = credential?.kind === 'password' ? credential : identityAsPassword(credential);
    const response = await this.#options.transport.attempt(
      {
        method: 'GET',
        url,
        headers: { accept: 'application/json', ...(asPassword === undefined ? {} : { authorization: basic(asPassword) }) },
        redirectLimit: 5,
        checkHop: (to) => {
          this.#checkRealm(to);
        },
        task,
      },
      signal,
    );
    if (response.status === 401) throw await this.refusal(response, task);
    const answer = response.status === 403 ? { ...response, advice: this.advice() } : response;
    return await this.#keep(await expect(answer, [200], task));
  }

  async #exchange(
    bearer: Bearer,
    scopes: readonly string[],
    credential: Credential & { readonly kind: 'identity' },
    task: string,
    signal: AbortSignal,
  ): Promise<Response> {
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: credential.token, client_id: 'yadokari' });
    if (bearer.service !== undefined) form.set('service', bearer.service);
    form.set('scope', scopes.join(' '));
    const bytes = Buffer.from(form.toString(), 'utf8');
    return await this.#options.transport.attempt(
      {
        method: 'POST',
        url: bearer.realm,
        headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
        body: { open: () => bytes, sizeBytes: bytes.length },
        // The body is the secret: it goes to the realm and nowhere else.
        redirectLimit: 0,
        task,
      },
      signal,
    );
  }

  async #keep(response: Response): Promise<Token> {
    const { root } = await readJson(response, tokenLimitBytes, 'a token');
    const value = root instanceof Map ? root.get('token') || root.get('access_token') : undefined;
    if (!(root instanceof Map) || typeof value !== 'string' || value === '' || /[^\x21-\x7e]/.test(value)) {
      throw this.#failure('its token server answered without a token', response);
    }
    const refresh = root.get('refresh_token');
    if (typeof refresh === 'string' && refresh !== '' && this.#credential?.kind === 'identity') {
      this.#credential = { ...this.#credential, token: refresh };
    }
    const seconds = Number(root.get('expires_in') ?? 0);
    // Counted from now on our own clock: the server's dates may be years off.
    const lifeMs = Number.isFinite(seconds) ? Math.max(seconds * 1000, shortestLifeMs) : shortestLifeMs;
    const nowMs = this.#options.retry.clock.now();
    return { value, refreshAtMs: nowMs + lifeMs - Math.max(10_000, lifeMs / 10) };
  }

  #failure(why: string, response?: Response): RegistryError {
    const url = response === undefined ? this.#options.base : response.url;
    return new RegistryError(
      `Cannot authenticate to ${this.#options.registry}: ${why}`,
      { method: response?.method ?? 'GET', url: redactUrl(url), ...(response === undefined ? {} : { status: response.status }) },
      { code: 'ERR_AUTH' },
    );
  }
}

/** One scope for each name, with the union of its actions, in order of appearance: some registries read only one. */
export function mergeScopes(scopes: readonly string[]): readonly string[] {
  const byName = new Map<string, Set<string>>();
  for (const scope of scopes) {
    const colon = scope.lastIndexOf(':');
    const name = colon === -1 ? scope : scope.slice(0, colon);
    const actions = byName.get(name) ?? new Set();
    for (const action of scope.slice(colon + 1).split(',')) if (colon !== -1) actions.add(action);
    byName.set(name, actions);
  }
  return [...byName].map(([name, actions]) => (actions.size === 0 ? name : `${name}:${[...actions].toSorted().join(',')}`));
}

/** The header of RFC 7617. */
export function basic(credential: { readonly user: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${credential.user}:${credential.password}`, 'utf8').toString('base64')}`;
}

function identityAsPassword(credential: Credential | undefined): { readonly user: string; readonly password: string } | undefined {
  return credential?.kind === 'identity' && credential.user !== '' ? { user: credential.user, password: credential.token } : undefined;
}
