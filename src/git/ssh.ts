// git-upload-pack behind an ssh server. The only file that knows ssh2, and only as much of it as is used.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import type { LookupFunction } from 'node:net';
import { BuilderError } from '../errors.ts';
import { type KnownKey, knownKeys } from './known-hosts.ts';
import { type UploadPack, converse } from './protocol.ts';
import { type GitRemote, describeRemote } from './remote.ts';
import { connectTo } from './socket.ts';

/** With what we show who we are, and how we know who they are. */
export interface SshAccess {
  readonly agentSocket: string | undefined;
  /** Private keys, PEM or OpenSSH's own form, without passphrase. */
  readonly keys: readonly Buffer[];
  /** Text of known_hosts files. */
  readonly knownHosts: string;
}

/** Opens repositories over ssh. */
export type OpenSsh = (remote: GitRemote, access: SshAccess, lookup: LookupFunction, signal: AbortSignal) => Promise<UploadPack>;

interface Channel extends AsyncIterable<unknown> {
  readonly stderr: { on: (event: 'data', listener: (bytes: Buffer) => void) => unknown };
  readonly write: (bytes: Buffer) => unknown;
  /** The exit code: null where a signal ended the command, undefined where the connection ended first. */
  readonly on: (event: 'close', listener: (code: number | null | undefined) => void) => unknown;
}

interface Client {
  readonly on: (event: 'ready' | 'close' | 'error', listener: (error?: unknown) => void) => Client;
  readonly connect: (options: object) => unknown;
  readonly exec: (command: string, options: object, done: (error: unknown, channel: Channel) => void) => unknown;
  readonly end: () => unknown;
  readonly destroy: () => unknown;
}

const readyTimeoutMs = 60_000;
const stderrLimitBytes = 2000;

/**
 * Loads the ssh library: 75 ms that only builds with keys are to pay, so it isn't an import. Call it before the first stage;
 * afterwards no file of ours is read again.
 */
export function loadSsh(): OpenSsh {
  const library: { readonly Client: new () => Client } = createRequire(import.meta.url)('ssh2');
  return async (remote, access, lookup, signal) => await open(new library.Client(), remote, access, lookup, signal);
}

