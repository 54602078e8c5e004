// Files with credentials, and what this machine says of registries, for a build in a sandbox: the variables that lead to them there.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { configPaths, filesVariable } from '../../registry/credentials.ts';
import { hostFolder, sandboxPath } from '../../sandbox/plan.ts';
import {
  attachmentFiles,
  attachmentsVariable,
  policyFile,
  policyKeyFiles,
  policyVariable,
  registriesFiles,
  registriesVariable,
} from '../../surroundings/containers-conf.ts';
import { namedKeyFiles } from '../../surroundings/named-key-files.ts';
import type { Environment } from '../settings.ts';

/** Each variable that names a file, and where that is by default, below HOME. */
const files: Readonly<Record<string, string | undefined>> = {
  AWS_SHARED_CREDENTIALS_FILE: '.aws/credentials',
  AWS_CONFIG_FILE: '.aws/config',
  AWS_WEB_IDENTITY_TOKEN_FILE: undefined,
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: undefined,
  AZURE_FEDERATED_TOKEN_FILE: undefined,
  AZURE_CLIENT_CERTIFICATE_PATH: undefined,
  GOOGLE_APPLICATION_CREDENTIALS: undefined,
};

/** Shows copies of the files that are there, and gives the variables as they are to be inside. */
export function showCredentials(env: Environment, show: (path: string, mode: 'copy') => string): Readonly<Record<string, string>> {
  const home = env['HOME'] || homedir();
  const shown: Record<string, string> = {};
  for (const [name, usual] of Object.entries(files)) {
    const path = env[name] || (usual === undefined ? undefined : join(home, usual));
    if (path !== undefined && existsSync(path)) shown[name] = show(path, 'copy');
  }
  const ofGcloud = join(env['CLOUDSDK_CONFIG'] || join(home, '.config/gcloud'), 'application_default_credentials.json');
  if (existsSync(ofGcloud)) shown['CLOUDSDK_CONFIG'] = dirname(show(ofGcloud, 'copy'));
  const policy = policyFile(env);
  const ofPolicy = policy === undefined ? [] : policyKeyFiles(policy).map((path) => resolve(path));
  const named = [...namedKeyFiles({ ...env, HOME: home }), ...ofPolicy].filter((path) => existsSync(path));
  for (const path of named) show(path, 'copy');
  if (named.length > 0) shown['YADOKARI_HOST_FILES'] = hostFolder;
  // Also those that are not there: where credentials were looked for is told as people know it.
  const ofRegistries = configPaths({ ...env, HOME: home }, []).map((path) => resolve(path));
  const inside = ofRegistries.map((path) => (existsSync(path) ? show(path, 'copy') : sandboxPath(path)));
  const copyOf = (path: string): string => show(resolve(path), 'copy');
  return {
    ...shown,
    [filesVariable]: inside.join('\n'),
    [registriesVariable]: registriesFiles(env).map(copyOf).join('\n'),
    [policyVariable]: policy === undefined ? '' : copyOf(policy),
    [attachmentsVariable]: attachmentFiles(env).map(copyOf).join('\n'),
  };
}
