// Credentials for the clouds' registries, from every source there is, as their token services give them out.
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { type Clouds, openClouds } from '../../../src/cloud/clouds.ts';
import { loadCredentials } from '../../../src/registry/credentials.ts';
import { namesFromTable } from '../../../src/registry/names.ts';
import { proxiesFrom } from '../../../src/registry/proxy.ts';
import { type FakeClouds, type MetadataServer, missingOpenssl, startFakeClouds } from '../../support/fake-clouds.ts';
import { listen } from '../../support/listen.ts';

const { signal } = new AbortController();
const ecr = '123456789012.dkr.ecr.eu-central-1.amazonaws.com';
const acr = 'myregistry.azurecr.io';
let clouds: FakeClouds;
let folder: string;
let nowMs = 0;
const waits: number[] = [];
const notes: string[] = [];
const warnings: string[] = [];

type Env = Readonly<Record<string, string>>;
const opened: Clouds[] = [];

before(async () => {
  if (missingOpenssl === false) clouds = await startFakeClouds();
  folder = mkdtempSync(join(tmpdir(), 'yadokari-cloud-files-'));
});
after(async () => {
  for (const each of opened) await each.close();
  await clouds?.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  if (missingOpenssl !== false) return;
  clouds.state.metadata.clear();
  clouds.state.clusterTokens.clear();
  clouds.state.clusterTokens.add('cluster-token-1');
  clouds.state.lifeSeconds = 3600;
  clouds.requests.length = 0;
  for (const list of [waits, notes, warnings]) list.length = 0;
  nowMs = 0;
});

/** What a build has with this environment, on a machine where the metadata servers are the fake's, or nowhere. */
async function credentialsFor(env: Env, config?: object) {
  const nowhere = { AWS_EC2_METADATA_SERVICE_ENDPOINT: clouds.metadata, AZURE_POD_IDENTITY_AUTHORITY_HOST: clouds.metadata };
  const all = { ...nowhere, GCE_METADATA_HOST: new URL(clouds.metadata).host, ...env };
  const made = openClouds({
    env: all,
    names: namesFromTable(new Map()),
    hostRules: () => ({ certificates: [clouds.certificate] }),
    proxies: proxiesFrom({ HTTPS_PROXY: clouds.proxy }),
    userAgent: 'test',
    clock: {
      now: () => nowMs,
      sleep: async (durationMs) => {
        waits.push(durationMs);
        await Promise.resolve();
      },
      random: () => 0.5,
    },
    onRetry: (line) => notes.push(line),
    onWarning: (line) => warnings.push(line),
  });
  opened.push(made);
  const inline = config === undefined ? {} : { DOCKER_AUTH_CONFIG: JSON.stringify(config) };
  return await loadCredentials({ env: { ...all, ...inline }, native: made.helpers });
}

/** `user:secret`, or undefined. */
async function ask(env: Env, registry: string, config?: object): Promise<string | undefined> {
  const found = await (await credentialsFor(env, config)).find(registry, 'app', signal);
  if (found === undefined) return undefined;
  return found.kind === 'password'
    ? `${found.user}:${found.password}`
    : `${found.kind} ${found.kind === 'identity' ? found.user : ''} ${found.token.slice(0, 4)}`;
}

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const aws = { AWS_REGION: 'eu-central-1' };
const irsa = (): Env => ({
  ...aws,
  AWS_ROLE_ARN: 'arn:aws:iam::1:role/build',
  AWS_WEB_IDENTITY_TOKEN_FILE: file('irsa', 'cluster-token-1\n'),
});
const azure = { AZURE_TENANT_ID: 'tenant-1', AZURE_CLIENT_ID: 'client-1' };
const googleFile = (content: object): Env => ({ GOOGLE_APPLICATION_CREDENTIALS: file('google.json', JSON.stringify(content)) });
const external = {
  type: 'external_account',
  audience: '//iam.googleapis.com/x',
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  token_url: 'https://sts.googleapis.com/v1/token',
};
const acrAnswer = /^identity 00000000-0000-0000-0000-000000000000 e30\.$/;

const ecrAnswer = /^AWS:ecr-password-\d+$/;
const roleBy = (source: string): Env => ({
  AWS_PROFILE: 'build',
  AWS_CONFIG_FILE: file(
    'by-source',
    `[profile build]\nrole_arn=arn:aws:iam::1:role/build\ncredential_source=${source}\nregion=eu-central-1\n`,
  ),
});

