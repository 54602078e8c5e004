// A RUN for another architecture where the kernel has an emulator for it. binfmt_misc belongs to a user namespace since Linux 6.7, so one of
// its own gets one. What stands for the emulator prints the program that it is given: that it was asked is what counts.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { chmod, mkdtempDisposable, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const place = '/proc/sys/fs/binfmt_misc';
const probe = ['--user', '--map-root-user', '--mount', 'mount', '-t', 'binfmt_misc', 'none', place];
const hasOwn = process.getuid?.() === 0 && spawnSync('unshare', probe).status === 0;
const missing = existsSync('/bin/busybox') ? false : 'needs a static busybox';

/** The first 20 bytes of any program of arm64 for Linux, as binfmt_misc is told of them. */
const magic = '7f454c460201010000000000000000000200b700';
const escaped = magic.replaceAll(/../g, '\\x$&');

test(
  'a RUN for another architecture runs where an emulator is registered, and is refused before anything else where none is',
  {
    skip: hasOwn ? missing : 'needs root, and a binfmt_misc of its own for a user namespace',
  },
  async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'yadokari-emulator-'));
    const emulator = join(folder.path, 'cat'); // busybox is what it is called
    await symlink('/bin/busybox', emulator);
    const header = Buffer.alloc(64);
    header.write(magic, 'hex');
    await writeFile(join(folder.path, 'tool'), Buffer.concat([header, Buffer.from('\nI was read by the emulator\n')]));
    await chmod(join(folder.path, 'tool'), 0o755);
    await writeFile(join(folder.path, 'Dockerfile'), 'FROM scratch\nCOPY tool /tool\nRUN ["/tool"]\n');
    const builder = resolve(import.meta.dirname, '../../../bin/yadokari');
    const build = `exec ${builder} build --no-cache --no-push --custom-platform=linux/arm64 --context=${folder.path}`;
    const register = `printf '%s' ':any:M::${escaped}::${emulator}:F' > ${place}/register`;
    const env = { YADOKARI_ROOT: join(folder.path, 'store') };
    const emulated = await inNamespace(`${register}; ${build}`, env);
    assert.equal(emulated.status, 0, emulated.output);
    assert.match(emulated.output, /^ {2}\| I was read by the emulator$/m);
    const refused = await inNamespace(build, env);
    assert.equal(refused.status, 1, refused.output);
    assert.match(refused.output, /^error: Cannot run commands for linux\/arm64: this machine starts no such programs$/m);
    assert.doesNotMatch(refused.output, /^FROM|COPY tool \/tool ‥/m);
  },
);

/** Runs a script with a binfmt_misc of its own, in which all ids are what they are outside. */
async function inNamespace(
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly output: string }> {
  const whole = `exec 2>&1; echo ready; read -r go; mount -t binfmt_misc none ${place}; ${script}`;
  const child = spawn('unshare', ['--user', '--mount', '/bin/sh', '-ec', whole], { env: { ...process.env, ...env }, stdio: 'pipe' });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await once(child.stdout, 'data');
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${child.pid}/${map}`, '0 0 1000000\n');
  child.stdin.end('go\n');
  const [status] = await once(child, 'close');
  return { status: Number(status), output };
}
