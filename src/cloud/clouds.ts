// All clouds together, as a build meets them: credentials for their registries, and contexts in their stores. Opened before the base
// image is unpacked; nobody is asked before somebody needs it.
import { type CloudAccessOptions, openCloudAccess } from './ask.ts';
import { openAwsCredentials } from './aws/credentials.ts';
import { s3Object } from './aws/object.ts';
import { profileFiles } from './aws/profile.ts';
import { ecr } from './aws/registry.ts';
import { openAzureCredentials } from './azure/credentials.ts';
import { azureObject, isAzureBlob } from './azure/object.ts';
import { acr } from './azure/registry.ts';
import { defaultCredentialsFile, openGoogleCredentials } from './google/credentials.ts';
import { gcsObject } from './google/object.ts';
import { google } from './google/registry.ts';
import { type OpenedObject, openStored } from './object.ts';
import { nativeHelper } from './registry-credentials.ts';
import type { NativeHelper } from '../registry/credentials.ts';

export interface Clouds {
  readonly helpers: readonly NativeHelper[];
  /** Opens `s3://`, `gs://` and blobs of Azure; undefined for any other place. */
  readonly openObject: (place: string, signal: AbortSignal) => Promise<OpenedObject> | undefined;
  readonly close: () => Promise<void>;
}

export interface CloudsOptions extends CloudAccessOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onWarning: (message: string) => void;
}

/** @throws ERR_AUTH for a profile file that is there but unreadable */
export function openClouds(options: CloudsOptions): Clouds {
  const { env, onWarning } = options;
  const access = openCloudAccess(options);
  const { clock } = access.retry;
  const aws = openAwsCredentials(env, access);
  const googles = openGoogleCredentials(env, access);
  const azure = openAzureCredentials(env, access);
  return {
    helpers: [google(googles, clock), ecr(env, access, aws), acr(access, azure)].map((cloud) => nativeHelper(cloud, clock, onWarning)),
    openObject: (place, signal) => {
      const scheme = /^([a-z0-9]+):\/\//i.exec(place)?.[1]?.toLowerCase();
      const object =
        scheme === 's3'
          ? s3Object(place, env, access, aws)
          : scheme === 'gs'
            ? gcsObject(place, env, access, googles)
            : isAzureBlob(place)
              ? azureObject(place, env, access, azure)
              : undefined;
      return object === undefined ? undefined : openStored(object, access.retry, signal);
    },
    close: async () => {
      for (const credentials of [aws, googles, azure]) credentials.close();
      await access.close();
    },
  };
}

/** Files with keys that last, which no RUN should read. */
export function cloudKeyFiles(env: CloudsOptions['env']): readonly string[] {
  const { credentials, config } = profileFiles(env);
  const files = [
    credentials,
    config,
    env['GOOGLE_APPLICATION_CREDENTIALS'] || defaultCredentialsFile(env),
    env['AZURE_CLIENT_CERTIFICATE_PATH'],
  ];
  return files.flatMap((path) => (path === undefined || path === '' ? [] : [path]));
}
