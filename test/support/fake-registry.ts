// A registry in this process, held to the same contract as the real one, that misbehaves when told to.
import { createHash, randomUUID } from 'node:crypto';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { type ServerOptions, createServer as createTlsServer } from 'node:https';
import { listen } from './listen.ts';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** Bytes of the body that arrived. */
  readonly bodyBytes: number;
}

/** What to do instead of the right thing; `times` defaults to once. */
export interface Fault {
  readonly method?: string;
  readonly path: RegExp;
  readonly times?: number;
  readonly act: (request: IncomingMessage, response: ServerResponse, proceed: () => Promise<void>) => Promise<void> | void;
}

export interface FakeAuth {
  readonly kind: 'basic' | 'token';
  readonly user: string;
  readonly password: string;
  /** Anonymous callers get tokens for pulling. */
  readonly anonymousPull?: boolean;
  /** Refresh token that the POST flow takes. */
  readonly refreshToken?: string;
  /** Where the challenge sends clients, instead of our own `/token`. */
  readonly realm?: string | ((request: IncomingMessage) => string);
  readonly expiresIn?: number;
  /** Which of the scopes of a request count; all where left out. */
  readonly grants?: 'first';
}

export interface FakeRegistry {
  readonly host: string;
  readonly url: string;
  readonly requests: SeenRequest[];
  readonly blobs: Map<string, Buffer>;
  /** By `repository@digest` or `repository:tag`. */
  readonly manifests: Map<string, { readonly type: string; readonly bytes: Buffer }>;
  /** Which repository has which blob: `repository@digest`. */
  readonly links: Set<string>;
  readonly inject: (fault: Fault) => void;
  readonly expireTokens: () => void;
  readonly server: Server;
  /** Answers a request for a token that came to another server. */
  readonly giveToken: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly stop: () => Promise<void>;
}

interface Session {
  readonly chunks: Buffer[];
  sizeBytes: number;
}

/** Starts one on a free port. `forgetBlobs` hashes uploads without keeping their bytes; with `server.cert` it speaks TLS. */
export async function startFakeRegistry(
  options: { readonly auth?: FakeAuth; readonly forgetBlobs?: boolean; readonly server?: ServerOptions } = {},
): Promise<FakeRegistry> {
  const faults: { fault: Fault; left: number }[] = [];
  const state = new FakeState(options.auth);
  const isTls = options.server?.cert !== undefined;
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, bodyBytes: 0 };
    state.requests.push(seen);
    request.on('data', (chunk: Buffer) => (seen.bodyBytes += chunk.length)).pause();
    const proceed = async (): Promise<void> => {
      await handle(state, request, response, options.forgetBlobs === true);
    };
    const chosen = faults.find(
      ({ fault, left }) => left > 0 && fault.path.test(seen.path) && (fault.method ?? seen.method) === seen.method,
    );
    const work = async (): Promise<void> => {
      if (chosen === undefined) return await proceed();
      chosen.left -= 1;
      await chosen.fault.act(request, response, proceed);
    };
    work().catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  };
  const server = isTls ? createTlsServer(options.server ?? {}, onRequest) : createServer(options.server ?? {}, onRequest);
  const port = await listen(server);
  state.host = `127.0.0.1:${port}`;
  return {
    host: state.host,
    url: `${isTls ? 'https' : 'http'}://${state.host}`,
    server,
    giveToken: async (request, response) => await giveToken(state, request, response, new URL(request.url ?? '/', 'http://token')),
    requests: state.requests,
    blobs: state.blobs,
    manifests: state.manifests,
    links: state.links,
    inject: (fault) => faults.push({ fault, left: fault.times ?? 1 }),
    expireTokens: () => {
      state.tokens.clear();
    },
    stop: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => {
        resolve();
      });
      server.closeAllConnections();
      await promise;
    },
  };
}

/** As whoever asks knows it, behind nginx too. */
export function originOf(request: IncomingMessage): string {
  return `${'encrypted' in request.socket ? 'https' : 'http'}://${request.headers.host ?? ''}`;
}

/** Answers with a status and the specification's error body. */
export function answer(
  status: number,
  code = 'UNKNOWN',
  headers: Readonly<Record<string, string>> = {},
  message = 'on demand',
): Fault['act'] {
  return (request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ errors: [{ code, message }] }));
  };
}

