// Debian's docker-registry as a child process: the real thing that the contract suite runs against.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort } from './listen.ts';

export interface RunningRegistry {
  readonly url: string;
  /** Its own; gone when it stops. */
  readonly folder: string;
  /** `127.0.0.1:port`, as in an image name. */
  readonly host: string;
  readonly stop: () => Promise<void>;
}

const binary = '/usr/bin/docker-registry';

/** Why there is no real registry to test against; undefined where there is one. */
export function missingDockerRegistry(): string | undefined {
  return existsSync(binary) ? undefined : `${binary} is not installed (apt-get install docker-registry)`;
}

interface RegistryOptions {
  /** Where its storage is made; the machine's folder for temporary files when absent. */
  readonly folder?: string;
  /** Text of a password file (bcrypt). */
  readonly htpasswd?: string;
  /** Paths of PEM files; the registry speaks TLS then. */
  readonly tls?: { readonly certificate: string; readonly key: string; readonly clientAuthority?: string };
  /** Takes manifests whose layers are at other addresses, and those of schema 1. */
  readonly isLenient?: boolean;
}

/** Starts one on a free port with its own storage. */
export async function startDockerRegistry(options: RegistryOptions = {}): Promise<RunningRegistry> {
  for (let tries = 0; ; tries++) {
    try {
      return await startOnce(options);
    } catch (error) {
      // Between asking for a free port and using it somebody else may have taken it.
      if (tries === 3) throw error;
    }
  }
}

async function startOnce(options: RegistryOptions): Promise<RunningRegistry> {
  const folder = await mkdtemp(join(options.folder ?? tmpdir(), 'yadokari-registry-'));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const lines = [
    'version: 0.1',
    'log:',
    '  level: error',
    '  accesslog:',
    '    disabled: true',
    'storage:',
    '  filesystem:',
    `    rootdirectory: ${folder}/data`,
    '  delete:',
    '    enabled: true',
  ];
  if (options.isLenient === true)
    lines.push(
      'validation:',
      '  manifests:',
      '    urls:',
      '      allow:',
      '        - .',
      'compatibility:',
      '  schema1:',
      '    enabled: true',
    );
  lines.push('http:', `  addr: ${host}`, '  secret: for-tests-only');
  if (options.tls !== undefined) lines.push('  tls:', `    certificate: ${options.tls.certificate}`, `    key: ${options.tls.key}`);
  if (options.tls?.clientAuthority !== undefined) lines.push(`    clientcas: [${options.tls.clientAuthority}]`);
  if (options.htpasswd !== undefined) {
    await writeFile(join(folder, 'htpasswd'), options.htpasswd);
    lines.push('auth:', '  htpasswd:', '    realm: test', `    path: ${folder}/htpasswd`);
  }
  await writeFile(join(folder, 'config.yml'), `${lines.join('\n')}\n`);
  const child = spawn(binary, ['serve', join(folder, 'config.yml')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => (errors = `${errors}${String(chunk)}`.slice(-4000)));
  const stop = async (): Promise<void> => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) break;
    try {
      await fetch(`http://${host}/v2/`);
      // The answer may be that of another registry on the same port: then ours ends at once, as it can't have it.
      await setTimeout(100);
      if (child.exitCode !== null) break;
      return { url: `http://${host}`, host, folder, stop };
    } catch {
      await setTimeout(50);
    }
  }
  await stop();
  throw new Error(`docker-registry did not start: ${errors}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  child.once('exit', () => {
    resolve();
  });
  child.kill('SIGKILL');
  await promise;
}
