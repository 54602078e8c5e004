// Real object stores for tests: s3rver, which looks at keys and not at signatures, and azurite, Microsoft's own emulator of Azure Storage.
// Neither is a package of the project: they are installed, by a lockfile of their own, when a test first needs one.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './listen.ts';

export interface CloudServer extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
}

const sources = resolve(import.meta.dirname, 'cloud-servers');
const place = resolve(import.meta.dirname, '../../build/cloud-servers');

/** Installs both where they are not yet; why that can't be done, or undefined. */
export function missingCloudServers(): string | undefined {
  if (existsSync(place)) return undefined;
  const own = `${place}-${process.pid}`;
  mkdirSync(own, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(sources, name), join(own, name));
  const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: own, encoding: 'utf8' });
  if (npm.status !== 0) {
    rmSync(own, { recursive: true, force: true });
    return `s3rver and azurite can't be installed: ${npm.error?.message ?? npm.stderr.slice(0, 300)}`;
  }
  try {
    renameSync(own, place);
  } catch (error) {
    if (!existsSync(place)) throw error;
    rmSync(own, { recursive: true, force: true }); // somebody else was faster
  }
  return undefined;
}

/** s3rver with an empty bucket; its keys are S3RVER and S3RVER. */
export async function startS3(bucket: string): Promise<CloudServer> {
  return await start((port, folder) => [
    's3rver/bin/s3rver.js',
    '-d',
    folder,
    '-a',
    '127.0.0.1',
    '-p',
    `${port}`,
    '--configure-bucket',
    bucket,
  ]);
}

/** azurite's blob service, with the account and the key that are written in its documentation. */
export async function startAzure(): Promise<CloudServer> {
  return await start((port, folder) => [
    'azurite/dist/src/blob/main.js',
    '--blobPort',
    `${port}`,
    '-l',
    folder,
    '--silent',
    '--disableTelemetry',
  ]);
}

async function start(argv: (port: number, folder: string) => readonly [main: string, ...rest: string[]]): Promise<CloudServer> {
  const folder = await mkdtemp(join(tmpdir(), 'yadokari-store-'));
  const port = await freePort();
  const [main, ...rest] = argv(port, folder);
  const child = spawn(process.execPath, [join(place, 'node_modules', main), ...rest], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-2000)));
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGKILL');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  const host = `127.0.0.1:${port}`;
  try {
    await answers(host, child, () => said);
  } catch (error) {
    await stop();
    throw error;
  }
  return { host, [Symbol.asyncDispose]: stop };
}

async function answers(host: string, child: ChildProcess, said: () => string): Promise<void> {
  for (let waitedMs = 0; waitedMs < 30_000; waitedMs += 100) {
    try {
      await (await fetch(`http://${host}/`)).arrayBuffer();
      return;
    } catch {
      if (child.exitCode !== null) break;
      await delay(100);
    }
  }
  throw new Error(`the store at ${host} does not answer: ${said()}`);
}
