// The registries that people push to, as the fake registry with what each was seen to do otherwise. Facts, with where they are from, are
// in comments; all of them are held to the contract of test/support/registry-contract.ts.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type ServerOptions, createServer as createTlsServer } from 'node:https';
import { Readable } from 'node:stream';
import type { Credential } from '../../src/registry/docker-config.ts';
import { type FakeAuth, type FakeRegistry, type Fault, answer, originOf, startFakeRegistry } from './fake-registry.ts';
import { listen } from './listen.ts';

export interface RunningProvider {
  readonly registry: FakeRegistry;
  readonly stop: () => Promise<void>;
}

export interface Provider {
  readonly name: string;
  readonly credential: Credential;
  /** False where it answers mounts by starting uploads. */
  readonly mounts: boolean;
  /** False where it does not say which blobs it has. */
  readonly heads?: false;
  /** Where its repositories are, if not below one name. */
  readonly within?: string;
  /** With `cert` it speaks TLS, and so does all that it leads to. */
  readonly start: (server?: ServerOptions) => Promise<RunningProvider>;
}

const always = Number.POSITIVE_INFINITY;

/** The answer with another header. */
function withHeader(name: string, change: (value: string, request: IncomingMessage) => string): Fault['act'] {
  return async (request, response, proceed) => {
    const writeHead = response.writeHead.bind(response);
    response.writeHead = (status: number, headers?: unknown) => {
      const all = { ...(headers as Record<string, string> | undefined) }; // as the fake calls it
      const value = all[name];
      return writeHead(status, value === undefined ? all : { ...all, [name]: change(value, request) });
    };
    await proceed();
  };
}

