// AWS Signature Version 4: a request's headers with the proof that we hold a secret key.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
import { createHash, createHmac } from 'node:crypto';
import { given } from '../../given.ts';

export interface AwsKeys {
  readonly id: string;
  readonly secret: string;
  readonly sessionToken?: string;
}

export interface Unsigned {
  readonly method: string;
  /** Its path is encoded as it is sent: every byte but unreserved ones and slashes. */
  readonly url: URL;
  /** Lower-case names; all of them are signed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Scope {
  readonly region: string;
  readonly service: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

/** The headers with `authorization` and what it needs: x-amz-date, x-amz-security-token, and for S3 x-amz-content-sha256. */
export function signed(request: Unsigned, keys: AwsKeys, { region, service, atMs }: Scope): Readonly<Record<string, string>> {
  const date = `${new Date(atMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
  const payload = sha256(request.body);
  const headers: Readonly<Record<string, string>> = {
    ...request.headers,
    'x-amz-date': date,
    ...(service === 's3' ? { 'x-amz-content-sha256': payload } : {}),
    ...given({ 'x-amz-security-token': keys.sessionToken }),
  };
  const named = Object.entries({ ...headers, host: request.url.host }).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const names = named.map(([name]) => name).join(';');
  const canonical = [
    request.method,
    request.url.pathname,
    canonicalQuery(request.url),
    ...named.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, ' ')}`),
    '',
    names,
    payload,
  ].join('\n');
  const day = date.slice(0, 8);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const key = [day, region, service, 'aws4_request'].reduce((secret: string | Buffer, part) => hmac(secret, part), `AWS4${keys.secret}`);
  const signature = hmac(key, ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n')).toString('hex');
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${keys.id}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  };
}

/** Every byte but unreserved ones, as `%XX`. */
export function encodeStrictly(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function canonicalQuery(url: URL): string {
  return [...url.searchParams]
    .map(([name, value]) => `${encodeStrictly(name)}=${encodeStrictly(value)}`)
    .toSorted()
    .join('&');
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}