async function open(
  client: Client,
  remote: GitRemote,
  access: SshAccess,
  lookup: LookupFunction,
  signal: AbortSignal,
): Promise<UploadPack> {
  const name = describeRemote(remote);
  await logIn(client, remote, access, lookup, signal);
  const { promise, resolve, reject } = Promise.withResolvers<Channel>();
  // Servers that let only git in read this like a shell would: one quoted word.
  const path = remote.path.replace(/['!]/g, String.raw`'\$&'`);
  client.exec(`git-upload-pack '${path}'`, { env: { GIT_PROTOCOL: 'version=2' } }, (error, channel) =>
    error instanceof Error ? reject(error) : resolve(channel),
  );
  let channel: Channel;
  try {
    channel = await promise;
  } catch (error) {
    client.destroy();
    throw new BuilderError('ERR_CONTEXT', `Cannot read ${name}: the server runs no commands`, { cause: error });
  }
  const close = (): void => {
    client.end();
    client.destroy();
  };
  return converse(name, bytesOf(channel, name), { write: (bytes) => channel.write(bytes), close });
}

async function logIn(client: Client, remote: GitRemote, access: SshAccess, lookup: LookupFunction, signal: AbortSignal): Promise<void> {
  const name = describeRemote(remote);
  const username = remote.user ?? 'git';
  const methods = [
    ...access.keys.map((key) => ({ type: 'publickey', username, key })),
    ...(access.agentSocket === undefined ? [] : [{ type: 'agent', username, agent: access.agentSocket }]),
  ];
  if (methods.length === 0) {
    throw new BuilderError('ERR_AUTH', `Cannot read ${name}: there is no key to log in with`, {
      hint: '--ssh default gives the keys of an agent, --ssh default=FILE a private key',
    });
  }
  const known = knownKeys(access.knownHosts, remote.host, remote.port ?? 22);
  const wished = signaturesFor(known);
  const socket = await connectTo(remote, 22, lookup, signal);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let refusal: BuilderError | undefined;
  client.on('ready', () => resolve());
  client.on('error', (error) => reject(refusal ?? loginError(name, error, wished)));
  client.on('close', () => reject(refusal ?? loginError(name, undefined)));
  try {
    client.connect({
      sock: socket,
      username,
      authHandler: methods,
      readyTimeout: readyTimeoutMs,
      ...(wished.length === 0 ? {} : { algorithms: { serverHostKey: wished } }),
      hostVerifier: (key: Buffer) => {
        refusal = judge(key, known, remote);
        return refusal === undefined;
      },
    });
    await promise;
  } catch (error) {
    client.destroy();
    socket.destroy();
    signal.throwIfAborted();
    throw error instanceof BuilderError ? error : loginError(name, error);
  }
}

/** Undefined for a key that is known. */
function judge(key: Buffer, known: readonly KnownKey[], remote: GitRemote): BuilderError | undefined {
  const same = known.filter((one) => one.key.equals(key));
  if (same.length > 0 && same.every((one) => !one.isRevoked)) return undefined;
  const name = describeRemote(remote);
  const type = key.toString('latin1', 4, 4 + key.readUInt32BE(0));
  const print = `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
  if (same.length > 0) return new BuilderError('ERR_AUTH', `Cannot read ${name}: the server's key ${print} is revoked`);
  if (known.some((one) => !one.isRevoked))
    return new BuilderError('ERR_AUTH', `Cannot read ${name}: the server's key is not the one that is known (${type} ${print})`);
  const host = remote.port === undefined || remote.port === 22 ? remote.host : `[${remote.host}]:${remote.port}`;
  return new BuilderError('ERR_AUTH', `Cannot read ${name}: the server's key is not known (${type} ${print})`, {
    hint: `if it is the right one, put "${host} ${type} ${key.toString('base64')}" into a file and give --secret id=GIT_KNOWN_HOSTS,src=FILE`,
  });
}

/** Kinds of keys that ssh2 knows: it refuses a wish for any other, which a known_hosts may have. */
const spoken: ReadonlySet<string> = new Set([
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
  'ssh-dss',
]);

// The server shows only one of its keys: it has to be one of a kind that we know. Without any it may be each, to be named.
function signaturesFor(known: readonly KnownKey[]): readonly string[] {
  const types = new Set(known.filter((one) => !one.isRevoked).map((one) => one.type));
  return [...types].filter((type) => spoken.has(type)).flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type]));
}

function loginError(name: string, error: unknown, wished: readonly string[] = []): BuilderError {
  const text = error instanceof Error ? error.message : 'the server hung up';
  const isRefused = /authentication methods failed/i.test(text);
  const state = isRefused ? 'the server accepts none of the keys' : /passphrase|Encrypted/i.test(text) ? 'a key has a passphrase' : text;
  if (/no matching host key/i.test(text)) {
    const message = `Cannot read ${name}: the server has no key of a kind that is known of it (${wished.join(', ')})`;
    return new BuilderError('ERR_AUTH', message, { cause: error, hint: 'ssh-keyscan shows its keys, for known_hosts' });
  }
  return new BuilderError('ERR_AUTH', `Cannot read ${name}: ${state}`, { cause: error });
}

async function* bytesOf(channel: Channel, name: string): AsyncGenerator<Buffer> {
  let said = '';
  channel.stderr.on('data', (bytes) => {
    if (said.length < stderrLimitBytes) said += bytes.toString('utf8');
  });
  const { promise: exit, resolve } = Promise.withResolvers<number | null | undefined>();
  channel.on('close', resolve);
  for await (const chunk of channel) if (Buffer.isBuffer(chunk)) yield chunk;
  // Output ends before the exit code and the last words are told. RFC 4254, section 5.3.
  const code = await exit;
  if (code === 0 || code === undefined) return;
  const words = said
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, 300);
  throw new BuilderError('ERR_CONTEXT', `Cannot read ${name}: the server says "${words === '' ? `exit status ${code}` : words}"`);
}
