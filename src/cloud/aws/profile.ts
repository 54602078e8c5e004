// ~/.aws/credentials and ~/.aws/config: the profiles in them.
// https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
import { join } from 'node:path';
import { namedPlace, textIfThere } from '../held-file.ts';
import type { Environment } from '../ask.ts';

/** A profile's settings, lower-case names. */
export type Profile = ReadonlyMap<string, string>;

export interface Profiles {
  readonly find: (name: string) => Profile | undefined;
  /** The one that AWS_PROFILE names, else `default`. */
  readonly chosen: string;
  /** AWS_PROFILE names it: then it goes before keys in the environment. */
  readonly isChosenByName: boolean;
}

/** Where the two files are. */
export function profileFiles(env: Environment): { readonly credentials: string | undefined; readonly config: string | undefined } {
  const home = env['HOME'];
  const below = (name: string): string | undefined => (home === undefined || home === '' ? undefined : join(home, '.aws', name));
  return {
    credentials: env['AWS_SHARED_CREDENTIALS_FILE'] || below('credentials'),
    config: env['AWS_CONFIG_FILE'] || below('config'),
  };
}

/** Reads both files; the one with credentials wins. @throws ERR_AUTH for one that is there but unreadable */
export function readProfiles(env: Environment): Profiles {
  const files = profileFiles(env);
  const all = new Map<string, Map<string, string>>();
  for (const path of [files.config, files.credentials]) {
    const text = path === undefined ? undefined : textIfThere(path, 'AWS profiles');
    for (const [name, settings] of parseProfiles(text ?? '')) {
      const known = all.getOrInsertComputed(name, () => new Map<string, string>());
      for (const [key, value] of settings) known.set(key, key === 'web_identity_token_file' ? namedPlace(value, env) : value);
    }
  }
  const named = env['AWS_PROFILE'] || env['AWS_DEFAULT_PROFILE'];
  return { find: (name) => all.get(name), chosen: named || 'default', isChosenByName: named !== undefined && named !== '' };
}

/** Profiles by name: `[name]` or `[profile name]`; nested settings (indented lines) are passed over. */
export function parseProfiles(text: string): ReadonlyMap<string, Profile> {
  const profiles = new Map<string, Map<string, string>>();
  let current: Map<string, string> | undefined;
  let isNested = false;
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(?:[#;]|$)/.test(line)) continue;
    const title = /^\s*\[\s*(?:profile\s+)?"?([^\]"]+?)"?\s*\]/.exec(line)?.[1];
    if (title !== undefined) {
      // sso-session and services are sections of other kinds.
      current = /^(?:sso-session|services)\s/.test(title) ? undefined : (profiles.get(title) ?? new Map<string, string>());
      if (current !== undefined) profiles.set(title, current);
      continue;
    }
    const [, indent = '', key, value] = /^(\s*)([^\s=][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    if (indent === '') isNested = value === '';
    if (indent === '' || !isNested) current?.set(key.toLowerCase(), value.replace(/\s+[#;].*$/, ''));
  }
  return profiles;
}