interface Row {
  readonly source: string;
  readonly registry: string;
  readonly env: () => Env;
  readonly metadata?: MetadataServer;
  readonly gives: RegExp;
}

const rows: readonly Row[] = [
  {
    source: 'keys in the environment',
    registry: ecr,
    env: () => ({ AWS_ACCESS_KEY_ID: 'AKIDSTATIC', AWS_SECRET_ACCESS_KEY: 'static/secret' }),
    gives: ecrAnswer,
  },
  { source: 'IRSA', registry: ecr, env: irsa, gives: ecrAnswer },
  { source: 'IRSA', registry: 'public.ecr.aws', env: irsa, gives: ecrAnswer },
  {
    source: 'a profile that assumes a role',
    registry: ecr,
    env: () => ({
      AWS_PROFILE: 'build',
      AWS_CONFIG_FILE: file(
        'aws-config',
        '[profile build]\nrole_arn=arn:aws:iam::1:role/build\nsource_profile=base\nregion=eu-central-1\n',
      ),
      AWS_SHARED_CREDENTIALS_FILE: file(
        'aws-credentials',
        '[base]\naws_access_key_id = AKIDSTATIC\naws_secret_access_key = static/secret\n',
      ),
    }),
    gives: ecrAnswer,
  },
  {
    source: 'EKS Pod Identity',
    registry: ecr,
    metadata: 'ecs',
    env: () => ({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${clouds.metadata}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file('eks', 'cluster-token-1'),
    }),
    gives: ecrAnswer,
  },
  {
    source: 'the metadata of an EC2 machine that knows version 1 only',
    registry: ecr,
    metadata: 'ec2-v1',
    env: () => ({}),
    gives: ecrAnswer,
  },
  {
    source: 'a profile whose role is assumed as the machine',
    registry: ecr,
    metadata: 'ec2',
    env: () => roleBy('Ec2InstanceMetadata'),
    gives: ecrAnswer,
  },
  {
    source: 'a profile whose role is assumed as the container',
    registry: ecr,
    metadata: 'ecs',
    env: () => ({
      ...roleBy('EcsContainer'),
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${clouds.metadata}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'cluster-token-1',
    }),
    gives: ecrAnswer,
  },
  {
    source: "a profile whose role is assumed with the environment's keys",
    registry: ecr,
    env: () => ({ ...roleBy('Environment'), AWS_ACCESS_KEY_ID: 'AKIDSTATIC', AWS_SECRET_ACCESS_KEY: 'static/secret' }),
    gives: ecrAnswer,
  },
  { source: 'the metadata of an EC2 machine', registry: ecr, metadata: 'ec2', env: () => ({}), gives: ecrAnswer },
  {
    source: 'a service account key',
    registry: 'eu.gcr.io',
    env: () => googleFile({ type: 'service_account', client_email: 'a@b', private_key_id: '1', private_key: clouds.googleKey }),
    gives: /^oauth2accesstoken:google-token-\d+$/,
  },
  {
    source: "a person's gcloud login",
    registry: 'gcr.io',
    env: () => {
      file(
        'application_default_credentials.json',
        JSON.stringify({ type: 'authorized_user', client_id: 'c', client_secret: 's', refresh_token: 'user-refresh' }),
      );
      return { CLOUDSDK_CONFIG: folder };
    },
    gives: /^oauth2accesstoken:google-token-\d+$/,
  },
  {
    source: 'an external account with a token file',
    registry: 'europe-docker.pkg.dev',
    env: () =>
      googleFile({
        ...external,
        credential_source: {
          file: file('google-token.json', '{"t":"cluster-token-1"}'),
          format: { type: 'json', subject_token_field_name: 't' },
        },
      }),
    gives: /^oauth2accesstoken:google-token-\d+$/,
  },
  {
    source: 'an external account that impersonates',
    registry: 'europe-docker.pkg.dev',
    env: () =>
      googleFile({
        ...external,
        credential_source: { file: file('google-token', 'cluster-token-1') },
        service_account_impersonation_url: 'https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken',
      }),
    gives: /^oauth2accesstoken:impersonated-\d+$/,
  },
  {
    source: 'an external account with a URL of tokens',
    registry: 'europe-docker.pkg.dev',
    metadata: 'subject',
    env: () => googleFile({ ...external, credential_source: { url: `${clouds.metadata}/subject`, headers: { 'X-Proof': 'me' } } }),
    gives: /^oauth2accesstoken:google-token-\d+$/,
  },
  {
    source: 'a login that impersonates a service account',
    registry: 'gcr.io',
    env: () =>
      googleFile({
        type: 'impersonated_service_account',
        source_credentials: { type: 'authorized_user', client_id: 'c', client_secret: 's', refresh_token: 'user-refresh' },
        service_account_impersonation_url: 'https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b:generateAccessToken',
      }),
    gives: /^oauth2accesstoken:impersonated-\d+$/,
  },
  {
    source: 'the GCE metadata server',
    registry: 'europe-docker.pkg.dev',
    metadata: 'gce',
    env: () => ({}),
    gives: /^oauth2accesstoken:gce-token-\d+$/,
  },
  { source: 'a client secret', registry: acr, env: () => ({ ...azure, AZURE_CLIENT_SECRET: 'entra-secret' }), gives: acrAnswer },
  {
    source: 'AKS workload identity',
    registry: acr,
    env: () => ({ ...azure, AZURE_FEDERATED_TOKEN_FILE: file('aks', 'cluster-token-1') }),
    gives: acrAnswer,
  },
  {
    source: 'a client certificate',
    registry: acr,
    env: () => ({ ...azure, AZURE_CLIENT_CERTIFICATE_PATH: file('azure.pem', clouds.azureCertificate) }),
    gives: acrAnswer,
  },
  {
    source: 'the identity endpoint of App Service',
    registry: acr,
    metadata: 'app-service',
    env: () => ({ IDENTITY_ENDPOINT: `${clouds.metadata}/msi/token`, IDENTITY_HEADER: 'identity-secret' }),
    gives: acrAnswer,
  },
  { source: 'the metadata of an Azure machine', registry: acr, metadata: 'azure', env: () => ({}), gives: acrAnswer },
];
for (const { source, registry, env, metadata, gives } of rows)
  test(`${registry} is opened with ${source}`, { skip: missingOpenssl }, async () => {
    if (metadata !== undefined) clouds.state.metadata.add(metadata);
    assert.match((await ask(env(), registry)) ?? 'nothing', gives);
  });

