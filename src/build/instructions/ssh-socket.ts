// An agent's socket inside the root: whoever connects speaks to the agent of the person who builds.
import { chmod, rename } from 'node:fs/promises';
import { type Socket, createConnection, createServer } from 'node:net';
import { once } from 'node:events';
import { type ByteString, fsPath, textFromBytes } from '../../bytes.ts';

export interface AgentSocket {
  /** Refuses new connections and ends the present ones. */
  readonly close: () => void;
}

/** Listens at `path` and passes everything to the agent at `agentPath`. @throws SystemError where a socket can't be made */
export async function openAgentSocket(path: ByteString, agentPath: string): Promise<AgentSocket> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const agent = createConnection(agentPath);
    for (const [one, other] of [
      [client, agent],
      [agent, client],
    ] as const) {
      open.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        open.delete(one);
        other.end();
      });
      one.pipe(other);
    }
  });
  // Closing a server removes the name it was given, whatever stands there by then. So it gets one that is nobody's.
  const first = `${textFromBytes(path)}.new`;
  server.listen(first);
  await once(server, 'listening');
  const close = (): void => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  try {
    await chmod(first, 0o600);
    await rename(first, fsPath(path));
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}
