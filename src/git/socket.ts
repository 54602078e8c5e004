// git's own protocol on a TCP connection. gitprotocol-pack(5), "Git Transport".
import { type LookupFunction, type Socket, connect } from 'node:net';
import { BuilderError, systemCode } from '../errors.ts';
import { linePacket } from './packet.ts';
import { type UploadPack, converse } from './protocol.ts';
import { type GitRemote, describeRemote } from './remote.ts';

const silenceMs = 120_000;

/** Opens a repository on a git daemon. @throws ERR_CONTEXT where none answers */
export async function openDaemon(remote: GitRemote, lookup: LookupFunction, signal: AbortSignal): Promise<UploadPack> {
  const name = describeRemote(remote);
  const socket = await connectTo(remote, 9418, lookup, signal);
  const port = remote.port === undefined ? '' : `:${remote.port}`;
  socket.write(linePacket(`git-upload-pack ${remote.path}\0host=${remote.host}${port}\0\0version=2\0`));
  return converse(name, bytesOf(socket, name), { write: (bytes) => socket.write(bytes), close: () => socket.destroy() });
}

/** A connection that ends with `signal`, and with two minutes of silence. @throws ERR_CONTEXT */
export async function connectTo(remote: GitRemote, defaultPort: number, lookup: LookupFunction, signal: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host: remote.host, port: remote.port ?? defaultPort, lookup, signal, autoSelectFamily: true });
  socket.setTimeout(silenceMs, () => socket.destroy(new Error(`nothing was heard for ${silenceMs / 1000} seconds`)));
  socket.once('connect', resolve);
  socket.once('error', reject);
  try {
    await promise;
  } catch (error) {
    signal.throwIfAborted();
    const state = error instanceof Error ? (systemCode(error) ?? error.message) : 'no connection';
    throw new BuilderError('ERR_CONTEXT', `Cannot read ${describeRemote(remote)}: ${state}`, { cause: error });
  }
  return socket;
}

async function* bytesOf(socket: Socket, name: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of socket) {
      const bytes: unknown = chunk;
      if (Buffer.isBuffer(bytes)) yield bytes;
    }
  } catch (error) {
    throw new BuilderError('ERR_CONTEXT', `Cannot read ${name}: ${error instanceof Error ? error.message : 'the connection broke'}`, {
      cause: error,
    });
  }
}
