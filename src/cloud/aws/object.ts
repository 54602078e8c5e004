// Objects of S3, and of whatever speaks like it.
import { BuilderError } from '../../errors.ts';
import type { CloudAccess, Environment } from '../ask.ts';
import { discard, header, type Response } from '../../registry/response.ts';
import { bareHost, isLoopback } from '../../registry/proxy.ts';
import { isIP } from 'node:net';
import type { StoredObject } from '../object.ts';
import { type AwsCredentials, awsSources } from './credentials.ts';
import { endpointFrom, endpointOf } from './endpoints.ts';
import { encodeStrictly, signed } from './sign.ts';

/** What is read where a context names a bucket alone, as in kaniko. */
const usualObject = 'context.tar.gz';

/**
 * `s3://BUCKET/KEY`. S3_ENDPOINT (or AWS_ENDPOINT_URL_S3) names another server; S3_FORCE_PATH_STYLE puts the bucket into the path.
 * @throws ERR_USAGE for a place or a variable that is malformed
 */
export function s3Object(place: string, env: Environment, access: CloudAccess, credentials: AwsCredentials): StoredObject {
  const { bucket, key } = bucketAndKey(place);
  let region: string | undefined;
  let looked: readonly string[] = [];
  const ask = async (headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> => {
    region ??= (await credentials.region(signal)) ?? 'us-east-1';
    const keys = await credentials.keys(signal);
    looked = keys === undefined ? awsSources : [];
    const url = addressOf(bucket, key, region, env);
    const unsigned = { method: 'GET', url, headers: { 'accept-encoding': 'identity', ...headers }, body: '' };
    const sent = keys === undefined ? unsigned.headers : signed(unsigned, keys, { region, service: 's3', atMs: access.date() });
    return await access.open({ method: 'GET', url, headers: sent, task: `read ${place}` }, signal);
  };
  return {
    name: place,
    request: async (headers, signal) => {
      const response = await ask(headers, signal);
      // The bucket's own region, said with 301 or 400 to who asks in another one.
      const other = header(response, 'x-amz-bucket-region');
      if (![301, 307, 400, 403].includes(response.status) || other === undefined || other === region) return response;
      await discard(response);
      region = other;
      return await ask(headers, signal);
    },
    hint: (status) => {
      if (status === 404) return 'check the names of the bucket and the object, and AWS_REGION';
      if (looked.length > 0) return `no AWS credentials were found (looked in: ${looked.join(', ')})`;
      return status === 403 || status === 401
        ? 'check that these credentials allow s3:GetObject there'
        : 'check S3_ENDPOINT and AWS_REGION';
    },
  };
}

/** Bucket and object of `scheme://bucket/object`. @throws ERR_USAGE */
export function bucketAndKey(place: string): { readonly bucket: string; readonly key: string } {
  const [, bucket = '', key = ''] = /^[a-z0-9]+:\/\/([^/]*)\/*(.*)$/is.exec(place) ?? [];
  if (!/^[\w.-]{1,222}$/.test(bucket) || /^\.+$/.test(bucket))
    throw new BuilderError('ERR_USAGE', `Cannot open context ${place}: it names no bucket`, {
      hint: 'write s3://BUCKET/PATH/context.tar.gz',
    });
  if (key.split('/').some((name) => name === '.' || name === '..'))
    throw new BuilderError('ERR_USAGE', `Cannot open context ${place}: an object with . or .. in its path can't be asked for`);
  return { bucket, key: key === '' ? usualObject : key };
}

function addressOf(bucket: string, key: string, region: string, env: Environment): URL {
  const given = endpointFrom(env, 'S3_ENDPOINT');
  const base = given ?? endpointOf('s3', region, env);
  const host = bareHost(base.hostname);
  const isForced = /^(?:1|t|true)$/i.test(env['S3_FORCE_PATH_STYLE'] ?? '');
  // A wildcard certificate ends at the first dot, and an address has no names below it.
  const inPath = isForced || isIP(host) !== 0 || isLoopback(host) || (base.protocol === 'https:' && bucket.includes('.'));
  const path = key.split('/').map(encodeStrictly).join('/');
  const folder = base.pathname.replace(/\/+$/, '');
  if (inPath) return new URL(`${base.origin}${folder}/${bucket}/${path}`);
  return new URL(`${base.protocol}//${bucket}.${base.host}${folder}/${path}`);
}
