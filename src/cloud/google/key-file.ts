// The kinds of files that hold Google credentials, and how each becomes an access token.
// https://google.aip.dev/auth/4110 and /4117 (external accounts)
import { given } from '../../given.ts';
import { type Json, type JsonObject, parseJson } from '../../oci/json.ts';
import { type CloudAccess, type CloudAnswer, type Environment, isLinkLocal, isSafeForSecrets, objectOf, textAt } from '../ask.ts';
import { holdFile, namedPlace } from '../held-file.ts';
import { type Passing, lifeOfSeconds, lifeUntil } from '../renewed.ts';
import { failuresOf, refusalOf } from '../failure.ts';
import { signedToken } from '../signed-token.ts';

export interface GoogleKeyFile {
  readonly obtain: (signal: AbortSignal) => Promise<Passing<string>>;
  readonly close: () => void;
}

interface Opened {
  readonly env: Environment;
  readonly root: JsonObject;
  readonly source: string;
  readonly access: CloudAccess;
}

const { failed, reach } = failuresOf('Google');
const scope = 'https://www.googleapis.com/auth/cloud-platform';
const usualTokenUrl = 'https://oauth2.googleapis.com/token';

/** @throws ERR_AUTH for a kind that is not supported, or a file that lacks something */
export function openKeyFile(root: JsonObject, source: string, access: CloudAccess, env: Environment): GoogleKeyFile {
  const opened: Opened = { root, source, access, env };
  const type = textAt(root, 'type');
  const close = (): void => undefined;
  switch (type) {
    case 'service_account':
      return { obtain: async (signal) => await byKey(opened, signal), close };
    case 'authorized_user':
      return { obtain: async (signal) => await byRefreshToken(opened, signal), close };
    case 'impersonated_service_account': {
      const inner = root.get('source_credentials');
      if (!(inner instanceof Map)) throw failed(source, 'it has no source_credentials');
      const first = openKeyFile(inner, source, access, env);
      return { obtain: async (signal) => await impersonate(opened, (await first.obtain(signal)).value, signal), close: first.close };
    }
    case 'external_account':
      return openExternal(opened);
    default:
      throw failed(
        source,
        `credentials of type ${JSON.stringify(type ?? '')} are not supported here`,
        'supported are service_account, authorized_user, external_account and impersonated_service_account',
      );
  }
}

/** The file that an external account takes its token from, also one that another account is to be reached by. */
export function externalTokenFile(root: JsonObject): string | undefined {
  const inner = root.get('source_credentials');
  return inner instanceof Map ? externalTokenFile(inner) : textAt(root.get('credential_source'), 'file');
}

/** RFC 7523: an assertion that the service account's key signs. */
async function byKey(opened: Opened, signal: AbortSignal): Promise<Passing<string>> {
  const { root, source, access } = opened;
  const url = urlAt(opened, 'token_uri', usualTokenUrl);
  const seconds = Math.floor(access.date() / 1000);
  const claims = { iss: needed(opened, 'client_email'), scope, aud: url.href, iat: seconds, exp: seconds + 3600 };
  const key = needed(opened, 'private_key');
  let assertion: string;
  try {
    assertion = signedToken(given({ kid: textAt(root, 'private_key_id') }), claims, key);
  } catch (error) {
    throw failed(source, 'its private_key is not a key', undefined, error);
  }
  const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion };
  return await askForToken(opened, url, form, signal);
}

async function byRefreshToken(opened: Opened, signal: AbortSignal): Promise<Passing<string>> {
  const form = {
    grant_type: 'refresh_token',
    client_id: needed(opened, 'client_id'),
    client_secret: needed(opened, 'client_secret'),
    refresh_token: needed(opened, 'refresh_token'),
  };
  return await askForToken(opened, urlAt(opened, 'token_uri', usualTokenUrl), form, signal);
}

