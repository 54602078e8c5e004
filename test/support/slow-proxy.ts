// A registry far away: a proxy before a near one that holds every byte for a while, in both directions, and a new connection's
// first ones for the round trip that its set-up takes. It counts the answers that had to be waited for, one after the other.
import { connect, createServer, type Socket } from 'node:net';
import { listen } from './listen.ts';

export interface Traffic {
  readonly connections: number;
  /**
   * Requests and connections of which each began after the answer to the one before had arrived, on whatever connections: the
   * longest such chain.
   */
  readonly inARow: number;
}

export interface SlowProxy {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  /** What was seen since the last time. */
  take(): Traffic;
  stop(): Promise<void>;
}

/** Bytes that may wait at the receiver before the sender is told to. */
const roomBytes = 16 * 1024 * 1024;

/** Starts one before `upstream` (`host:port`); `delayMs` each way. */
export async function startSlowProxy(upstream: string, delayMs: number): Promise<SlowProxy> {
  const sockets = new Set<Socket>();
  let [connections, inARow] = [0, 0];
  const server = createServer({ allowHalfOpen: true }, (near) => {
    connections++;
    const [host, port] = [upstream.slice(0, upstream.lastIndexOf(':')), upstream.slice(upstream.lastIndexOf(':') + 1)];
    const far = connect({ host, port: Number(port), allowHalfOpen: true });
    const setUp = inARow + 1;
    setTimeout(() => {
      inARow = Math.max(inARow, setUp);
      let [isAnswered, place] = [true, 0];
      const onRequest = (): void => {
        if (isAnswered) place = inARow + 1;
        isAnswered = false;
      };
      const onAnswer = (): void => {
        isAnswered = true;
        inARow = Math.max(inARow, place);
      };
      pass(near, far, delayMs, { onRead: onRequest });
      pass(far, near, delayMs, { onWrite: onAnswer });
    }, 2 * delayMs);
    for (const socket of [near, far]) {
      sockets.add(socket.setNoDelay());
      socket.on('error', () => undefined); // the close that follows says it to the other side
      socket.on('close', () => {
        sockets.delete(socket);
        setTimeout(() => (socket === near ? far : near).destroy(), delayMs);
      });
    }
  });
  const port = await listen(server);
  return {
    address: `127.0.0.1:${port}`,
    take: () => {
      const traffic = { connections, inARow };
      [connections, inARow] = [0, 0];
      return traffic;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Passing {
  readonly onRead?: () => void;
  readonly onWrite?: () => void;
}

// Timers of one length go off in the order in which they were set, so the bytes keep theirs.
function pass(from: Socket, to: Socket, delayMs: number, { onRead, onWrite }: Passing): void {
  let underWay = 0;
  from.on('data', (chunk: Buffer) => {
    onRead?.();
    underWay += chunk.length;
    if (underWay > roomBytes) from.pause();
    setTimeout(() => {
      onWrite?.();
      to.write(chunk, () => {
        underWay -= chunk.length;
        if (underWay <= roomBytes) from.resume();
      });
    }, delayMs);
  });
  from.on('end', () => setTimeout(() => to.end(), delayMs));
}
