// Debian's nginx before a registry, plain or with TLS, as operators put it there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { KeyPair } from './certificates.ts';
import { freePort } from './listen.ts';

/** Why there is none; false where there is. */
export const missingNginx: string | false = existsSync('/usr/sbin/nginx') ? false : '/usr/sbin/nginx is not installed';

export interface Nginx {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

/** Starts one before `upstream` (`host:port`); with `clientAuthority` only clients that it vouches for get through. */
export async function startNginx(
  upstream: string,
  options: { readonly tls?: KeyPair; readonly clientAuthority?: string; readonly settings?: readonly string[] } = {},
): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'yadokari-nginx-'));
  const port = await freePort();
  const { tls, clientAuthority, settings = ['client_max_body_size 0;', 'proxy_request_buffering off;'] } = options;
  const config = [
    'daemon off; master_process off; user root;',
    `pid ${folder}/pid; error_log ${folder}/error.log;`,
    'events { worker_connections 256; }',
    'http { access_log off;',
    ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`),
    `server { listen 127.0.0.1:${port}${tls === undefined ? '' : ' ssl'};`,
    ...(tls === undefined ? [] : [`ssl_certificate ${tls.certificate}; ssl_certificate_key ${tls.key};`]),
    ...(clientAuthority === undefined ? [] : [`ssl_client_certificate ${clientAuthority}; ssl_verify_client on;`]),
    ...settings,
    `location / { proxy_pass http://${upstream}; proxy_http_version 1.1;`,
    'proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; } } }',
  ];
  await writeFile(join(folder, 'nginx.conf'), `${config.join('\n')}\n`);
  const child = spawn('/usr/sbin/nginx', ['-c', join(folder, 'nginx.conf'), '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => (errors = `${errors}${String(chunk)}`.slice(-4000)));
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  for (let tries = 0; tries < 100 && child.exitCode === null; tries++) {
    if (await answers(port)) return { port, stop };
    await setTimeout(50);
  }
  await stop();
  throw new Error(`nginx did not start: ${errors}`);
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