function openExternal(opened: Opened): GoogleKeyFile {
  const { root, source, env } = opened;
  const from = root.get('credential_source');
  if (!(from instanceof Map)) throw failed(source, 'it has no credential_source');
  const foreign = ['executable', 'environment_id', 'certificate'].find((key) => from.has(key));
  if (foreign !== undefined)
    throw failed(source, `a credential_source with ${foreign} is not supported here`, 'a credential_source of a file or a url is');
  const path = textAt(from, 'file');
  const file = path === undefined ? undefined : holdFile(namedPlace(path, env), `the credential_source of ${source}`);
  return {
    obtain: async (signal) => {
      const text = file === undefined ? await subjectFromUrl(opened, from, signal) : file.read();
      const form = {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        audience: needed(opened, 'audience'),
        scope,
        requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        subject_token: subjectIn(opened, from, text),
        subject_token_type: needed(opened, 'subject_token_type'),
      };
      const token = await askForToken(opened, urlAt(opened, 'token_url', 'https://sts.googleapis.com/v1/token'), form, signal);
      return root.has('service_account_impersonation_url') ? await impersonate(opened, token.value, signal) : token;
    },
    close: () => file?.close(),
  };
}

async function subjectFromUrl(opened: Opened, from: JsonObject, signal: AbortSignal): Promise<string> {
  const { source, access } = opened;
  const text = textAt(from, 'url') ?? '';
  if (!URL.canParse(text)) throw failed(source, 'its credential_source names neither a file nor a url');
  const url = new URL(text);
  // What it answers is as good as a password, and its headers may hold one.
  if (!isLinkLocal(url) && !isSafeForSecrets(url)) throw failed(source, `its credential_source ${url.host} is not an https address`);
  const named = from.get('headers');
  const headers = Object.fromEntries(
    named instanceof Map ? [...named].flatMap(([name, value]) => (typeof value === 'string' ? [[name.toLowerCase(), value]] : [])) : [],
  );
  const ask = isLinkLocal(url) ? access.askBeside : access.ask;
  const answer = await reach(source, async () => await ask({ method: 'GET', url, headers, task: 'get a subject token' }, signal));
  if (answer.status !== 200) throw failed(source, `${url.host} answered ${answer.status}`);
  return answer.text;
}

function subjectIn({ source }: Opened, from: JsonObject, text: string): string {
  const format = from.get('format');
  if (textAt(format, 'type') !== 'json') return text.trim();
  const field = textAt(format, 'subject_token_field_name') ?? '';
  try {
    const token = textAt(parseJson(text), field);
    if (token !== undefined) return token;
  } catch {
    // told below, without the text
  }
  throw failed(source, `its subject token is no JSON with a member ${JSON.stringify(field)}`);
}

/** https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken */
async function impersonate(opened: Opened, token: string, signal: AbortSignal): Promise<Passing<string>> {
  const { access } = opened;
  const url = urlAt(opened, 'service_account_impersonation_url', '');
  const answer = await post(
    opened,
    url,
    { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    JSON.stringify({ scope: [scope], lifetime: '3600s' }),
    signal,
  );
  const root = objectOf(answer, 'impersonate a service account');
  const value = textAt(root, 'accessToken');
  if (value === undefined) throw failed(opened.source, `${url.host} answered without a token`);
  return { value, lifeMs: lifeUntil(Date.parse(textAt(root, 'expireTime') ?? ''), answer.header('date'), access.date()) };
}

async function askForToken(
  opened: Opened,
  url: URL,
  form: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Passing<string>> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const root = objectOf(await post(opened, url, headers, new URLSearchParams(form).toString(), signal), 'get a Google access token');
  const value = textAt(root, 'access_token');
  if (value === undefined) throw failed(opened.source, `${url.host} answered without a token`);
  return { value, lifeMs: lifeOfSeconds(root.get('expires_in')) };
}

async function post(
  { source, access }: Opened,
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<CloudAnswer> {
  const task = 'get a Google access token';
  const answer = await reach(source, async () => await access.ask({ method: 'POST', url, headers, body, task }, signal));
  if (answer.status === 200) return answer;
  throw failed(source, refusalOf(url, answer, wordsOf), 'check that the account and its key still exist');
}

/** OAuth's `error` and `error_description`, or Google's `error.message`. */
function wordsOf(root: JsonObject): readonly (Json | undefined)[] {
  const error = root.get('error');
  return error instanceof Map ? [error.get('message')] : [error, root.get('error_description')];
}

function urlAt({ root, source }: Opened, key: string, usual: string): URL {
  const text = textAt(root, key) ?? usual;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !isSafeForSecrets(url)) throw failed(source, `its ${key} is not an https address`);
  return url;
}

function needed({ root, source }: Opened, key: string): string {
  const text = textAt(root, key);
  if (text === undefined) throw failed(source, `it has no ${key}`);
  return text;
}