interface Failure {
  readonly what: string;
  readonly registry: string;
  readonly env: () => Env;
  readonly says: RegExp;
}
const failures: readonly Failure[] = [
  {
    what: 'a role that does not trust us',
    registry: ecr,
    env: () => ({ ...irsa(), AWS_WEB_IDENTITY_TOKEN_FILE: file('bad', 'hidden-token') }),
    says: /^Cannot get AWS credentials from AWS_WEB_IDENTITY_TOKEN_FILE: sts\.eu-central-1\.amazonaws\.com answered 403 AccessDenied: Not authorized/,
  },
  {
    what: 'a token file that is not there',
    registry: ecr,
    env: () => ({ ...irsa(), AWS_WEB_IDENTITY_TOKEN_FILE: '/nowhere/token' }),
    says: /^Cannot read \/nowhere\/token, which AWS_WEB_IDENTITY_TOKEN_FILE names: no such file or directory$/,
  },
  {
    what: 'a wrong key',
    registry: ecr,
    env: () => ({ AWS_ACCESS_KEY_ID: 'AKIDSTATIC', AWS_SECRET_ACCESS_KEY: 'hidden-secret' }),
    says: /^Cannot get credentials for 1234.* with AWS_ACCESS_KEY_ID: api\.ecr\.eu-central-1\.amazonaws\.com answered 400 InvalidSignatureException: /,
  },
  {
    what: 'a profile with single sign-on',
    registry: ecr,
    env: () => ({ AWS_PROFILE: 's', AWS_CONFIG_FILE: file('sso', '[profile s]\nsso_session = x\n') }),
    says: /it has sso_session, which is not supported here/,
  },
  {
    what: 'an agent far away',
    registry: ecr,
    env: () => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://198.51.100.7/x', AWS_CONTAINER_AUTHORIZATION_TOKEN: 'hidden' }),
    says: /its host is neither the agent of this node nor this machine/,
  },
  {
    what: 'a role by the keys of an environment that has none',
    registry: ecr,
    env: () => {
      clouds.state.metadata.add('ec2');
      return roleBy('Environment');
    },
    says: /^Cannot get AWS credentials from AWS profile build: what its role is to be assumed with has no keys$/,
  },
  {
    what: 'a token service in the open',
    registry: ecr,
    env: () => ({ ...irsa(), AWS_WEB_IDENTITY_TOKEN_FILE: file('open', 'hidden-token'), AWS_ENDPOINT_URL_STS: 'http://198.51.100.7' }),
    says: /^Cannot get AWS credentials from AWS_WEB_IDENTITY_TOKEN_FILE: the token would go to 198\.51\.100\.7 in the open$/,
  },
  {
    what: 'a URL of tokens in the open',
    registry: 'gcr.io',
    env: () => googleFile({ ...external, credential_source: { url: 'http://198.51.100.7/', headers: { authorization: 'hidden' } } }),
    says: /its credential_source 198\.51\.100\.7 is not an https address$/,
  },
  {
    what: 'an identity endpoint in the open',
    registry: acr,
    env: () => ({ IDENTITY_ENDPOINT: 'http://198.51.100.7/msi/token', IDENTITY_HEADER: 'hidden' }),
    says: /its host is neither this machine nor its own link, and it is not https$/,
  },
  {
    what: 'a certificate that is none',
    registry: acr,
    env: () => ({ ...azure, AZURE_CLIENT_CERTIFICATE_PATH: file('azure.p12', 'hidden') }),
    says: /^Cannot get Azure credentials from AZURE_CLIENT_CERTIFICATE_PATH: it is no PEM file with a certificate and its key$/,
  },
  {
    what: 'a revoked key',
    registry: 'gcr.io',
    env: () => googleFile({ type: 'authorized_user', client_id: 'c', client_secret: 'hidden', refresh_token: 'hidden' }),
    says: /^Cannot get Google credentials from GOOGLE_APPLICATION_CREDENTIALS: oauth2\.googleapis\.com answered 400 invalid_grant: Bad Request$/,
  },
  {
    what: 'a file that is not there',
    registry: 'gcr.io',
    env: () => ({ GOOGLE_APPLICATION_CREDENTIALS: '/nowhere.json' }),
    says: /\/nowhere\.json does not exist/,
  },
  {
    what: 'a token server in the open',
    registry: 'gcr.io',
    env: () =>
      googleFile({
        type: 'authorized_user',
        client_id: 'c',
        client_secret: 'hidden',
        refresh_token: 'hidden',
        token_uri: 'http://evil.example/',
      }),
    says: /its token_uri is not an https address/,
  },
  {
    what: 'an external account that runs a program',
    registry: 'gcr.io',
    env: () => googleFile({ ...external, credential_source: { executable: { command: 'rm' } } }),
    says: /a credential_source with executable is not supported here/,
  },
  {
    what: 'a wrong secret',
    registry: acr,
    env: () => ({ ...azure, AZURE_CLIENT_SECRET: 'hidden' }),
    says: /^Cannot get Azure credentials from AZURE_CLIENT_SECRET: login\.microsoftonline\.com answered 401 invalid_client: AADSTS7000215/,
  },
];
for (const { what, registry, env, says } of failures)
  test(`${what} for ${registry} is an error that names the source, and no secret`, { skip: missingOpenssl }, async () => {
    await assert.rejects(ask(env(), registry), (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, 'ERR_AUTH');
      assert.match(error.message, says);
      assert.doesNotMatch(`${error.message} ${error.hint ?? ''} ${notes.join(' ')}`, /hidden/);
      return true;
    });
  });

