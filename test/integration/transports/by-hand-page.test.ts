// docs/by-hand.md, command by command: an ordinary user with id ranges runs the page's blocks in one shell, and they print what it says.
import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { addAccount, removeAccount } from '../../support/account.ts';
import { run } from '../../support/command.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';

const root = resolve(import.meta.dirname, '../../..');
const uid = 61_006;
const account = 'yadokari-by-hand';
const first = 710_000_000;
const programs = ['/bin/busybox', '/usr/bin/skopeo', '/usr/bin/umoci', '/usr/bin/podman', '/usr/bin/newuidmap'];
const missing = programs.find((program) => !existsSync(program));
const skip =
  process.getuid?.() !== 0
    ? 'needs root to become another user'
    : (missingDockerRegistry() ?? (missing === undefined ? false : `${missing} is not installed`));

let folder = '';
let registry: RunningRegistry;
before(async () => {
  if (skip !== false) return;
  addAccount(account, uid, first);
  folder = mkdtempSync('/var/tmp/by-hand-');
  for (const name of ['', 'bin', 'home', 'run']) {
    mkdirSync(join(folder, name), { recursive: true });
    chownSync(join(folder, name), uid, uid);
  }
  // podman told to be content with what a small virtual machine gives, and with a store of its own.
  const store = `--log-level=error --root ${folder}/store --runroot ${folder}/runroot --storage-driver vfs --runtime runc --cgroup-manager cgroupfs`;
  const limits = '--network=host --ulimit nofile=1000:1000 --ulimit nproc=1000:1000';
  const podman = `#!/bin/sh\nshift\nexec /usr/bin/podman ${store} run ${limits} "$@"\n`;
  writeFileSync(join(folder, 'bin/podman'), podman, { mode: 0o755 });
  registry = await startDockerRegistry();
});
after(async () => {
  if (skip !== false) return;
  await registry.stop();
  // Rootless podman leaves a process that holds its namespaces.
  const pause = join(folder, 'run/libpod/tmp/pause.pid');
  if (existsSync(pause)) process.kill(Number(readFileSync(pause, 'utf8')), 'SIGKILL');
  removeAccount(account);
  rmSync(folder, { recursive: true, force: true });
});

interface Block {
  readonly commands: string;
  /** What they print, line by line; `…` stands for anything. */
  readonly prints: readonly string[];
}

/** Each `sh` block of a page, with the `text` block behind it. */
function blocksOf(page: string): readonly Block[] {
  const found = [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text = '']) => ({ language, text }));
  return found.flatMap(({ language, text }, position): readonly Block[] => {
    if (language !== 'sh') return [];
    const next = found[position + 1];
    return [{ commands: text, prints: next?.language === 'text' ? next.text.trimEnd().split('\n') : [] }];
  });
}

function patternOf(line: string): RegExp {
  const parts = line.split('…').map((part) =>
    part
      .trim()
      .replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
      .replaceAll(/\s+/g, String.raw`\s+`),
  );
  return new RegExp(`^\\s*${parts.join(String.raw`.*?`).replaceAll(String.raw`.*?\s+`, '.*?')}\\s*$`);
}

test('every command of docs/by-hand.md does what the page says', { skip, timeout: 600_000 }, async () => {
  const blocks = blocksOf(readFileSync(join(root, 'docs/by-hand.md'), 'utf8'));
  assert.ok(blocks.length > 15, `${blocks.length} blocks`);
  const mark = (position: number): string => `==== ${position} ====`;
  const script = ['set -eu', ...blocks.flatMap(({ commands }, position) => [`echo; echo '${mark(position)}'`, commands])].join('\n');
  const env = [
    `PATH=${folder}/bin:${root}/bin:/usr/bin:/bin:/usr/sbin`,
    `HOME=${folder}/home`,
    `XDG_RUNTIME_DIR=${folder}/run`,
    `REGISTRY=${registry.host}`,
  ];
  const as = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
  const { status, output } = await run(['env', '-i', ...env, ...as, 'bash', '-c', `exec 2>&1; ${script}`], { cwd: join(folder, 'home') });
  for (const [position, { commands, prints }] of blocks.entries()) {
    const [, said] = new RegExp(`^${mark(position)}\n(.*?)(?=^====|$(?![^]))`, 'ms').exec(output) ?? [];
    assert.ok(said !== undefined, `the page stopped before this:\n${commands}\n${output.slice(-3000)}`);
    const lines = said.split('\n').filter((line) => line !== '');
    assert.equal(lines.length, prints.length, `${commands}\nprinted:\n${said}`);
    for (const [row, line] of prints.entries()) assert.match(lines[row] ?? '', patternOf(line), commands);
  }
  assert.equal(status, 0, output.slice(-3000));
});
