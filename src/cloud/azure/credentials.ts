// Microsoft Entra ID tokens, from where Azure's own clients take them: a secret or certificate in the environment, a federated token
// (AKS workload identity), the identity endpoint of App Service, the machine's metadata server.
import { createHash, createPrivateKey, randomUUID, X509Certificate } from 'node:crypto';
import { BuilderError } from '../../errors.ts';
import type { Json, JsonObject } from '../../oci/json.ts';
import {
  type CloudAccess,
  type CloudAnswer,
  type Environment,
  type Question,
  isLinkLocal,
  isSafeForSecrets,
  objectOf,
  textAt,
} from '../ask.ts';
import { failuresOf, refusalOf } from '../failure.ts';
import { type HeldFile, holdFile } from '../held-file.ts';
import { type Passing, Renewed, lifeOfSeconds } from '../renewed.ts';
import { signedToken } from '../signed-token.ts';

interface AzureToken {
  readonly token: string;
  readonly source: string;
}

export interface AzureCredentials {
  /**
   * A token for a resource (`https://storage.azure.com`), from the authority of that cloud where the environment names none; undefined
   * where no source has one. @throws ERR_AUTH naming the source that is set up and fails
   */
  readonly token: (resource: string, authority: string, signal: AbortSignal) => Promise<AzureToken | undefined>;
  readonly forget: () => void;
  readonly close: () => void;
}

/** For "looked in". */
export const azureSources = [
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'AZURE_FEDERATED_TOKEN_FILE',
  'IDENTITY_ENDPOINT',
  'Azure instance metadata',
] as const;

const authorities: Readonly<Record<string, string>> = {
  AZUREPUBLICCLOUD: 'https://login.microsoftonline.com',
  AZURECLOUD: 'https://login.microsoftonline.com',
  AZUREUSGOVERNMENT: 'https://login.microsoftonline.us',
  AZUREUSGOVERNMENTCLOUD: 'https://login.microsoftonline.us',
  AZURECHINACLOUD: 'https://login.chinacloudapi.cn',
  AZUREGERMANCLOUD: 'https://login.microsoftonline.de',
};

const { failed, reach } = failuresOf('Azure');

interface Around {
  readonly env: Environment;
  readonly access: CloudAccess;
  readonly files: ReadonlyMap<string, HeldFile>;
}

interface Wanted {
  readonly resource: string;
  readonly authority: string;
}

/** Holds the token's and the certificate's file from now on. */
export function openAzureCredentials(env: Environment, access: CloudAccess): AzureCredentials {
  const files = new Map<string, HeldFile>();
  for (const name of ['AZURE_FEDERATED_TOKEN_FILE', 'AZURE_CLIENT_CERTIFICATE_PATH']) {
    const path = env[name];
    if (path !== undefined && path !== '') files.set(name, holdFile(path, name));
  }
  const around: Around = { env, access, files };
  const kept = new Map<string, Renewed<AzureToken>>();
  return {
    token: async (resource, authority, signal) => {
      const make = (): Renewed<AzureToken> =>
        new Renewed(access.retry.clock, async (inner) => await obtain(around, { resource, authority }, inner));
      return (await kept.getOrInsertComputed(`${resource} ${authority}`, make).get(signal)).value;
    },
    forget: () => kept.clear(),
    close: () => {
      for (const file of files.values()) file.close();
    },
  };
}

async function obtain(around: Around, wanted: Wanted, signal: AbortSignal): Promise<Passing<AzureToken> | undefined> {
  const { env, files } = around;
  const [tenant, client, secret] = [env['AZURE_TENANT_ID'], env['AZURE_CLIENT_ID'], env['AZURE_CLIENT_SECRET']];
  if (tenant && client) {
    const app = { tenant, client };
    if (secret) return await askEntra(around, wanted, { ...app, source: 'AZURE_CLIENT_SECRET', proof: { client_secret: secret } }, signal);
    for (const source of ['AZURE_CLIENT_CERTIFICATE_PATH', 'AZURE_FEDERATED_TOKEN_FILE']) {
      const file = files.get(source);
      if (file === undefined) continue;
      const isToken = source === 'AZURE_FEDERATED_TOKEN_FILE';
      const assertion = isToken ? file.read().trim() : assertionOf(around, wanted, { ...app, source, pem: file.read() });
      const proof = { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: assertion };
      return await askEntra(around, wanted, { ...app, source, proof }, signal);
    }
  }
  return (await ofService(around, wanted, signal)) ?? (await ofMachine(around, wanted, signal));
}

interface App {
  readonly tenant: string;
  readonly client: string;
  readonly source: string;
}

/** https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow */
async function askEntra(
  around: Around,
  wanted: Wanted,
  app: App & { readonly proof: Readonly<Record<string, string>> },
  signal: AbortSignal,
): Promise<Passing<AzureToken>> {
  const { client, source, proof } = app;
  const url = entraUrl(around.env, wanted, app);
  const form = { grant_type: 'client_credentials', client_id: client, scope: `${wanted.resource}/.default`, ...proof };
  const question: Question = {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
    task: 'get an Azure token',
  };
  const answer = await reach(source, async () => await around.access.ask(question, signal));
  if (answer.status === 200) return tokenOf(answer, source);
  throw failed(source, refusalOf(url, answer, wordsOf), 'check AZURE_CLIENT_ID, AZURE_TENANT_ID and what they trust');
}

