// Google's application default credentials: the file that GOOGLE_APPLICATION_CREDENTIALS names, gcloud's own, the metadata server
// (GCE, GKE's workload identity, Cloud Build). https://cloud.google.com/docs/authentication/application-default-credentials
import { join } from 'node:path';
import { BuilderError } from '../../errors.ts';
import { parseJson } from '../../oci/json.ts';
import { type CloudAccess, type Environment, objectOf, readable, textAt } from '../ask.ts';
import { textIfThere } from '../held-file.ts';
import { type Passing, Renewed, lifeOfSeconds } from '../renewed.ts';
import { type GoogleKeyFile, openKeyFile } from './key-file.ts';
import { failuresOf } from '../failure.ts';

interface SourcedToken {
  readonly token: string;
  readonly source: string;
}

export interface GoogleCredentials {
  /** An access token, undefined where no source has one. @throws ERR_AUTH naming the source that is set up and fails */
  readonly token: (signal: AbortSignal) => Promise<{ readonly value: SourcedToken | undefined; readonly renewAtMs: number }>;
  readonly forget: () => void;
  readonly close: () => void;
}

const { failed, reach } = failuresOf('Google');

/** For "looked in". */
export const googleSources = ['GOOGLE_APPLICATION_CREDENTIALS', "gcloud's application default credentials", 'GCE metadata server'] as const;

/** gcloud's file of application default credentials. */
export function defaultCredentialsFile(env: Environment): string | undefined {
  const folder = env['CLOUDSDK_CONFIG'] || (env['HOME'] ? join(env['HOME'], '.config', 'gcloud') : undefined);
  return folder === undefined ? undefined : join(folder, 'application_default_credentials.json');
}

/** Reads the files now. What is wrong with them is told when somebody needs them. */
export function openGoogleCredentials(env: Environment, access: CloudAccess): GoogleCredentials {
  const file = findFile(env, access);
  const renewed = new Renewed<SourcedToken>(access.retry.clock, async (signal) =>
    file === undefined ? await ofMachine(env, access, signal) : await file.obtain(signal),
  );
  return { token: async (signal) => await renewed.get(signal), forget: () => renewed.forget(), close: () => file?.close() };
}

interface TokenFile {
  readonly obtain: (signal: AbortSignal) => Promise<Passing<SourcedToken>>;
  readonly close: () => void;
}

function findFile(env: Environment, access: CloudAccess): TokenFile | undefined {
  const named = env['GOOGLE_APPLICATION_CREDENTIALS'];
  const isNamed = named !== undefined && named !== '';
  const path = isNamed ? named : defaultCredentialsFile(env);
  const source = isNamed ? 'GOOGLE_APPLICATION_CREDENTIALS' : (path ?? '');
  if (path === undefined) return undefined;
  let opened: GoogleKeyFile;
  try {
    const text = textIfThere(path, 'Google credentials');
    if (text === undefined && !isNamed) return undefined;
    if (text === undefined) throw failed(source, `${path} does not exist`, 'mount the file into the container, or unset the variable');
    opened = openKeyFile(jsonOf(text, source, path), source, access, env);
  } catch (error) {
    const broken = async (): Promise<never> => await Promise.reject(error instanceof Error ? error : new Error(String(error)));
    return { obtain: broken, close: () => undefined };
  }
  const { obtain, close } = opened;
  return {
    obtain: async (signal) => {
      const { value, ...life } = await obtain(signal);
      return { value: { token: value, source }, ...life };
    },
    close,
  };
}

function jsonOf(text: string, source: string, path: string) {
  try {
    const root = parseJson(text);
    if (root instanceof Map) return root;
  } catch {
    // its words would quote the file
  }
  throw failed(source, `${path} is not a JSON object`);
}

async function ofMachine(env: Environment, access: CloudAccess, signal: AbortSignal): Promise<Passing<SourcedToken> | undefined> {
  const source = 'GCE metadata server';
  const host = env['GCE_METADATA_HOST'] || '169.254.169.254';
  const task = 'get a token from the GCE metadata server';
  if (!URL.canParse(`http://${host}/`)) throw new BuilderError('ERR_USAGE', 'Cannot use GCE_METADATA_HOST: expected HOST or HOST:PORT');
  const folder = `http://${host}/computeMetadata/v1/instance/service-accounts/default/`;
  const headers = { 'metadata-flavor': 'Google' };
  // Other clouds have another server at this address; only Google's says this.
  const there = await access.probe({ method: 'GET', url: new URL(`http://${host}/`), headers, task }, signal);
  if (there?.header('metadata-flavor') !== 'Google') return undefined;
  const answer = await reach(
    source,
    async () => await access.askBeside({ method: 'GET', url: new URL(`${folder}token`), headers, task }, signal),
  );
  if (answer.status === 404) return undefined; // a machine without a service account
  if (answer.status !== 200) throw failed(source, `it answered ${answer.status} ${readable(answer.text)}`);
  const root = objectOf(answer, task);
  const token = textAt(root, 'access_token');
  if (token === undefined) throw failed(source, 'it answered without a token');
  return { value: { token, source }, lifeMs: lifeOfSeconds(root.get('expires_in')) };
}
