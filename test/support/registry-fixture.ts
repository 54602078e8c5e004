// A real registry for one test file: Debian's docker-registry on a free port, its data in a folder of its own.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RegistryFixture {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  stop(): Promise<void>;
}

export interface RegistryOptions {
  /** Where blobs are kept; by default a temporary folder that goes away with the registry. */
  readonly dataFolder?: string;
  /** Lines of an htpasswd file: only these users may come in. */
  readonly htpasswd?: string;
}

/** Starts a registry and waits until it answers. */
export async function startRegistry(options: RegistryOptions = {}): Promise<RegistryFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'yadokari-registry-'));
  const dataFolder = options.dataFolder ?? join(folder, 'data');
  await mkdir(dataFolder, { recursive: true });
  const address = `127.0.0.1:${await freePort()}`;
  const auth = options.htpasswd === undefined ? [] : ['auth:', '  htpasswd:', '    realm: test', `    path: ${folder}/htpasswd`];
  if (options.htpasswd !== undefined) await writeFile(join(folder, 'htpasswd'), options.htpasswd);
  const config = [
    'version: 0.1',
    'log: {level: warn, accesslog: {disabled: true}}',
    `storage: {filesystem: {rootdirectory: ${JSON.stringify(dataFolder)}}, delete: {enabled: true}}`,
    `http: {addr: "${address}"}`,
    ...auth,
  ];
  await writeFile(join(folder, 'config.yml'), `${config.join('\n')}\n`);
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4000)));
  const ended = new Promise<void>((resolve) => {
    child.on('error', (error) => {
      said += error.message;
      resolve();
    });
    child.on('exit', () => resolve());
  });
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  for (let attempt = 0; attempt < 100; attempt++) {
    if (await answers(address)) return { address, stop };
    if (child.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await stop();
  throw new Error(`docker-registry did not start on ${address}: ${said}`);
}

/** A TCP port of the loopback interface that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the loopback interface gives no port');
  return address.port;
}

async function answers(address: string): Promise<boolean> {
  try {
    const { status } = await fetch(`http://${address}/v2/`);
    return status === 200 || status === 401;
  } catch {
    return false; // nobody listens yet
  }
}
