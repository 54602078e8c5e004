// A web server for ADD: given bodies under given paths, all last modified at the same moment; anything else is a 404.
import { createServer } from 'node:http';
import { listen } from './listen.ts';

export interface HttpFiles {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** Replaces nothing that is there: paths of several tests live side by side below their own prefixes. */
  add(path: string, body: string | Uint8Array): void;
  stop(): Promise<void>;
}

/** Starts the server on a free port of the loopback interface. */
export async function serveFiles(lastModified: string): Promise<HttpFiles> {
  const files = new Map<string, string | Uint8Array>();
  const server = createServer((request, response) => {
    const body = files.get(request.url?.split('?')[0] ?? '');
    if (body === undefined) response.writeHead(404).end('not here\n');
    else response.writeHead(200, { 'last-modified': lastModified, 'content-type': 'application/octet-stream' }).end(body);
  });
  const port = await listen(server);
  return {
    origin: `http://127.0.0.1:${port}`,
    add: (path, body) => files.set(path, body),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
