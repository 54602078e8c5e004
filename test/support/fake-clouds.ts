// The clouds' token services, registries' login and metadata servers in this process, each as its documentation has it. Services are
// reached under their real names, over TLS, through the proxy; metadata servers on loopback. What the clouds would refuse, it refuses.
import { execFile } from 'node:child_process';
import { X509Certificate, createHash, createHmac, createPublicKey, createVerify, generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { type IncomingMessage, type RequestListener, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { listen } from './listen.ts';

/** Why it can't run here; false where it can. */
export const missingOpenssl = existsSync('/usr/bin/openssl') ? false : '/usr/bin/openssl is not installed';

export interface CloudRequest {
  readonly method: string;
  readonly host: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

interface CloudResponse {
  readonly status: number;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `ec2-v1` is one that knows no sessions, `subject` a server of tokens for Google's external accounts. */
export type MetadataServer = 'ec2' | 'ec2-v1' | 'gce' | 'azure' | 'app-service' | 'ecs' | 'subject';

/** What the clouds know; tests change it. */
export interface CloudState {
  /** Secret access keys by key id, and the session token that belongs to it. */
  readonly awsKeys: Map<string, { readonly secret: string; readonly token?: string }>;
  /** Tokens of the cluster's own issuer, for IRSA, AKS and Google. */
  readonly clusterTokens: Set<string>;
  /** Seconds that everything given out is good for. */
  lifeSeconds: number;
  /** Which metadata servers are there. */
  readonly metadata: Set<MetadataServer>;
  /** Of all stores, by `bucket/object`; S3's are in eu-central-1. */
  readonly objects: Map<string, Buffer>;
  /** How many credentials were given out: each is another one. */
  given: number;
}

export interface FakeClouds {
  readonly state: CloudState;
  readonly requests: CloudRequest[];
  /** For HTTPS_PROXY. */
  readonly proxy: string;
  /** PEM of the authority, and its file. */
  readonly certificate: string;
  /** `http://127.0.0.1:PORT`: metadata servers and agents. */
  readonly metadata: string;
  /** A service account's private key, as in Google's files. */
  readonly googleKey: string;
  /** PEM of an application's certificate and its key, as Azure has them in one file. */
  readonly azureCertificate: string;
  readonly stop: () => Promise<void>;
}

const names = [
  '*.amazonaws.com',
  '*.eu-central-1.amazonaws.com',
  '*.ecr.eu-central-1.amazonaws.com',
  '*.ecr-public.us-east-1.amazonaws.com',
]
  .concat(['*.dkr.ecr.eu-central-1.amazonaws.com', '*.azurecr.io', 'login.microsoftonline.com', '*.googleapis.com', 'gcr.io'])
  .concat(['*.s3.us-east-1.amazonaws.com', '*.s3.eu-central-1.amazonaws.com', '*.blob.core.windows.net']);

/** Starts all of them. */
export async function startFakeClouds(): Promise<FakeClouds> {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const googleKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' });
  const state: CloudState = {
    awsKeys: new Map([['AKIDSTATIC', { secret: 'static/secret' }]]),
    clusterTokens: new Set(['cluster-token-1']),
    lifeSeconds: 3600,
    metadata: new Set(),
    objects: new Map(),
    given: 0,
  };
  const requests: CloudRequest[] = [];
  const { key, certificate } = await makeCertificate(['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']);
  const application = await makeCertificate(['rsa:2048']);
  const keys = { google: pair.publicKey.export({ type: 'spki', format: 'pem' }), azure: application.certificate };
  const serve = (answer: (request: CloudRequest) => CloudResponse | undefined): RequestListener => {
    return (incoming, response) => {
      let body = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      incoming.on('end', () => {
        const host = incoming.headers.host ?? '';
        const request = {
          method: incoming.method ?? '',
          host,
          url: new URL(incoming.url ?? '/', `https://${host}`),
          headers: incoming.headers,
          body,
        };
        requests.push(request);
        const { status, body: text, headers } = answer(request) ?? { status: 404, body: 'not here' };
        response.writeHead(status, headers).end(text);
      });
    };
  };
  const services = createTlsServer(
    { key, cert: certificate },
    serve((request) => serviceAnswer(request, state, keys)),
  );
  const metadata = createServer(serve((request) => metadataAnswer(request, state)));
  const servicesPort = await listen(services);
  const metadataPort = await listen(metadata);
  const sockets = new Set<Socket>();
  const proxy = createServer();
  proxy.on('connect', (_, client: Socket) => {
    const upstream = connect(servicesPort, '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy()).on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  const proxyPort = await listen(proxy);
  return {
    state,
    requests,
    certificate,
    proxy: `http://127.0.0.1:${proxyPort}`,
    metadata: `http://127.0.0.1:${metadataPort}`,
    googleKey,
    azureCertificate: `${application.certificate}${application.key}`,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      for (const server of [services, metadata, proxy]) {
        server.closeAllConnections();
        await new Promise((done) => server.close(done));
      }
    },
  };
}

function serviceAnswer(
  request: CloudRequest,
  state: CloudState,
  keys: { readonly google: string; readonly azure: string },
): CloudResponse | undefined {
  const { host } = request;
  if (host.startsWith('sts.') && host.endsWith('.amazonaws.com')) return stsAnswer(request, state);
  if (host.startsWith('api.ecr')) return ecrAnswer(request, state);
  if (host === 'login.microsoftonline.com') return entraAnswer(request, state, keys.azure);
  if (host.endsWith('.azurecr.io')) return acrAnswer(request, state);
  if (host === 'oauth2.googleapis.com' || host === 'sts.googleapis.com') return googleTokenAnswer(request, state, keys.google);
  if (host === 'storage.googleapis.com') return storageAnswer(request, state);
  if (host === 'iamcredentials.googleapis.com') return impersonationAnswer(request, state);
  if (/\.s3\.[a-z0-9-]+\.amazonaws\.com$/.test(host)) return s3Answer(request, state);
  if (host.endsWith('.blob.core.windows.net')) return blobAnswer(request, state);
  return undefined;
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html and API_AssumeRole.html */
function stsAnswer(request: CloudRequest, state: CloudState): CloudResponse {
  const form = new URLSearchParams(request.body);
  const action = form.get('Action') ?? '';
  const refuse = (status: number, code: string, message: string): CloudResponse => ({
    status,
    body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>x</RequestId></ErrorResponse>`,
  });
  if (form.get('Version') !== '2011-06-15' || !form.get('RoleArn') || !/^[\w+=,.@-]{2,64}$/.test(form.get('RoleSessionName') ?? ''))
    return refuse(400, 'ValidationError', 'a parameter is missing');
  if (action === 'AssumeRoleWithWebIdentity') {
    if (request.headers.authorization !== undefined) return refuse(400, 'ValidationError', 'this call is not signed');
    if (!state.clusterTokens.has(form.get('WebIdentityToken') ?? ''))
      return refuse(403, 'AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity');
  } else {
    const why = awsRefusal(request, state, 'sts');
    if (why !== undefined) return refuse(403, 'SignatureDoesNotMatch', why);
  }
  const { id, secret, token } = newKeys(state);
  return {
    status: 200,
    body: `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials><SessionToken>${token}</SessionToken><SecretAccessKey>${secret}</SecretAccessKey><Expiration>${expiration(state)}</Expiration><AccessKeyId>${id}</AccessKeyId></Credentials></${action}Result></${action}Response>`,
  };
}

/** https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html, and the same of ECR Public */
function ecrAnswer(request: CloudRequest, state: CloudState): CloudResponse {
  const isPublic = request.host.startsWith('api.ecr-public.');
  const headers = { 'content-type': 'application/x-amz-json-1.1' };
  const target = isPublic ? 'SpencerFrontendService' : 'AmazonEC2ContainerRegistry_V20150921';
  if (request.headers['x-amz-target'] !== `${target}.GetAuthorizationToken`)
    return { status: 400, body: '{"__type":"UnknownOperationException"}', headers };
  const why = awsRefusal(request, state, isPublic ? 'ecr-public' : 'ecr');
  if (why !== undefined)
    return { status: 400, body: JSON.stringify({ __type: 'com.amazon.coral.service#InvalidSignatureException', message: why }), headers };
  state.given += 1;
  const authorizationToken = Buffer.from(`AWS:ecr-password-${state.given}`).toString('base64');
  const data = { authorizationToken, expiresAt: Date.now() / 1000 + state.lifeSeconds, proxyEndpoint: `https://${request.host}` };
  return { status: 200, body: JSON.stringify({ authorizationData: isPublic ? data : [data] }), headers };
}

/** https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow */
function entraAnswer(request: CloudRequest, state: CloudState, certificate: string): CloudResponse {
  const form = new URLSearchParams(request.body);
  const assertion = form.get('client_assertion') ?? '';
  const isProven =
    form.get('client_secret') === 'entra-secret' ||
    (form.get('client_assertion_type') === 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' &&
      (state.clusterTokens.has(assertion) || isSignedBy(certificate, assertion)));
  if (
    request.url.pathname !== '/tenant-1/oauth2/v2.0/token' ||
    form.get('grant_type') !== 'client_credentials' ||
    !form.get('scope')?.endsWith('/.default')
  )
    return { status: 400, body: '{"error":"invalid_request","error_description":"AADSTS900144: a parameter is missing"}' };
  if (!isProven)
    return { status: 401, body: '{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}' };
  state.given += 1;
  return {
    status: 200,
    body: JSON.stringify({ token_type: 'Bearer', expires_in: state.lifeSeconds, access_token: `entra-token-${state.given}` }),
  };
}

/** https://learn.microsoft.com/entra/identity-platform/certificate-credentials */
function isSignedBy(certificate: string, assertion: string): boolean {
  const [head = '', claims = '', signature = ''] = assertion.split('.');
  if (signature === '') return false;
  const { raw, publicKey } = new X509Certificate(certificate);
  const [{ alg, x5t }, { aud, iss, sub, jti, exp }] = [head, claims].map(
    (part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>,
  ) as [Record<string, unknown>, Record<string, unknown>];
  return (
    alg === 'RS256' &&
    x5t === createHash('sha1').update(raw).digest('base64url') &&
    aud === 'https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token' &&
    iss === 'client-1' &&
    sub === iss &&
    typeof jti === 'string' &&
    typeof exp === 'number' &&
    createVerify('RSA-SHA256').update(`${head}.${claims}`).verify(publicKey, signature, 'base64url')
  );
}

/** https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md */
function acrAnswer(request: CloudRequest, state: CloudState): CloudResponse | undefined {
  const form = new URLSearchParams(request.body);
  if (request.url.pathname !== '/oauth2/exchange' || request.method !== 'POST') return undefined;
  if (
    form.get('grant_type') !== 'access_token' ||
    form.get('service') !== request.host ||
    !/^(?:entra|imds)-token-\d+$/.test(form.get('access_token') ?? '')
  )
    return { status: 401, body: '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}' };
  state.given += 1;
  const now = Math.floor(Date.now() / 1000);
  const claims = Buffer.from(JSON.stringify({ iat: now, exp: now + state.lifeSeconds, jti: state.given })).toString('base64url');
  return { status: 200, body: JSON.stringify({ refresh_token: `e30.${claims}.signature` }) };
}

/** https://developers.google.com/identity/protocols/oauth2/service-account#httprest, and https://cloud.google.com/iam/docs/reference/sts/rest */
function googleTokenAnswer(request: CloudRequest, state: CloudState, publicKey: string): CloudResponse {
  const form = new URLSearchParams(request.body);
  const refuse = (why: string): CloudResponse => ({
    status: 400,
    body: JSON.stringify({ error: 'invalid_grant', error_description: why }),
  });
  const grant = form.get('grant_type');
  if (grant === 'urn:ietf:params:oauth:grant-type:jwt-bearer') {
    const [head = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.');
    const isSigned = createVerify('RSA-SHA256').update(`${head}.${claims}`).verify(createPublicKey(publicKey), signature, 'base64url');
    const { aud, iss, exp, scope } = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')) as Record<string, unknown>;
    if (!isSigned) return refuse('Invalid JWT Signature.');
    if (aud !== 'https://oauth2.googleapis.com/token' || typeof iss !== 'string' || typeof scope !== 'string' || typeof exp !== 'number')
      return refuse('Invalid JWT: a claim is missing');
  } else if (grant === 'refresh_token') {
    if (form.get('refresh_token') !== 'user-refresh') return refuse('Bad Request');
  } else if (grant === 'urn:ietf:params:oauth:grant-type:token-exchange') {
    if (!state.clusterTokens.has(form.get('subject_token') ?? '') || !form.get('audience') || !form.get('subject_token_type'))
      return refuse('The given credential is rejected by the attribute condition.');
  } else return refuse('unsupported grant');
  state.given += 1;
  return {
    status: 200,
    body: JSON.stringify({ access_token: `google-token-${state.given}`, expires_in: state.lifeSeconds, token_type: 'Bearer' }),
  };
}

/** https://cloud.google.com/storage/docs/json_api/v1/objects/get */
function storageAnswer({ url, headers }: CloudRequest, state: CloudState): CloudResponse {
  const refuse = (status: number, message: string): CloudResponse => ({
    status,
    body: JSON.stringify({ error: { code: status, message } }),
  });
  const [, bucket = '', name = ''] = /^\/storage\/v1\/b\/([^/]+)\/o\/([^/]+)$/.exec(url.pathname) ?? [];
  const object = state.objects.get(`${bucket}/${decodeURIComponent(name)}`);
  if (!/^Bearer (?:google|gce)-token-\d+$/.test(headers.authorization ?? ''))
    return refuse(401, 'Anonymous caller does not have storage.objects.get access to the Google Cloud Storage object.');
  if (object === undefined || url.searchParams.get('alt') !== 'media')
    return refuse(404, `No such object: ${bucket}/${decodeURIComponent(name)}`);
  return { status: 200, body: object, headers: { 'last-modified': 'Sat, 21 Nov 2026 10:00:00 GMT', etag: '"1"' } };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html */
function s3Answer(request: CloudRequest, state: CloudState): CloudResponse {
  const home = 'eu-central-1';
  const [, bucket = '', region = ''] = /^(.+)\.s3\.([a-z0-9-]+)\.amazonaws\.com$/.exec(request.host) ?? [];
  const headers = { 'x-amz-bucket-region': home };
  const key = decodeURIComponent(request.url.pathname.slice(1));
  const refuse = (status: number, code: string, message: string, more = {}): CloudResponse => ({
    status,
    body: `<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
    headers: { ...headers, ...more },
  });
  if (region !== home && key.startsWith('new-bucket/')) {
    const location = `https://${bucket}.s3.${home}.amazonaws.com${request.url.pathname}`;
    return refuse(307, 'TemporaryRedirect', 'Please re-send this request to the specified temporary endpoint.', { location });
  }
  if (region !== home) return refuse(301, 'PermanentRedirect', 'The bucket must be addressed using the specified endpoint.');
  const why = awsRefusal(request, state, 's3');
  if (why !== undefined) return refuse(403, 'SignatureDoesNotMatch', why);
  if (!request.headers.authorization?.includes(`/${home}/s3/`)) return refuse(400, 'AuthorizationHeaderMalformed', `expecting '${home}'`);
  const object = state.objects.get(`${bucket}/${key}`);
  return object === undefined ? refuse(404, 'NoSuchKey', 'The specified key does not exist.') : { status: 200, body: object };
}

/** https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory */
function blobAnswer({ url, headers }: CloudRequest, state: CloudState): CloudResponse {
  const object = state.objects.get(decodeURIComponent(url.pathname.slice(1)));
  const isProven = /^Bearer (?:entra|imds)-token-\d+$/.test(headers.authorization ?? '') && String(headers['x-ms-version']) >= '2017-11-09';
  if (!isProven) return { status: 401, body: '<Error><Code>NoAuthenticationInformation</Code></Error>' };
  return object === undefined ? { status: 404, body: '<Error><Code>BlobNotFound</Code></Error>' } : { status: 200, body: object };
}

/** https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken */
function impersonationAnswer(request: CloudRequest, state: CloudState): CloudResponse {
  const { scope } = JSON.parse(request.body) as { scope?: unknown };
  if (!/^Bearer google-token-\d+$/.test(request.headers.authorization ?? '') || !Array.isArray(scope))
    return { status: 403, body: '{"error":{"code":403,"message":"Permission iam.serviceAccounts.getAccessToken denied"}}' };
  state.given += 1;
  return { status: 200, body: JSON.stringify({ accessToken: `impersonated-${state.given}`, expireTime: expiration(state) }) };
}

function metadataAnswer(request: CloudRequest, state: CloudState): CloudResponse | undefined {
  const answers: Readonly<Record<MetadataServer, typeof metadataAnswer>> = {
    ec2: ec2Answer,
    'ec2-v1': ec2OldAnswer,
    ecs: ecsAnswer,
    gce: gceAnswer,
    azure: azureAnswer,
    'app-service': appServiceAnswer,
    subject: subjectAnswer,
  };
  for (const server of state.metadata) {
    const answer = answers[server](request, state);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html */
function ec2Answer(request: CloudRequest, state: CloudState): CloudResponse | undefined {
  const { method, url, headers } = request;
  if (url.pathname === '/latest/api/token')
    return method === 'PUT' && headers['x-aws-ec2-metadata-token-ttl-seconds'] !== undefined
      ? { status: 200, body: 'imds-session' }
      : { status: 400, body: '' };
  if (url.pathname.startsWith('/latest/') && headers['x-aws-ec2-metadata-token'] !== 'imds-session') return { status: 401, body: '' };
  return ec2OldAnswer(request, state);
}

function ec2OldAnswer({ url }: CloudRequest, state: CloudState): CloudResponse | undefined {
  if (url.pathname === '/latest/meta-data/iam/security-credentials/') return { status: 200, body: 'node-role' };
  return url.pathname === '/latest/meta-data/iam/security-credentials/node-role' ? { status: 200, body: keysDocument(state) } : undefined;
}

/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
function ecsAnswer({ url, headers }: CloudRequest, state: CloudState): CloudResponse | undefined {
  if (url.pathname !== '/v1/credentials') return undefined;
  return state.clusterTokens.has(headers.authorization ?? '')
    ? { status: 200, body: keysDocument(state) }
    : { status: 401, body: '{"message":"unauthorized"}' };
}

/** https://cloud.google.com/compute/docs/metadata/querying-metadata */
function gceAnswer({ url, headers }: CloudRequest, state: CloudState): CloudResponse | undefined {
  const path = url.pathname;
  if (path !== '/' && !path.startsWith('/computeMetadata/')) return undefined;
  const flavor = { 'metadata-flavor': 'Google' };
  if (headers['metadata-flavor'] !== 'Google') return { status: 403, body: '', headers: flavor };
  if (path === '/') return { status: 200, body: 'computeMetadata/\n', headers: flavor };
  state.given += 1;
  const token = { access_token: `gce-token-${state.given}`, expires_in: state.lifeSeconds, token_type: 'Bearer' };
  return { status: 200, body: JSON.stringify(token), headers: flavor };
}

/** https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token */
function azureAnswer({ url, headers }: CloudRequest, state: CloudState): CloudResponse | undefined {
  if (url.pathname !== '/metadata/identity/oauth2/token') return undefined;
  return headers['metadata'] === 'true' && url.searchParams.has('resource')
    ? identityAnswer(state)
    : { status: 400, body: '{"error":"invalid_request","error_description":"Required metadata header not specified"}' };
}

/** https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference */
function appServiceAnswer({ url, headers }: CloudRequest, state: CloudState): CloudResponse | undefined {
  if (url.pathname !== '/msi/token') return undefined;
  return headers['x-identity-header'] === 'identity-secret' && url.searchParams.get('api-version') === '2019-08-01'
    ? identityAnswer(state)
    : { status: 401, body: '{"error":"unauthorized"}' };
}

/** https://google.aip.dev/auth/4117: whatever the owner of the server wants */
function subjectAnswer({ url, headers }: CloudRequest): CloudResponse | undefined {
  if (url.pathname !== '/subject') return undefined;
  return headers['x-proof'] === 'me' ? { status: 200, body: ' cluster-token-1\n' } : { status: 403, body: '' };
}

function identityAnswer(state: CloudState): CloudResponse {
  state.given += 1;
  return { status: 200, body: JSON.stringify({ access_token: `imds-token-${state.given}`, expires_in: String(state.lifeSeconds) }) };
}

function newKeys(state: CloudState): { readonly id: string; readonly secret: string; readonly token: string } {
  state.given += 1;
  const keys = { id: `ASIA${state.given}`, secret: `secret/${state.given}`, token: `session+${state.given}=` };
  state.awsKeys.set(keys.id, keys);
  return keys;
}

function keysDocument(state: CloudState): string {
  const { id, secret, token } = newKeys(state);
  return JSON.stringify({
    Code: 'Success',
    Type: 'AWS-HMAC',
    AccessKeyId: id,
    SecretAccessKey: secret,
    Token: token,
    Expiration: expiration(state),
  });
}

function expiration(state: CloudState): string {
  return new Date(Date.now() + state.lifeSeconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Why AWS would refuse the signature: worked out from the request as it came, by the documented steps. */
export function awsRefusal(
  { method, url, headers, body }: Pick<CloudRequest, 'method' | 'url' | 'headers' | 'body'>,
  { awsKeys }: Pick<CloudState, 'awsKeys'>,
  service: string,
): string | undefined {
  const parsed =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([\w-]+)\/([\w-]+)\/aws4_request, SignedHeaders=([\w;-]+), Signature=(\w{64})$/.exec(
      headers.authorization ?? '',
    );
  if (parsed === null) return 'there is no signature';
  const [, id = '', day = '', region = '', named = '', signedNames = '', signature = ''] = parsed;
  const known = awsKeys.get(id);
  if (known === undefined) return 'The security token included in the request is invalid.';
  if (headers['x-amz-security-token'] !== known.token) return 'the session token does not belong to the key';
  if (named !== service) return `Credential should be scoped to correct service: '${service}'.`;
  const date = String(headers['x-amz-date']);
  const at = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!(Math.abs(at - Date.now()) < 300_000) || !date.startsWith(day)) return 'Signature expired';
  const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const lines = signedNames.split(';').map((name) => `${name}:${String(headers[name])}\n`);
  const canonical = `${method}\n${url.pathname}\n${url.search.slice(1)}\n${lines.join('')}\n${signedNames}\n${sha(body)}`;
  const toSign = `AWS4-HMAC-SHA256\n${date}\n${day}/${region}/${service}/aws4_request\n${sha(canonical)}`;
  const key = hmac(hmac(hmac(hmac(`AWS4${known.secret}`, day), region), service), 'aws4_request');
  return hmac(key, toSign).toString('hex') === signature
    ? undefined
    : 'The request signature we calculated does not match the signature you provided.';
}

async function makeCertificate(algorithm: readonly string[]): Promise<{ readonly key: string; readonly certificate: string }> {
  await using place = await mkdtempDisposable(join(tmpdir(), 'yadokari-clouds-'));
  const [key, certificate] = [join(place.path, 'key'), join(place.path, 'crt')];
  const kind = ['-x509', '-newkey', ...algorithm, '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=clouds', '-addext', `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`];
  await promisify(execFile)('openssl', ['req', ...kind, '-keyout', key, '-out', certificate, ...subject]);
  return { key: await readFile(key, 'utf8'), certificate: await readFile(certificate, 'utf8') };
}
