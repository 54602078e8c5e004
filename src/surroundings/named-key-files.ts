// Files that files with keys name: tokens of AWS profiles and of Google's external accounts.
import { readProfiles } from '../cloud/aws/profile.ts';
import { externalTokenFile } from '../cloud/google/key-file.ts';
import { defaultCredentialsFile } from '../cloud/google/credentials.ts';
import { textIfThere } from '../cloud/held-file.ts';
import { parseJson } from '../oci/json.ts';

/** As they are named. What can't be read is told by who needs it. */
export function namedKeyFiles(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  return [() => tokenOfProfile(env), () => tokenOfGoogle(env)].flatMap((find) => {
    try {
      return find() ?? [];
    } catch {
      return [];
    }
  });
}

function tokenOfProfile(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const profiles = readProfiles(env);
  return profiles.find(profiles.chosen)?.get('web_identity_token_file');
}

function tokenOfGoogle(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const path = env['GOOGLE_APPLICATION_CREDENTIALS'] || defaultCredentialsFile(env);
  const text = path === undefined ? undefined : textIfThere(path, 'Google credentials');
  const root = text === undefined ? undefined : parseJson(text);
  return root instanceof Map ? externalTokenFile(root) : undefined;
}
