// A registry that has bad days: a proxy before a real one, which can cut, corrupt, stall or refuse chosen requests.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import { listen } from './listen.ts';

export type Fault =
  /** The connection breaks after that many bytes of the answer's body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** One byte of the answer's body is another, the length stays. */
  | { readonly kind: 'corrupt' }
  /** Nothing more comes after that many bytes, and the connection stays open. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** The connection breaks before the registry hears of the request. */
  | { readonly kind: 'reset' }
  /** The registry does what it is asked, and the connection breaks before its answer. */
  | { readonly kind: 'lost' }
  /** The request is answered without reaching the registry. */
  | { readonly kind: 'answer'; readonly status: number; readonly headers?: Readonly<Record<string, string>> };

export interface FaultyProxy {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  /** Every request so far: `GET /v2/…`. */
  readonly requests: readonly string[];
  stop(): Promise<void>;
}

/** Starts a proxy before `upstream`; `choose` is asked for each request, `undefined` lets it pass unharmed. */
export async function startFaultyProxy(
  upstream: string,
  choose: (method: string, path: string, headers: IncomingHttpHeaders) => Fault | undefined,
): Promise<FaultyProxy> {
  const requests: string[] = [];
  const server = createServer((incoming, response) => {
    const [method, path] = [incoming.method ?? 'GET', incoming.url ?? '/'];
    requests.push(`${method} ${path}`);
    const fault = choose(method, path, incoming.headers);
    if (fault?.kind === 'answer') {
      incoming.resume();
      response.writeHead(fault.status, fault.headers).end('{"errors":[{"code":"UNAVAILABLE","message":"a bad day"}]}');
    } else if (fault?.kind === 'reset') {
      incoming.socket.destroy();
    } else if (fault?.kind === 'stall' && method !== 'GET') {
      incoming.pause(); // an upload that nobody reads
    } else {
      forward(upstream, incoming, response, fault);
    }
  });
  const port = await listen(server);
  return {
    address: `127.0.0.1:${port}`,
    requests,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function forward(upstream: string, incoming: IncomingMessage, response: ServerResponse, fault: Fault | undefined): void {
  // the Host header stays: the registry makes its Location from it, so that the client comes back to us
  const outgoing = httpRequest(
    { host: '127.0.0.1', port: Number(upstream.split(':')[1]), method: incoming.method, path: incoming.url, headers: incoming.headers },
    (answer) => {
      if (fault?.kind === 'lost') return void answer.resume().on('end', () => response.destroy());
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      if (fault === undefined) answer.pipe(response);
      else harm(answer, response, fault);
      return undefined;
    },
  );
  outgoing.on('error', () => response.destroy());
  response.on('close', () => outgoing.destroy());
  incoming.pipe(outgoing);
}

function harm(answer: IncomingMessage, response: ServerResponse, fault: Fault): void {
  let seen = 0;
  answer.on('data', (chunk: Buffer) => {
    const part = Buffer.from(chunk);
    if (fault.kind === 'corrupt') {
      if (seen === 0) part[part.length >> 1] = (part[part.length >> 1] ?? 0) ^ 0xff;
      response.write(part);
    } else if (fault.kind === 'cut' || fault.kind === 'stall') {
      response.write(part.subarray(0, Math.max(0, fault.afterBytes - seen)));
      if (seen + part.length >= fault.afterBytes) {
        answer.pause();
        if (fault.kind === 'cut') setImmediate(() => response.destroy());
      }
    }
    seen += part.length;
  });
  answer.on('end', () => response.end());
}
