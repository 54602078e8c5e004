// Objects of Google Cloud Storage, by its JSON API. https://cloud.google.com/storage/docs/json_api/v1/objects/get
import { bucketAndKey } from '../aws/object.ts';
import { encodeStrictly } from '../aws/sign.ts';
import { type CloudAccess, type Environment, isSafeForSecrets } from '../ask.ts';
import { endpointFrom } from '../aws/endpoints.ts';
import type { StoredObject } from '../object.ts';
import { type GoogleCredentials, googleSources } from './credentials.ts';

/** `gs://BUCKET/OBJECT`. STORAGE_EMULATOR_HOST names another server. @throws ERR_USAGE for a place that is malformed */
export function gcsObject(place: string, env: Environment, access: CloudAccess, credentials: GoogleCredentials): StoredObject {
  const { bucket, key } = bucketAndKey(place);
  const host = env['STORAGE_EMULATOR_HOST'];
  const emulator = host && !/^https?:\/\//.test(host) ? { STORAGE_EMULATOR_HOST: `http://${host}` } : env;
  const base = endpointFrom(emulator, 'STORAGE_EMULATOR_HOST') ?? new URL('https://storage.googleapis.com');
  const url = new URL(`${base.origin}/storage/v1/b/${encodeStrictly(bucket)}/o/${encodeStrictly(key)}?alt=media`);
  let source: string | undefined;
  return {
    name: place,
    request: async (headers, signal) => {
      // A token never goes in the open to a server that an emulator's variable names.
      const found = isSafeForSecrets(url) ? (await credentials.token(signal)).value : undefined;
      source = found?.source;
      const authorization = found === undefined ? {} : { authorization: `Bearer ${found.token}` };
      const sent = { 'accept-encoding': 'gzip', ...authorization, ...headers };
      return await access.open({ method: 'GET', url, headers: sent, task: `read ${place}` }, signal);
    },
    hint: (status) => {
      if (source === undefined) return `no Google credentials were found (looked in: ${googleSources.join(', ')})`;
      if (status === 404) return 'check the names of the bucket and the object';
      return `check that the account of ${source} may read objects there (roles/storage.objectViewer)`;
    },
  };
}
