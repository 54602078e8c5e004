// Blobs of Azure Storage: with a signed URL as it is, with the account's key, or with a token of Entra ID.
// https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
import { createHmac } from 'node:crypto';
import { BuilderError } from '../../errors.ts';
import { type CloudAccess, type Environment, isSafeForSecrets } from '../ask.ts';
import { endpointFrom } from '../aws/endpoints.ts';
import type { StoredObject } from '../object.ts';
import { type AzureCredentials, azureSources } from './credentials.ts';

const hostPattern =
  /^(?<account>[a-z0-9]{3,24})(?:-secondary)?(?:\.z\d+)?\.blob\.(?:core\.windows\.net|core\.usgovcloudapi\.net|core\.chinacloudapi\.cn|core\.cloudapi\.de|storage\.azure\.net)$/;
const apiVersion = '2021-08-06';

const authorities: readonly (readonly [domain: string, authority: string])[] = [
  ['.usgovcloudapi.net', 'https://login.microsoftonline.us'],
  ['.chinacloudapi.cn', 'https://login.chinacloudapi.cn'],
  ['.cloudapi.de', 'https://login.microsoftonline.de'],
];

/** True for an https URL of a blob. */
export function isAzureBlob(place: string): boolean {
  return URL.canParse(place) && /^https:$/.test(new URL(place).protocol) && hostPattern.test(new URL(place).hostname);
}

/**
 * `https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB`. AZURE_STORAGE_SERVICE_ENDPOINT names another server for the account.
 * @throws ERR_USAGE for a place that names no blob
 */
export function azureObject(place: string, env: Environment, access: CloudAccess, credentials: AzureCredentials): StoredObject {
  const named = new URL(place);
  const name = `${named.origin}${named.pathname}`;
  const account = hostPattern.exec(named.hostname)?.groups?.['account'] ?? '';
  if (named.pathname.replace(/^\/+|\/+$/g, '').split('/').length < 2)
    throw new BuilderError('ERR_USAGE', `Cannot open context ${name}: it names no blob`, {
      hint: `write ${named.origin}/CONTAINER/context.tar.gz`,
    });
  const given = endpointFrom(env, 'AZURE_STORAGE_SERVICE_ENDPOINT');
  const url = given === undefined ? named : new URL(`${given.origin}${given.pathname.replace(/\/+$/, '')}${named.pathname}${named.search}`);
  url.hash = '';
  const key = keyOf(env);
  const isSigned = url.searchParams.has('sig');
  let used = isSigned ? 'the signature in its URL' : key === undefined ? undefined : 'AZURE_STORAGE_ACCESS_KEY';
  const proofFor = async (headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Readonly<Record<string, string>>> => {
    if (isSigned) return {};
    if (key !== undefined) return { authorization: `SharedKey ${account}:${signatureOf(url, account, headers, key)}` };
    const authority = authorities.find(([domain]) => named.hostname.endsWith(domain))?.[1] ?? 'https://login.microsoftonline.com';
    const token = isSafeForSecrets(url) ? await credentials.token('https://storage.azure.com', authority, signal) : undefined;
    used = token?.source;
    return token === undefined ? {} : { authorization: `Bearer ${token.token}` };
  };
  return {
    name,
    request: async (own, signal) => {
      const headers = { ...own, 'x-ms-date': new Date(access.date()).toUTCString(), 'x-ms-version': apiVersion };
      const sent = { 'accept-encoding': 'identity', ...headers, ...(await proofFor(headers, signal)) };
      return await access.open({ method: 'GET', url, headers: sent, task: `read ${name}` }, signal);
    },
    hint: (status) => {
      if (used === undefined)
        return `no Azure credentials were found (looked in: the URL, AZURE_STORAGE_ACCESS_KEY, ${azureSources.join(', ')})`;
      return status === 404 ? 'check the names of the container and the blob' : `check what ${used} allows (role Storage Blob Data Reader)`;
    },
  };
}

function keyOf(env: Environment): Buffer | undefined {
  const text = env['AZURE_STORAGE_ACCESS_KEY'] || env['AZURE_STORAGE_KEY'];
  if (!text) return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text.trim()))
    throw new BuilderError('ERR_USAGE', 'Cannot use AZURE_STORAGE_ACCESS_KEY: it is not base64');
  return Buffer.from(text, 'base64');
}

function signatureOf(url: URL, account: string, headers: Readonly<Record<string, string>>, key: Buffer): string {
  const own = Object.entries(headers)
    .filter(([name]) => name.startsWith('x-ms-'))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value}\n`);
  const query = [...url.searchParams].map(([name, value]) => `\n${name.toLowerCase()}:${value}`).toSorted();
  // Twelve lines, most of them for headers that a GET has not; the sixth from the end on: If-Match, If-None-Match,
  // If-Unmodified-Since, Range.
  const lines = ['GET', '', '', '', '', '', '', '', headers['if-match'] ?? '', '', '', headers['range'] ?? ''];
  const text = `${lines.join('\n')}\n${own.join('')}/${account}${url.pathname}${query.join('')}`;
  return createHmac('sha256', key).update(text, 'utf8').digest('base64');
}