interface OtherHost {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** A server besides the registry, without or with TLS as that has. */
async function startBeside(
  options: ServerOptions,
  act: (request: IncomingMessage, response: ServerResponse) => Promise<void> | void,
): Promise<OtherHost> {
  const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
    void Promise.resolve(act(request, response)).catch(() => response.destroy());
  const isTls = options.cert !== undefined;
  const server = isTls ? createTlsServer(options, onRequest) : createServer(options, onRequest);
  const port = await listen(server);
  return {
    url: `${isTls ? 'https' : 'http'}://127.0.0.1:${port}`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Its address, by the name that the registry was asked under. */
function beside(request: IncomingMessage, { url }: OtherHost): string {
  const at = new URL(originOf(request));
  at.port = new URL(url).port;
  return at.origin;
}

/** Blobs are kept at another address, where a presigned URL is all it takes, and credentials beside it are refused. */
async function storeElsewhere(registry: FakeRegistry, options: ServerOptions): Promise<OtherHost> {
  const storage = await startBeside(options, (request, response) => {
    const url = new URL(request.url ?? '', 'http://s3');
    if (request.headers.authorization !== undefined)
      return void response.writeHead(400).end('<Error>Only one auth mechanism allowed</Error>');
    const bytes = url.searchParams.has('X-Amz-Signature') ? registry.blobs.get(url.pathname.slice(1)) : undefined;
    return void response.writeHead(bytes === undefined ? 403 : 200).end(bytes);
  });
  registry.inject({
    method: 'GET',
    path: /\/blobs\/sha256:/,
    times: always,
    act: async (request, response, proceed) => {
      const digest = /sha256:[0-9a-f]{64}/.exec(request.url ?? '')?.[0] ?? '';
      if (!registry.blobs.has(digest) || request.headers.authorization === undefined) return await proceed();
      request.resume();
      response.writeHead(307, { location: `${beside(request, storage)}/${digest}?X-Amz-Signature=secret` }).end();
      return undefined;
    },
  });
  return storage;
}

interface Quirks {
  readonly auth: FakeAuth;
  readonly faults?: readonly Fault[];
  readonly storesElsewhere?: boolean;
}

async function startWith({ auth, faults = [], storesElsewhere = false }: Quirks, server: ServerOptions = {}): Promise<RunningProvider> {
  const registry = await startFakeRegistry({ auth, server });
  for (const fault of faults) registry.inject({ times: always, ...fault });
  const storage = storesElsewhere ? await storeElsewhere(registry, server) : undefined;
  return { registry, stop: async () => void (await Promise.all([registry.stop(), storage?.stop()])) };
}

const password = (user: string): Credential & FakeAuthPair => ({ kind: 'password', user, password: 'p:a$$' });
interface FakeAuthPair {
  readonly user: string;
  readonly password: string;
}
const tokens = ({ user, password: secret }: FakeAuthPair, more: Partial<FakeAuth> = {}): FakeAuth => ({
  kind: 'token',
  user,
  password: secret,
  ...more,
});
const basic = (pair: FakeAuthPair): FakeAuth => ({ ...tokens(pair), kind: 'basic' });

/** No mount, but an upload that is begun. */
const beginInstead: Fault = {
  method: 'POST',
  path: /mount=/,
  act: async (request, _response, proceed) => {
    request.url = (request.url ?? '').replace(/\?.*/, '');
    await proceed();
  },
};
/** Every `nth` request of these finds its token expired. */
function expiring(nth: number, registry: () => FakeRegistry): Fault {
  let seen = 0;
  return {
    path: /^\/v2\/./,
    act: async (_request, _response, proceed) => {
      if (++seen % nth === 0) registry().expireTokens();
      await proceed();
    },
  };
}
/** The first request for each digest or name is refused so, but for the empty one that ends an upload in chunks. */
function firstTime(fault: Omit<Fault, 'act'>, refuse: (request: IncomingMessage, response: ServerResponse) => unknown): Fault {
  const seen = new Set<string>();
  return {
    ...fault,
    act: async (request, response, proceed) => {
      const about = /(?:sha256.{64,67}|manifests\/.*)$/.exec(request.url ?? '')?.[0] ?? '';
      if (request.headers['content-length'] === '0' || seen.has(about)) return await proceed();
      seen.add(about);
      refuse(request, response);
      return undefined;
    },
  };
}
const refuseWith = (status: number, code: string) => (request: IncomingMessage, response: ServerResponse) =>
  answer(status, code)(request, response, async () => await Promise.resolve());

/** Docker's manifests have Docker's configs, and nothing else has. */
const withMatchingConfig: Fault['act'] = async (request, response, proceed) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer); // without an encoding it gives Buffers
  const bytes = Buffer.concat(chunks);
  const isDockers = request.headers['content-type'] === 'application/vnd.docker.distribution.manifest.v2+json';
  const hasDockers = bytes.includes('"application/vnd.docker.container.image.v1+json"');
  // The body can be read once only.
  const again = Readable.from([bytes], { objectMode: false });
  request[Symbol.asyncIterator] = () => again[Symbol.asyncIterator]();
  if (isDockers === hasDockers) await proceed();
  else response.writeHead(400).end('{"errors":[{"code":"MANIFEST_INVALID"}]}');
};

const robot = password('robot$ci');
const identity = (user: string): Credential => ({ kind: 'identity', user, token: 'p:a$$' });

export const providers: readonly Provider[] = [
  {
    // Basic AWS:<token>; blobs on S3; mounts begin uploads (aws/containers-roadmap#2860); Location is absolute
    name: 'ECR',
    credential: password('AWS'),
    mounts: false,
    start: async (server) => {
      const location = withHeader('location', (value, request) => (value.startsWith('/') ? `${originOf(request)}${value}` : value));
      const withoutMount: Fault['act'] = async (request, response, proceed) => {
        request.url = (request.url ?? '').replace(/\?.*/, '');
        await location(request, response, proceed);
      };
      const faults = [
        { method: 'POST', path: /uploads/, act: withoutMount },
        { method: 'GET', path: /tags\/list.*[?&]n=\d{4,}/, act: answer(400, 'PAGINATION_NUMBER_INVALID') },
      ];
      return await startWith({ auth: basic(password('AWS')), faults, storesElsewhere: true }, server);
    },
  },
  {
    // HEAD of a blob is 401 whatever is sent (aws/containers-roadmap#2671)
    name: 'ECR Public',
    credential: password('AWS'),
    mounts: true,
    heads: false,
    start: async (server) =>
      await startWith(
        {
          auth: tokens(password('AWS'), { anonymousPull: true }),
          faults: [
            {
              method: 'HEAD',
              path: /\/blobs\//,
              act: (request, response) => {
                const challenge = `Bearer realm="${originOf(request)}/token",service="public.ecr.aws",scope="aws"`;
                return answer(401, 'UNAUTHORIZED', { 'www-authenticate': challenge })(
                  request,
                  response,
                  async () => await Promise.resolve(),
                );
              },
            },
          ],
        },
        server,
      ),
  },
  {
    // POST for tokens is 404; uploads go on at another path of the host
    name: 'GAR',
    credential: identity('oauth2accesstoken'),
    mounts: true,
    start: async (server) =>
      await startWith(
        {
          auth: tokens(password('oauth2accesstoken')),
          faults: [
            { method: 'POST', path: /^\/token/, act: answer(404) },
            { method: 'POST', path: /uploads/, act: withHeader('location', (value) => value.replace('/v2/', '/artifacts-uploads/')) },
            {
              path: /^\/artifacts-uploads\//,
              act: async (request, response, proceed) => {
                request.url = (request.url ?? '').replace('/artifacts-uploads/', '/v2/');
                await withHeader('location', (value) => value.replace(/^\/v2\/(.*\/uploads\/)/, '/artifacts-uploads/$1'))(
                  request,
                  response,
                  proceed,
                );
              },
            },
          ],
        },
        server,
      ),
  },
  {
    // a refresh token for the user of zeros; blobs elsewhere; a PUT is refused with 416 now and then (Azure/acr#866)
    name: 'ACR',
    credential: identity('00000000-0000-0000-0000-000000000000'),
    mounts: true,
    start: async (server) =>
      await startWith(
        {
          auth: tokens(password('00000000-0000-0000-0000-000000000000'), { refreshToken: 'p:a$$' }),
          faults: [firstTime({ method: 'PUT', path: /uploads\/[^?]+\?.*digest=/ }, refuseWith(416, 'BLOB_UPLOAD_INVALID'))],
          storesElsewhere: true,
        },
        server,
      ),
  },
  {
    // tokens come from another host and live for minutes, and only the first scope of a request counts; groups have groups
    name: 'GitLab',
    within: 'group/sub/project',
    credential: password('gitlab-ci-token'),
    mounts: true,
    start: async (server) => {
      let running: RunningProvider | undefined;
      const jwt = await startBeside(server ?? {}, async (request, response) => await running?.registry.giveToken(request, response));
      const realm = (request: IncomingMessage): string => `${beside(request, jwt)}/jwt/auth`;
      const auth = tokens(password('gitlab-ci-token'), { grants: 'first', expiresIn: 1, realm });
      const { registry, stop } = (running = await startWith({ auth }, server));
      registry.inject({ times: always, ...expiring(20, () => registry) });
      return { registry, stop: async () => void (await Promise.all([stop(), jwt.stop()])) };
    },
  },
  {
    // the ping names a scope that nobody has (cloudflare/serverless-registry#148)
    name: 'GHCR',
    credential: password('octocat'),
    mounts: true,
    start: async (server) =>
      await startWith(
        {
          auth: tokens(password('octocat'), { anonymousPull: true }),
          faults: [{ path: /^\/token.*user%2Fimage/, act: answer(403, 'DENIED') }],
        },
        server,
      ),
  },
  {
    // busy now and then, with the wait it wants; blobs elsewhere
    name: 'Docker Hub',
    credential: password('me'),
    mounts: true,
    start: async (server) =>
      await startWith(
        {
          auth: tokens(password('me'), { anonymousPull: true }),
          faults: [
            firstTime({ method: 'GET', path: /manifests/ }, (request, response) =>
              answer(429, 'TOOMANYREQUESTS', { 'retry-after': '2', 'ratelimit-limit': '100;w=21600' })(
                request,
                response,
                async () => await Promise.resolve(),
              ),
            ),
          ],
          storesElsewhere: true,
        },
        server,
      ),
  },
  {
    // robots have a $ in their names; mounting out of another project is 401 (goharbor/harbor#17097)
    name: 'Harbor',
    credential: robot,
    mounts: false,
    start: async (server) =>
      await startWith({ auth: tokens(robot), faults: [{ method: 'POST', path: /mount=/, act: answer(401, 'UNAUTHORIZED') }] }, server),
  },
  {
    // old schema for clients that do not ask for OCI (che#2082); a mount without `from` fails; a config has to be of its manifest's family
    name: 'Quay',
    credential: password('org+robot'),
    mounts: true,
    start: async (server) =>
      await startWith(
        {
          auth: tokens(password('org+robot')),
          faults: [
            {
              method: 'GET',
              path: /manifests/,
              act: async (request, response, proceed) => {
                if (request.headers.accept?.includes('application/vnd.oci.image.manifest.v1+json') === true) return await proceed();
                response
                  .writeHead(200, { 'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws' })
                  .end('{"schemaVersion":1}');
                return undefined;
              },
            },
            { method: 'POST', path: /mount=(?!.*from=)/, act: answer(400) },
            { method: 'PUT', path: /manifests/, act: withMatchingConfig },
          ],
        },
        server,
      ),
  },
  {
    // POST for tokens is 401; a manifest may come by the name of the old schema (kaniko#2454)
    name: 'Artifactory',
    credential: identity('me'),
    mounts: true,
    start: async (server) =>
      await startWith(
        {
          auth: tokens(password('me')),
          faults: [
            { method: 'POST', path: /^\/token/, act: answer(401, 'UNAUTHORIZED') },
            {
              method: 'GET',
              path: /manifests/,
              act: withHeader('content-type', () => 'application/vnd.docker.distribution.manifest.v1+prettyjws'),
            },
          ],
        },
        server,
      ),
  },
  {
    // sessions get lost where several are open (sonatype/nexus-public#967)
    name: 'Nexus',
    credential: password('admin'),
    mounts: true,
    start: async (server) =>
      await startWith(
        {
          auth: basic(password('admin')),
          faults: [firstTime({ method: 'PUT', path: /uploads\/[^?]+\?.*digest=/ }, refuseWith(400, 'BLOB_UPLOAD_INVALID'))],
        },
        server,
      ),
  },
  {
    // mounts only what its deduplication knows, else begins an upload
    name: 'zot',
    credential: password('me'),
    mounts: false,
    start: async (server) => await startWith({ auth: basic(password('me')), faults: [beginInstead] }, server),
  },
];
