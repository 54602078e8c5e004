// A proxy as HTTP_PROXY and HTTPS_PROXY name one: it takes CONNECT, and whole URLs of plain HTTP, and goes to this machine whatever host
// they name.
import { type IncomingMessage, createServer, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { listen } from './listen.ts';

export interface ForwardProxy {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** `host:port` of every tunnel so far, and the URLs of plain HTTP. */
  readonly passed: readonly string[];
  readonly stop: () => Promise<void>;
}

/** Starts one. `onTunnel` may do something else for a CONNECT, and says so by true. */
export async function startForwardProxy(onTunnel: (near: Socket) => boolean = () => false): Promise<ForwardProxy> {
  const passed: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((incoming, response) => {
    passed.push(incoming.url ?? '');
    const { pathname, search, port } = new URL(incoming.url ?? '');
    const { method, headers } = incoming;
    const onAnswer = (answer: IncomingMessage): unknown => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      return answer.pipe(response);
    };
    const outgoing = request({ host: '127.0.0.1', port, method, path: `${pathname}${search}`, headers }, onAnswer);
    outgoing.on('error', () => response.destroy());
    incoming.pipe(outgoing);
  });
  server.on('connect', (incoming, near: Socket) => {
    passed.push(incoming.url ?? '');
    sockets.add(near.on('error', () => undefined));
    if (onTunnel(near)) return;
    const far = connect(Number(incoming.url?.split(':').at(-1)), '127.0.0.1', () => {
      near.write('HTTP/1.1 200 Connection established\r\n\r\n');
      near.pipe(far).pipe(near);
    });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    passed,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