test('a host that is no cloud asks no cloud, and no other cloud', { skip: missingOpenssl }, async () => {
  for (const each of ['ec2', 'gce', 'azure'] as const) clouds.state.metadata.add(each);
  const env = { ...irsa(), ...azure, AZURE_CLIENT_SECRET: 'entra-secret' };
  assert.equal(await ask(env, 'registry.example.com'), undefined);
  assert.equal(await ask(env, 'index.docker.io'), undefined);
  assert.deepEqual(clouds.requests, []);
  await ask(env, acr);
  assert.deepEqual(
    clouds.requests.map(({ host }) => host),
    ['login.microsoftonline.com', acr],
  );
});

test('off the clouds there are no credentials, after a look of a second', { skip: missingOpenssl }, async () => {
  // Somebody who takes connections and says nothing: a firewall looks like this, too.
  const silent = createServer();
  const port = await listen(silent);
  const host = `127.0.0.1:${port}`;
  const env = {
    AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://${host}`,
    AWS_EC2_METADATA_V1_DISABLED: 'true',
    GCE_METADATA_HOST: host,
    AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://${host}`,
  };
  const sinceMs = performance.now();
  assert.deepEqual(await Promise.all([ecr, 'gcr.io', acr].map(async (registry) => await ask(env, registry))), [
    undefined,
    undefined,
    undefined,
  ]);
  const tookMs = performance.now() - sinceMs;
  assert.ok(tookMs > 900 && tookMs < 3000, `${tookMs} ms`);
  silent.close();
  const credentials = await credentialsFor(env);
  assert.ok(credentials.sources(ecr).includes('EC2 instance metadata'));
  assert.ok(!credentials.sources('gcr.io').includes('EC2 instance metadata'));
});