function entraUrl(env: Environment, { authority }: Wanted, { tenant, source }: App): URL {
  const cloud = env['AZURE_ENVIRONMENT'];
  const named = env['AZURE_AUTHORITY_HOST'] || (cloud ? authorities[cloud.toUpperCase()] : authority);
  if (named === undefined)
    throw failed(source, `there is no Azure cloud ${JSON.stringify(cloud)}`, 'AZURE_ENVIRONMENT is one like AzurePublicCloud');
  const base = named.replace(/\/+$/, '');
  const text = `${/^https?:\/\//.test(base) ? '' : 'https://'}${base}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !isSafeForSecrets(url)) throw failed(source, 'AZURE_AUTHORITY_HOST is not an https address');
  return url;
}

/** https://learn.microsoft.com/entra/identity-platform/certificate-credentials */
function assertionOf({ env, access }: Around, wanted: Wanted, app: App & { readonly pem: string }): string {
  const { client, source, pem } = app;
  const seconds = Math.floor(access.date() / 1000);
  const claims = { aud: entraUrl(env, wanted, app).href, iss: client, sub: client, jti: randomUUID(), nbf: seconds, exp: seconds + 600 };
  try {
    const certificate = new X509Certificate(pem);
    const key = createPrivateKey({ key: pem, passphrase: env['AZURE_CLIENT_CERTIFICATE_PASSWORD'] ?? '' });
    return signedToken({ x5t: createHash('sha1').update(certificate.raw).digest('base64url') }, claims, key);
  } catch (error) {
    throw failed(
      source,
      'it is no PEM file with a certificate and its key',
      'PKCS #12 files are not supported: openssl pkcs12 -nodes makes PEM',
      error,
    );
  }
}

/** https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference */
async function ofService({ env, access }: Around, { resource }: Wanted, signal: AbortSignal): Promise<Passing<AzureToken> | undefined> {
  const [endpoint, secret] = [env['IDENTITY_ENDPOINT'], env['IDENTITY_HEADER']];
  if (!endpoint || !secret) return undefined;
  const source = 'IDENTITY_ENDPOINT';
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url === undefined || !(isSafeForSecrets(url) || isLinkLocal(url)))
    throw failed(source, 'its host is neither this machine nor its own link, and it is not https');
  url.searchParams.set('api-version', '2019-08-01');
  return await askIdentity(url, { 'x-identity-header': secret }, { env, access, resource, source }, signal);
}

/** https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token */
async function ofMachine({ env, access }: Around, { resource }: Wanted, signal: AbortSignal): Promise<Passing<AzureToken> | undefined> {
  const source = 'Azure instance metadata';
  const host = env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] || 'http://169.254.169.254';
  const text = `${host.replace(/\/+$/, '')}/metadata/identity/oauth2/token?api-version=2018-02-01`;
  if (!URL.canParse(text)) throw new BuilderError('ERR_USAGE', 'Cannot use AZURE_POD_IDENTITY_AUTHORITY_HOST: it is not a URL');
  // Without the header it gives nothing away, and says so with 400: other clouds' servers don't know the path.
  const there = await access.probe({ method: 'GET', url: new URL(text), task: 'look for Azure instance metadata' }, signal);
  if (there === undefined || there.status === 404) return undefined;
  return await askIdentity(new URL(text), { metadata: 'true' }, { env, access, resource, source }, signal);
}

async function askIdentity(
  url: URL,
  headers: Readonly<Record<string, string>>,
  around: { readonly env: Environment; readonly access: CloudAccess; readonly resource: string; readonly source: string },
  signal: AbortSignal,
): Promise<Passing<AzureToken> | undefined> {
  const { env, access, resource, source } = around;
  url.searchParams.set('resource', resource);
  if (env['AZURE_CLIENT_ID']) url.searchParams.set('client_id', env['AZURE_CLIENT_ID']);
  const question: Question = { method: 'GET', url, headers, task: 'get an Azure token' };
  const answer = await reach(source, async () => await access.askBeside(question, signal));
  if (answer.status === 200) return tokenOf(answer, source);
  // A machine without an identity is not set up to have one.
  if (answer.status === 400 && /identity not found/i.test(answer.text)) return undefined;
  throw failed(source, refusalOf(url, answer, wordsOf));
}

function tokenOf(answer: CloudAnswer, source: string): Passing<AzureToken> {
  const root = objectOf(answer, 'get an Azure token');
  const token = textAt(root, 'access_token');
  if (token === undefined) throw failed(source, 'it answered without a token');
  return { value: { token, source }, lifeMs: lifeOfSeconds(root.get('expires_in')) };
}

function wordsOf(root: JsonObject): readonly (Json | undefined)[] {
  return [root.get('error'), root.get('error_description')];
}
