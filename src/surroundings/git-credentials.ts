// Which credentials a git server gets. RED: nobody else's.
import type { GitRemote } from '../git/remote.ts';
import { basic } from '../registry/authorization.ts';
import { secretLine } from './download-secrets.ts';

export interface GitCredentialSources {
  readonly secrets: ReadonlyMap<string, Buffer>;
  /** GIT_TOKEN, GIT_USERNAME, GIT_PASSWORD: kaniko's, for the context's server; empty for others. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** False for submodules on servers that nobody but a repository named: they get only what is meant for their host. */
  readonly isTop: boolean;
  /** Its user and password are for submodules on the same server, too. */
  readonly top: GitRemote;
}

/** The Authorization header for a repository, undefined where there is none for it. @throws ERR_USAGE for a secret that can't be in one */
export function authorizationFor(remote: GitRemote, { secrets, env, isTop, top }: GitCredentialSources): string | undefined {
  if (remote.password !== undefined) return basic({ user: remote.user ?? '', password: remote.password });
  const host = remote.host.includes(':') ? `[${remote.host}]` : remote.host;
  const suffixes = [...(remote.port === undefined ? [] : [`.${host}:${remote.port}`]), `.${host}`, ...(isTop ? [''] : [])];
  for (const suffix of suffixes) {
    const header = secretLine(secrets, `GIT_AUTH_HEADER${suffix}`);
    if (header !== undefined) return header;
    const token = secretLine(secrets, `GIT_AUTH_TOKEN${suffix}`);
    if (token !== undefined) return basic({ user: 'x-access-token', password: token });
  }
  // A token in the place of the user, as hosts allow.
  if (remote.user !== undefined) return basic({ user: remote.user, password: '' });
  if (isTop && (top.user !== undefined || top.password !== undefined)) return basic({ user: top.user ?? '', password: top.password ?? '' });
  const token = env['GIT_TOKEN'];
  if (token !== undefined && token !== '') return basic({ user: token, password: '' });
  const { GIT_USERNAME: user = '', GIT_PASSWORD: password = '' } = env;
  return user === '' && password === '' ? undefined : basic({ user, password });
}
