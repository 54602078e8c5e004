// A real git server: `git http-backend` behind node:http, with or without a password, and repositories made by git itself.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listen } from './listen.ts';

export interface GitServer {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** Where repositories are: `<folder>/name.git` is at `<origin>/name.git`. */
  readonly folder: string;
  /** "METHOD path authorization" of each request. */
  readonly requests: string[];
  readonly stop: () => Promise<void>;
}

export interface GitServerOptions {
  /** `user:password` that has to be given. */
  readonly login?: string;
  /** Protocol version 2 is refused, as old servers do. */
  readonly isOld?: boolean;
  /** Answers a request itself instead of git where it gives true. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** Runs git in a folder with an identity and no configuration of this machine; gives its output without the line end. */
export function git(folder: string, ...args: readonly string[]): string {
  const identity = { GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@x', GIT_COMMITTER_NAME: 'C', GIT_COMMITTER_EMAIL: 'c@x' };
  const env = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1', ...identity };
  const times = { GIT_AUTHOR_DATE: '1700000000 +0000', GIT_COMMITTER_DATE: '1700000000 +0000' };
  return execFileSync('git', ['-c', 'init.defaultBranch=main', '-c', 'protocol.file.allow=always', ...args], {
    cwd: folder,
    env: { ...env, ...times },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trimEnd();
}

/** Starts a server on a free port of the loopback interface, with an empty folder of repositories. */
export async function startGitServer(options: GitServerOptions = {}): Promise<GitServer> {
  const folder = mkdtempSync(join(tmpdir(), 'git-server-'));
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.authorization ?? '-'}`);
    if (options.intercept?.(request, response) === true) return;
    const expected = options.login === undefined ? undefined : `Basic ${Buffer.from(options.login).toString('base64')}`;
    if (expected !== undefined && request.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    runBackend(folder, request, response, options.isOld === true);
  });
  const port = await listen(server);
  const host = `127.0.0.1:${port}`;
  return {
    origin: `http://${host}`,
    host,
    folder,
    requests,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// RFC 3875, as much as git http-backend uses of it.
function runBackend(folder: string, request: IncomingMessage, response: ServerResponse, isOld: boolean): void {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const protocol = request.headers['git-protocol'];
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'] ?? '',
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      REQUEST_METHOD: request.method ?? '',
      PATH_INFO: path,
      QUERY_STRING: query,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      ...(isOld || typeof protocol !== 'string' ? {} : { GIT_PROTOCOL: protocol }),
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.on('error', () => undefined);
  request.pipe(child.stdin);
  let head = Buffer.alloc(0);
  const readHead = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1) return;
    child.stdout.off('data', readHead);
    const headers = new Map(
      head
        .toString('latin1', 0, end)
        .split('\r\n')
        .map((line) => [line.split(': ')[0] ?? '', line.slice(line.indexOf(': ') + 2)]),
    );
    const status = Number.parseInt(headers.get('Status') ?? '200', 10);
    headers.delete('Status');
    response.writeHead(status, Object.fromEntries(headers));
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on('data', readHead);
  child.on('close', () => response.end());
}
