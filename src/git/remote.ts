// Where a repository is: the forms that people write, and no other. RED: names come from Dockerfiles and from `.gitmodules`.
import { BuilderError, withoutUser } from '../errors.ts';

/** A repository's place. Only these four protocols exist here: no `file://`, no `ext::`, no local paths. */
export interface GitRemote {
  readonly protocol: 'http' | 'https' | 'ssh' | 'git';
  /** Lower case; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number | undefined;
  /** What the server is asked for; relative to the user's home in the `user@host:path` form. */
  readonly path: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/**
 * Reads `https://host/path`, `ssh://user@host:port/path`, `git://host/path` or `user@host:path`.
 * @throws ERR_CONTEXT for what is none of them, ERR_UNSUPPORTED for other protocols
 */
export function parseRemote(text: string): GitRemote {
  if (/[\p{Cc}\s]/u.test(text)) throw refusal(text, 'it has white space or control characters in it');
  if (/^\w[\w+.-]*::/.test(text)) throw unsupported(text, text.slice(0, text.indexOf(':')));
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text) ?? [];
  if (scheme === undefined) return parseScp(text);
  const protocol = protocols.find((one) => one === scheme.toLowerCase());
  if (protocol === undefined) throw unsupported(text, scheme);
  // Read as a URL of the web, whose parser knows hosts and ports; those of other schemes are opaque to it.
  const plain = `http:${text.slice(scheme.length + 1)}`;
  if (!URL.canParse(plain)) throw refusal(text, 'it is not a valid URL', escapesHint);
  const url = new URL(plain);
  // The password has a slash: what comes before that would be the host, and get the rest of it.
  if (url.password !== '' && url.pathname.includes('@')) throw refusal(text, 'it has a second @', escapesHint);
  const path = protocol === 'ssh' || protocol === 'git' ? decode(text, url.pathname) : url.pathname;
  return checked(text, {
    protocol,
    host: bare(url.hostname),
    port: portOf(plain),
    // ssh://host/~user/repo is below a home, as git has it.
    path: protocol === 'ssh' && path.startsWith('/~') ? path.slice(1) : path,
    user: url.username === '' ? undefined : decode(text, url.username),
    password: url.password === '' ? undefined : decode(text, url.password),
  });
}

/**
 * The repository of a submodule: `./x` and `../x` are relative to the one that it is in.
 * @throws as parseRemote; ERR_UNSAFE_PATH where `..` leads above the server's root
 */
export function resolveRemote(parent: GitRemote, text: string): GitRemote {
  if (!/^\.\.?\//.test(text)) return parseRemote(text);
  if (/[\p{Cc}\s]/u.test(text)) throw refusal(text, 'it has white space or control characters in it');
  const components = parent.path.replace(/\/+$/, '').split('/');
  const rest = text.split('/');
  for (; rest[0] === '.' || rest[0] === '..'; rest.shift()) {
    if (rest[0] === '.') continue;
    const last = components.pop();
    if (last === undefined || last === '')
      throw new BuilderError('ERR_UNSAFE_PATH', `Cannot use submodule ${text}: it leads above the server`);
  }
  if (rest.includes('..')) throw new BuilderError('ERR_UNSAFE_PATH', `Cannot use submodule ${text}: only its beginning may be ..`);
  return checked(text, { ...parent, path: [...components, ...rest].join('/') });
}

/** For messages and for `.git/config`: no password, and a user only where it is no secret. */
export function describeRemote({ protocol, host, port, path, user }: GitRemote): string {
  const name = user !== undefined && protocol === 'ssh' ? `${user}@` : '';
  const at = `${host.includes(':') ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}`;
  return `${protocol}://${name}${at}${path.startsWith('/') ? '' : '/'}${path}`;
}

/** True where both are the same server to an eye that gives out credentials. */
export function isSameServer(one: GitRemote, other: GitRemote): boolean {
  return one.protocol === other.protocol && one.host === other.host && one.port === other.port;
}

const protocols = ['http', 'https', 'ssh', 'git'] as const;

function parseScp(text: string): GitRemote {
  const [, user, host = '', path = ''] = /^(?:([\w.-]+)@)?([\w.-]+|\[[\da-f:.]+\]):([^:].*)$/i.exec(text) ?? [];
  if (host === '') throw refusal(text, 'it is neither a URL nor user@host:path');
  return checked(text, { protocol: 'ssh', host: bare(host).toLowerCase(), port: undefined, path, user, password: undefined });
}

// Nothing is spawned here, so nothing takes these for options; the machine behind an ssh server may.
function checked(text: string, remote: GitRemote): GitRemote {
  if (remote.host === '' || remote.host.startsWith('-')) throw refusal(text, 'it has no host');
  if (remote.path.replace(/\//g, '') === '') throw refusal(text, 'it has no path');
  if (remote.path.startsWith('-') || /\p{Cc}/u.test(remote.path) || remote.user?.startsWith('-') === true)
    throw refusal(text, 'it has what may be taken for an option');
  return remote;
}

function portOf(plain: string): number | undefined {
  const [, authority = ''] = /^http:\/\/([^/?#]*)/.exec(plain) ?? [];
  const [, port] = /:(\d+)$/.exec(authority.slice(authority.lastIndexOf('@') + 1)) ?? [];
  return port === undefined ? undefined : Number(port);
}

function bare(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new BuilderError('ERR_CONTEXT', `Cannot use repository ${redact(text)}: it has a bad escape`, { cause: error });
  }
}

/** A place as it was written, for messages: no user, no password, no query. */
export function redact(text: string): string {
  return withoutUser(text)
    .replace(/\?[^#]*/s, '')
    .replace(/\p{Cc}/gu, '?');
}

const escapesHint = 'a "/", "#", "?" or "@" in a user or a password is written %2F, %23, %3F or %40';

function refusal(text: string, state: string, hint?: string): BuilderError {
  return new BuilderError('ERR_CONTEXT', `Cannot use repository ${redact(text)}: ${state}`, { hint });
}

function unsupported(text: string, scheme: string): BuilderError {
  return new BuilderError('ERR_UNSUPPORTED', `Cannot use repository ${redact(text)}: ${scheme} is no protocol for repositories here`, {
    hint: 'https, http, ssh and git are.',
  });
}