/** Sends the first bytes of content that is longer, then breaks the connection. */
export function cut(content: Buffer, afterBytes: number): Fault['act'] {
  return (request, response) => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const start = Number(range?.[1] ?? 0);
    response.writeHead(range === null ? 200 : 206, {
      'content-length': content.length - start,
      ...(range === null ? {} : { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
    });
    response.write(content.subarray(start, start + afterBytes), () => {
      setImmediate(() => response.socket?.destroy());
    });
  };
}

class FakeState {
  host = '';
  readonly auth: FakeAuth | undefined;
  readonly requests: SeenRequest[] = [];
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, { type: string; bytes: Buffer }>();
  readonly links = new Set<string>();
  readonly sessions = new Map<string, Session>();
  readonly tokens = new Map<string, readonly string[]>();

  constructor(auth: FakeAuth | undefined) {
    this.auth = auth;
  }
}

async function handle(state: FakeState, request: IncomingMessage, response: ServerResponse, forget: boolean): Promise<void> {
  const url = new URL(request.url ?? '/', `http://${state.host}`);
  response.setHeader('docker-distribution-api-version', 'registry/2.0');
  if (url.pathname === '/token') return await giveToken(state, request, response, url);
  const match = /^\/v2\/(.+)\/(manifests|blobs|tags)\/(.+)$/.exec(url.pathname);
  if (!isAllowed(state, request, match?.[1])) {
    const scope = `repository:${match?.[1] ?? 'user/image'}:${needed(request)}`;
    const given = state.auth?.realm;
    const realm = typeof given === 'function' ? given(request) : (given ?? `${originOf(request)}/token`);
    const challenge = state.auth?.kind === 'basic' ? 'Basic realm="fake"' : `Bearer realm="${realm}",service="fake",scope="${scope}"`;
    await answer(401, 'UNAUTHORIZED', { 'www-authenticate': challenge })(request, response, async () => await Promise.resolve());
    return;
  }
  if (match === null) return void response.writeHead(url.pathname === '/v2/' ? 200 : 404).end();
  const [, repository = '', kind, rest = ''] = match;
  if (kind === 'manifests') await manifests(state, request, response, { repository, target: rest });
  else if (kind === 'blobs' && rest.startsWith('uploads/')) await uploads(state, request, response, { repository, url, forget });
  else if (kind === 'blobs') blobs(state, request, response, { repository, digest: rest });
  else response.writeHead(404).end();
}

async function manifests(
  state: FakeState,
  request: IncomingMessage,
  response: ServerResponse,
  at: { readonly repository: string; readonly target: string },
): Promise<void> {
  const { repository, target } = at;
  const key = (name: string): string => `${repository}${name.startsWith('sha256:') ? '@' : ':'}${name}`;
  if (request.method === 'PUT') {
    const bytes = await read(request);
    const digest = digestOf(bytes);
    const type = request.headers['content-type'] ?? '';
    if (namedBy(bytes).some((name) => !state.links.has(`${repository}@${name}`) && !state.manifests.has(`${repository}@${name}`)))
      return refuse(request, response, 404, 'MANIFEST_BLOB_UNKNOWN');
    for (const name of [target, digest]) state.manifests.set(key(name), { type, bytes });
    response.writeHead(201, { 'docker-content-digest': digest, location: `/v2/${repository}/manifests/${digest}` }).end();
    return;
  }
  const found = state.manifests.get(key(target));
  if (found === undefined) return refuse(request, response, 404, 'MANIFEST_UNKNOWN');
  const headers = { 'content-type': found.type, 'content-length': found.bytes.length, 'docker-content-digest': digestOf(found.bytes) };
  response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : found.bytes);
}

/** Digests that a manifest or index names; what has URLs may be elsewhere. */
function namedBy(bytes: Buffer): readonly string[] {
  interface Named {
    readonly digest: string;
    readonly urls?: readonly string[];
  }
  const root = JSON.parse(bytes.toString('utf8')) as { config?: Named; layers?: readonly Named[]; manifests?: readonly Named[] }; // our own client wrote it
  const all = [...(root.config === undefined ? [] : [root.config]), ...(root.layers ?? []), ...(root.manifests ?? [])];
  return all.filter(({ urls }) => urls === undefined).map(({ digest }) => digest);
}

