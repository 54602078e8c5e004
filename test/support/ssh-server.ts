// A real sshd on the loopback interface that lets one key in as this user.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort } from './listen.ts';

export interface SshServer {
  readonly port: number;
  /** `ssh://user@127.0.0.1:port` */
  readonly origin: string;
  /** The private key that is let in. */
  readonly keyPath: string;
  /** A line for known_hosts. */
  readonly knownHosts: string;
  readonly stop: () => void;
}

/** Why no sshd can be started here; undefined where one can. */
export function whyNoSsh(): string | undefined {
  if (!existsSync('/usr/sbin/sshd')) return 'there is no /usr/sbin/sshd (apt-get install openssh-server)';
  return userInfo().uid === 0 ? undefined : 'sshd needs root';
}

/** Starts one; `acceptsProtocol` lets clients ask for protocol version 2. */
export async function startSshServer({ acceptsProtocol }: { readonly acceptsProtocol: boolean }): Promise<SshServer> {
  const folder = mkdtempSync(join(tmpdir(), 'ssh-server-'));
  mkdirSync('/run/sshd', { recursive: true });
  for (const name of ['host', 'user']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  writeFileSync(join(folder, 'authorized'), readFileSync(join(folder, 'user.pub')));
  chmodSync(folder, 0o700);
  const port = await freePort();
  const config = `Port ${port}
ListenAddress 127.0.0.1
HostKey ${folder}/host
AuthorizedKeysFile ${folder}/authorized
PermitRootLogin yes
StrictModes no
UsePAM no
PasswordAuthentication no
PidFile none
${acceptsProtocol ? 'AcceptEnv GIT_PROTOCOL' : ''}
`;
  writeFileSync(join(folder, 'config'), config);
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(folder, 'config')], { stdio: 'ignore' });
  await answering(port);
  const [type = '', key = ''] = readFileSync(join(folder, 'host.pub'), 'utf8').split(' ');
  return {
    port,
    origin: `ssh://${userInfo().username}@127.0.0.1:${port}`,
    keyPath: join(folder, 'user'),
    knownHosts: `[127.0.0.1]:${port} ${type} ${key}\n`,
    stop: () => {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answering(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await setTimeout(50);
  }
  throw new Error(`sshd does not answer on port ${port}`);
}
