// A store of its own for tests of containers: as root, or as an ordinary user with ranges of ids, with the image `busybox` in it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addAccount, removeAccount } from './account.ts';
import { bundlePrograms } from '../../scripts/bundle.ts';

const root = join(import.meta.dirname, '../..');
// Files of tests run side by side, each with a user of its own.
const account = `yadokari-c-${process.pid}`;
const uid = 600_000_000 + process.pid;
/** What the image has of busybox. */
const applets = 'sh cat ls ln rm mkdir echo id env sleep chown chmod touch stat test pwd ps kill head dd printf hostname sha256sum'.split(
  ' ',
);

export type Caller = 'root' | 'user';

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ContainerBench extends Disposable {
  /** Of the caller, and his alone. */
  readonly folder: string;
  readonly storeFolder: string;
  /** A command line, with what it needs to be started otherwise. */
  readonly argv: (...words: readonly string[]) => readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly run: (...words: readonly string[]) => Outcome;
  /** The same, which has to succeed; gives its output without the last line break. */
  readonly must: (...words: readonly string[]) => string;
}

/** Why there can be none for this caller; false where there can. */
export function whyNoContainers(caller: Caller): string | false {
  if (process.getuid?.() !== 0) return 'needs root, to mount and to become other users';
  if (!existsSync('/bin/busybox')) return 'busybox is not installed';
  if (spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status !== 0) return 'this machine forbids namespaces';
  if (caller === 'root') return false;
  if (!existsSync('/usr/bin/newuidmap')) return 'uidmap is not installed';
  return spawnSync('setpriv', [...asUser, 'unshare', '--user', 'true']).status === 0 ? false : 'this machine forbids user namespaces';
}

/** Opens a bench, on which `must('from', 'busybox')` works. */
export async function openContainerBench(caller: Caller): Promise<ContainerBench> {
  if (caller === 'user') addAccount(account, uid, 710_000_000);
  const folder = mkdtempSync('/var/tmp/containers-');
  const program = await writeProgram(join(folder, 'app'));
  if (caller === 'user') chownSync(folder, uid, uid);
  const storeFolder = join(folder, 'store');
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: folder, YADOKARI_ROOT: storeFolder };
  const argv: ContainerBench['argv'] = (...words) =>
    caller === 'root' ? [...program, ...words] : ['setpriv', ...asUser, ...program, ...words];
  const run: ContainerBench['run'] = (...words) => {
    const [first, ...rest] = argv(...words);
    const { status, stdout, stderr } = spawnSync(first, rest, { cwd: folder, encoding: 'utf8', env, input: '', timeout: 120_000 });
    return { status, stdout, stderr };
  };
  const must: ContainerBench['must'] = (...words) => {
    const { status, stdout, stderr } = run(...words);
    assert.equal(status, 0, `${words.join(' ')}: ${stderr}`);
    return stdout.trimEnd();
  };
  const bench = { folder, storeFolder, argv, env, run, must };
  makeBusybox(bench);
  return {
    ...bench,
    [Symbol.dispose]: () => {
      rmSync(folder, { recursive: true, force: true });
      if (caller === 'user') removeAccount(account);
    },
  };
}

const asUser = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'] as const;

/** Made once: what is waited for between two suites of a file, the tests of the first one hold up. */
let bundles: ReturnType<typeof bundlePrograms> | undefined;

/** As the image has it: from sources each of a hundred commands would take a second more. */
export async function writeProgram(folder: string): Promise<readonly [string, ...string[]]> {
  mkdirSync(folder);
  bundles ??= bundlePrograms(root);
  for (const [name, bytes] of (await bundles).files) writeFileSync(join(folder, name), bytes);
  writeFileSync(join(folder, 'package.json'), '{}');
  return [process.execPath, '--disable-sigusr1', join(folder, 'main.js')];
}

function makeBusybox({ folder, must }: Pick<ContainerBench, 'folder' | 'must'>): void {
  const files = join(folder, 'busybox');
  mkdirSync(join(files, 'bin'), { recursive: true });
  mkdirSync(join(files, 'etc'));
  copyFileSync('/bin/busybox', join(files, 'bin/busybox'));
  for (const name of applets) symlinkSync('busybox', join(files, 'bin', name));
  writeFileSync(join(files, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/home/guest:/bin/sh\n');
  writeFileSync(join(files, 'etc/group'), 'root:x:0:\nguest:x:1000:\nextra:x:2000:guest\n');
  const container = must('from', 'scratch');
  must('copy', '-q', container, files, '/');
  must('commit', '--rm', container, 'busybox');
}