test("public.ecr.aws is read anonymously where credentials don't help, with a warning", { skip: missingOpenssl }, async () => {
  assert.equal(await ask({ AWS_ACCESS_KEY_ID: 'NOT_SET', AWS_SECRET_KEY: 'NOT_SET' }, 'public.ecr.aws'), undefined);
  assert.match(warnings.join(), /security token included in the request is invalid.*; going on without credentials for public\.ecr\.aws$/);
});

const config = {
  credHelpers: { [ecr]: 'ecr-login', 'gcr.io': 'gcr', [acr]: 'acr-env' },
  credsStore: 'gcloud',
  auths: { other: { auth: Buffer.from('u:p').toString('base64') } },
};
test(
  'helpers that config.json names are answered without a program, and leave other hosts to auths',
  { skip: missingOpenssl },
  async () => {
    clouds.state.metadata.add('gce');
    assert.match((await ask(irsa(), ecr, config)) ?? '', /^AWS:/);
    assert.match((await ask({}, 'gcr.io', config)) ?? '', /^oauth2accesstoken:gce/);
    assert.match((await ask({}, 'us-docker.pkg.dev', config)) ?? '', /^oauth2accesstoken:gce/);
    assert.match((await ask({ ...azure, AZURE_CLIENT_SECRET: 'entra-secret' }, acr, config)) ?? '', acrAnswer);
    assert.equal(await ask({}, 'other', config), 'u:p');
  },
);

test('a credential is kept while it is good, renewed in time, and the token file read anew', { skip: missingOpenssl }, async () => {
  // As the kubelet lays it out: what changes is a link beside the file.
  const place = join(folder, 'projected');
  for (const [turn, token] of ['cluster-token-1', 'cluster-token-2'].entries()) {
    mkdirSync(join(place, `..${turn}`), { recursive: true });
    writeFileSync(join(place, `..${turn}`, 'token'), token);
  }
  symlinkSync('..0', join(place, '..data'));
  symlinkSync('..data/token', join(place, 'token'));
  const credentials = await credentialsFor({ ...irsa(), AWS_WEB_IDENTITY_TOKEN_FILE: join(place, 'token') });
  const first = await credentials.find(ecr, 'a', signal);
  assert.deepEqual(await credentials.find(ecr, 'b', signal), first);
  assert.equal(clouds.requests.length, 2);
  assert.ok((first?.renewAtMs ?? 0) > 3_200_000 && (first?.renewAtMs ?? 0) < 3_400_000);
  // The cluster gives out another token, and the path has come to lead elsewhere.
  symlinkSync('..1', join(place, '..new'));
  renameSync(join(place, '..new'), join(place, '..data'));
  renameSync(place, `${place}-moved`);
  mkdirSync(place);
  writeFileSync(join(place, 'token'), 'token-of-the-image');
  clouds.state.clusterTokens.delete('cluster-token-1');
  clouds.state.clusterTokens.add('cluster-token-2');
  nowMs = first?.renewAtMs ?? 0;
  const second = await credentials.find(ecr, 'a', signal);
  assert.notDeepEqual(second, first);
  assert.ok(clouds.requests.some(({ body }) => body.includes('cluster-token-2')));
  assert.ok(!clouds.requests.some(({ body }) => body.includes('token-of-the-image')));
  // Where renewing fails, the old one does until its end.
  clouds.state.clusterTokens.clear();
  for (const id of [...clouds.state.awsKeys.keys()].filter((key) => key.startsWith('ASIA'))) clouds.state.awsKeys.delete(id);
  nowMs = second?.renewAtMs ?? 0;
  assert.deepEqual(await credentials.find(ecr, 'a', signal), second);
  nowMs += 400_000;
  await assert.rejects(credentials.find(ecr, 'a', signal), { code: 'ERR_AUTH' });
});
