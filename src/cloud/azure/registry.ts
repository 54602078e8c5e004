// Azure's registries: a token of Entra ID is exchanged for a refresh token of the registry, at the registry itself.
// https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
import type { BuilderError } from '../../errors.ts';
import type { Credential } from '../../registry/docker-config.ts';
import { type Json, type JsonObject, parseJson } from '../../oci/json.ts';
import { type CloudAccess, objectOf, textAt } from '../ask.ts';
import { credentialError, orFail, refusalOf } from '../failure.ts';
import type { Passing } from '../renewed.ts';
import type { CloudRegistry } from '../registry-credentials.ts';
import { type AzureCredentials, azureSources } from './credentials.ts';

const hostPattern = /^[a-z0-9-]+(?:\.[a-z0-9-]+)?\.azurecr\.(?<domain>io|us|cn|de)$/;
const resource = 'https://containerregistry.azure.net';
/** What stands for the user where the token says who it is. */
const tokenUser = '00000000-0000-0000-0000-000000000000';

const authorities: Readonly<Record<string, string>> = {
  us: 'https://login.microsoftonline.us',
  cn: 'https://login.chinacloudapi.cn',
  de: 'https://login.microsoftonline.de',
};

/** `NAME.azurecr.io`, and the same of the national clouds. */
export function acr(access: CloudAccess, credentials: AzureCredentials): CloudRegistry {
  return {
    name: 'acr',
    programs: ['acr-env'],
    sources: azureSources,
    knows: (host) => hostPattern.test(host),
    isPublic: () => false,
    group: (_host, registry) => registry,
    obtain: async (host, signal, registry) => await obtain(access, credentials, { host, registry }, signal),
    forget: credentials.forget,
  };
}

async function obtain(
  access: CloudAccess,
  credentials: AzureCredentials,
  { host, registry }: { readonly host: string; readonly registry: string },
  signal: AbortSignal,
): Promise<Passing<Credential> | undefined> {
  const authority = authorities[hostPattern.exec(host)?.groups?.['domain'] ?? ''] ?? 'https://login.microsoftonline.com';
  const token = await credentials.token(resource, authority, signal);
  if (token === undefined) return undefined;
  const url = new URL(`https://${registry}/oauth2/exchange`);
  const body = new URLSearchParams({ grant_type: 'access_token', service: registry, access_token: token.token }).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const task = `get credentials for ${registry}`;
  const fail = (why: string, cause?: unknown): BuilderError =>
    credentialError(
      `Cannot ${task} with ${token.source}: ${why}`,
      'check that this identity has a role like AcrPull or AcrPush there; --credential-helpers without acr asks for none',
      cause,
    );
  const answer = await orFail(async () => await access.ask({ method: 'POST', url, headers, body, task }, signal), fail);
  if (answer.status !== 200) {
    const words = (root: JsonObject): readonly (Json | undefined)[] => {
      const errors = root.get('errors');
      const first = Array.isArray(errors) ? errors[0] : undefined;
      return [textAt(first, 'code'), textAt(first, 'message')];
    };
    throw fail(refusalOf(url, answer, words));
  }
  const refresh = textAt(objectOf(answer, task), 'refresh_token');
  if (refresh === undefined) throw fail(`${url.host} answered without a refresh_token`);
  return { value: { kind: 'identity', user: tokenUser, token: refresh }, lifeMs: lifeOf(refresh) };
}

/** Refresh tokens say themselves how long they are good (three hours); an hour for one that doesn't. */
function lifeOf(token: string): number {
  try {
    const claims = parseJson(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const [issued, expires] = claims instanceof Map ? [claims.get('iat') ?? claims.get('nbf'), claims.get('exp')] : [];
    if (typeof issued === 'number' && typeof expires === 'number') return Math.max((expires - issued) * 1000, 60_000);
  } catch {
    // some other kind of token
  }
  return 3_600_000;
}