function blobs(
  state: FakeState,
  request: IncomingMessage,
  response: ServerResponse,
  at: { readonly repository: string; readonly digest: string },
): void {
  const bytes = state.links.has(`${at.repository}@${at.digest}`) ? state.blobs.get(at.digest) : undefined;
  if (bytes === undefined) return refuse(request, response, 404, 'BLOB_UNKNOWN');
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  const start = Number(range?.[1] ?? 0);
  response.writeHead(range === null ? 200 : 206, {
    'content-length': bytes.length - start,
    'docker-content-digest': at.digest,
    ...(range === null ? {} : { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes.subarray(start));
}

async function uploads(
  state: FakeState,
  request: IncomingMessage,
  response: ServerResponse,
  at: { readonly repository: string; readonly url: URL; readonly forget: boolean },
): Promise<void> {
  const { repository, url, forget } = at;
  if (request.method === 'POST') {
    const [mount, from] = [url.searchParams.get('mount'), url.searchParams.get('from')];
    if (mount !== null && state.links.has(`${from}@${mount}`)) {
      state.links.add(`${repository}@${mount}`);
      response.writeHead(201, { location: `/v2/${repository}/blobs/${mount}`, 'docker-content-digest': mount }).end();
      return;
    }
    const id = randomUUID();
    state.sessions.set(id, { chunks: [], sizeBytes: 0 });
    response.writeHead(202, { location: `/v2/${repository}/blobs/uploads/${id}?_state=a%2Fb`, range: '0-0' }).end();
    return;
  }
  const id = url.pathname.split('/').at(-1) ?? '';
  const session = state.sessions.get(id);
  if (session === undefined) return refuse(request, response, 404, 'BLOB_UPLOAD_UNKNOWN');
  // what a registry keeps of its own in the Location must come back
  if (url.searchParams.get('_state') !== 'a/b') return refuse(request, response, 400, 'BLOB_UPLOAD_INVALID');
  const place = { location: `/v2/${repository}/blobs/uploads/${id}?_state=a%2Fb`, range: `0-${Math.max(0, session.sizeBytes - 1)}` };
  if (request.method === 'DELETE') {
    state.sessions.delete(id);
    response.writeHead(204).end();
  } else if (request.method === 'GET') {
    response.writeHead(204, place).end();
  } else {
    const start = Number(/^(\d+)-/.exec(request.headers['content-range'] ?? '')?.[1] ?? session.sizeBytes);
    if (start !== session.sizeBytes) return void response.writeHead(416, place).end();
    await receive(state, request, response, { repository, digest: url.searchParams.get('digest'), id, session, forget, place });
  }
}

async function receive(
  state: FakeState,
  request: IncomingMessage,
  response: ServerResponse,
  upload: {
    readonly repository: string;
    readonly digest: string | null;
    readonly id: string;
    readonly session: Session;
    readonly forget: boolean;
    readonly place: Record<string, string>;
  },
): Promise<void> {
  const { repository, digest, id, session, forget, place } = upload;
  const hash = createHash('sha256');
  for (const chunk of session.chunks) hash.update(chunk);
  for await (const chunk of request) {
    const bytes: Buffer = chunk;
    session.sizeBytes += bytes.length;
    if (forget) hash.update(bytes);
    else session.chunks.push(bytes);
  }
  if (request.method === 'PATCH') {
    response.writeHead(202, { ...place, range: `0-${Math.max(0, session.sizeBytes - 1)}` }).end();
    return;
  }
  const content = Buffer.concat(session.chunks);
  const found = forget ? `sha256:${hash.digest('hex')}` : digestOf(content);
  state.sessions.delete(id);
  if (digest !== found) return refuse(request, response, 400, 'DIGEST_INVALID');
  state.blobs.set(found, content);
  state.links.add(`${repository}@${found}`);
  response.writeHead(201, { location: `/v2/${repository}/blobs/${found}`, 'docker-content-digest': found }).end();
}

function isAllowed(state: FakeState, request: IncomingMessage, repository: string | undefined): boolean {
  const { auth } = state;
  if (auth === undefined) return true;
  const sent = request.headers.authorization ?? '';
  if (auth.kind === 'basic') return sent === `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`;
  const scopes = state.tokens.get(sent.replace(/^Bearer /, ''));
  if (scopes === undefined) return false;
  return (
    repository === undefined || scopes.some((scope) => scope.startsWith(`repository:${repository}:`) && scope.includes(needed(request)))
  );
}

function needed(request: IncomingMessage): string {
  return request.method === 'GET' || request.method === 'HEAD' ? 'pull' : 'push';
}

async function giveToken(state: FakeState, request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const { auth } = state;
  if (auth === undefined) return refuse(request, response, 404, 'UNKNOWN');
  const form = request.method === 'POST' ? new URLSearchParams((await read(request)).toString('utf8')) : undefined;
  const asked = form === undefined ? url.searchParams.getAll('scope') : (form.get('scope') ?? '').split(' ');
  const scopes = auth.grants === 'first' ? asked.slice(0, 1) : asked;
  const known =
    form === undefined
      ? request.headers.authorization === `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`
      : form.get('refresh_token') === auth.refreshToken;
  const anonymous = auth.anonymousPull === true && request.headers.authorization === undefined && form === undefined;
  if (!known && !anonymous) return refuse(request, response, 401, 'UNAUTHORIZED');
  const token = randomUUID();
  state.tokens.set(token, known ? scopes : scopes.map((scope) => scope.replace(/:[^:]*$/, ':pull')));
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ [form === undefined ? 'token' : 'access_token']: token, expires_in: auth.expiresIn ?? 300 }));
}

function refuse(request: IncomingMessage, response: ServerResponse, status: number, code: string): void {
  void answer(status, code)(request, response, async () => await Promise.resolve());
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer); // an IncomingMessage without encoding gives Buffers
  return Buffer.concat(chunks);
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
