// A root filesystem with a shell in it, from the machine's static busybox, and a launcher for it: what RUN needs to be tested.
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ByteString, bytesFromText } from '../../src/bytes.ts';
import { type Launcher, createLauncher } from '../../src/linux/launch.ts';
import { runThread } from '../../src/surroundings/guarded-launch.ts';
import { Processes, protectSelf } from '../../src/linux/process.ts';

/** Commands that the root's busybox answers to. */
const applets =
  'sh cat echo ls id pwd sleep touch mkdir rm mv ln grep wc env true false kill head seq tr stat cp chmod chown setsid readlink find nc od'.split(
    ' ',
  );

/** Its users and groups. */
export const shellAccounts = [
  { path: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\napp:x:2000:3000:App:/home/app:/bin/sh\n' },
  { path: 'etc/group', content: 'root:x:0:\napp:x:3000:\nextra:x:4000:root,app\n' },
] as const;

export interface ShellRoot {
  /** Of the host. */
  readonly path: string;
  readonly bytes: ByteString;
  readonly launcher: Launcher;
  readonly processes: Processes;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
}

/** Why such a root can't be had here; undefined where it can. */
export function shellRootMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root for chroot and setuid';
  return existsSync('/bin/busybox') ? undefined : 'needs a static /bin/busybox (Debian package busybox-static)';
}

/** Makes the root below the temporary folder, with a few users in it. */
export async function makeShellRoot({ graceMs = 500 } = {}): Promise<ShellRoot> {
  const path = await mkdtemp(join(tmpdir(), 'yadokari-root-'));
  await chmod(path, 0o755);
  for (const folder of ['bin', 'etc', 'tmp', 'root', 'dev', 'proc']) await mkdir(join(path, folder));
  await copyFile('/bin/busybox', join(path, 'bin/busybox'));
  await Promise.all(applets.map((name) => symlink('busybox', join(path, 'bin', name))));
  for (const { path: file, content } of shellAccounts) await writeFile(join(path, file), content);
  protectSelf();
  const processes = new Processes();
  const launcher = await createLauncher(processes, { thread: runThread, graceMs });
  return {
    path,
    bytes: bytesFromText(path),
    launcher,
    processes,
    [Symbol.asyncDispose]: async () => {
      await launcher.close();
      processes.close();
      await rm(path, { recursive: true, force: true });
    },
  };
}
