// Stands in for the builder inside a sandbox: does what its first argument says and tells what came of it as JSON.
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { load } from 'koffi';

const { argv, env } = received();
const libc = load(null);

/** By hand: only this folder and no source of the builder is visible here. */
function received(): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  const descriptor = Number(/^--invocation-fd=(\d+)$/.exec(process.argv[2] ?? '')?.[1]);
  return JSON.parse(readFileSync(descriptor, 'utf8')) as ReturnType<typeof received>; // written by the launcher
}

/** 'done', or the code of the failure. */
function attempt(action: () => unknown): string {
  try {
    action();
    return 'done';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

function report(): unknown {
  const status = readFileSync('/proc/self/status', 'utf8');
  return {
    pid: process.pid,
    argv,
    env,
    root: readdirSync('/').toSorted(),
    devices: readdirSync('/dev').toSorted(),
    hostName: readFileSync('/proc/sys/kernel/hostname', 'utf8').trim(),
    hosts: readFileSync('/etc/hosts', 'utf8'),
    capabilities: BigInt(`0x${/CapEff:\s*(\S+)/.exec(status)?.[1] ?? '0'}`).toString(16),
    commandLine: readFileSync('/proc/self/cmdline', 'utf8'),
    environment: readFileSync('/proc/self/environ', 'utf8'),
    sees: { node: existsSync('/kaniko/node'), app: readdirSync('/kaniko/app').toSorted() },
  };
}

/** Everything that must not work, whatever it is that allows it. */
function probe(): unknown {
  const mount = libc.func('int mount(const char *, const char *, const char *, unsigned long, void *)');
  const chroot = libc.func('int chroot(const char *)');
  const mknod = libc.func('int mknod(const char *, unsigned int, unsigned long)');
  mkdirSync('/deep/deeper', { recursive: true });
  const zero = mknod('/deep/zero', 0o020_666, (1 << 8) | 5);
  const results = {
    mount: mount('none', '/deep', 'tmpfs', 0, null) === 0 ? 'done' : 'refused',
    remount: mount('none', '/kaniko/app', '', 32 | 4096, null) === 0 ? 'done' : 'refused',
    readFromOwnDevice: zero === 0 ? attempt(() => openSync('/deep/zero', 'r')) : 'EPERM',
    writeSysctl: attempt(() => writeFileSync('/proc/sys/kernel/core_pattern', readFileSync('/proc/sys/kernel/core_pattern'))),
    writeApp: attempt(() => writeFileSync('/kaniko/app/package.json', 'x')),
    writeNode: attempt(() => writeFileSync('/kaniko/node', 'x')),
    writeHosts: attempt(() => writeFileSync('/etc/hosts', 'x')),
    otherProcesses: readdirSync('/proc').filter((name) => /^\d+$/.test(name)).length === 1 ? 'none' : 'some',
    climbOut: 'refused',
  };
  // The classic way out of a chroot: a new root below, a current directory above it, and up.
  if (chroot('/deep/deeper') === 0) {
    for (let step = 0; step < 20; step += 1) process.chdir('..');
    chroot('.');
    results.climbOut = existsSync('/kaniko/node') ? 'refused' : 'done';
  }
  return results;
}

function own(): unknown {
  mkdirSync('/data/closed', { recursive: true });
  writeFileSync('/data/closed/file', 'x');
  const owners = [1, 1000, 65_534].map((id) => attempt(() => chownSync('/data/closed/file', id, id)));
  const folder = attempt(() => chownSync('/data/closed', 1000, 1000));
  chmodSync('/data/closed', 0o500);
  return { owners, folder, uid: lstatSync('/data/closed/file').uid };
}

const [verb = '', path = '', text = ''] = argv;
switch (verb) {
  case 'report':
    console.log(JSON.stringify(report()));
    break;
  case 'probe':
    console.log(JSON.stringify(probe()));
    break;
  case 'own':
    console.log(JSON.stringify(own()));
    break;
  case 'write':
    mkdirSync(dirname(path), { recursive: true });
    console.log(JSON.stringify(attempt(() => writeFileSync(path, text))));
    break;
  case 'read':
    console.log(JSON.stringify(readFileSync(path, 'utf8')));
    break;
  case 'take':
    console.log(JSON.stringify([readFileSync(path, 'utf8'), attempt(() => unlinkSync(path)), existsSync(path)]));
    break;
  case 'exit':
    process.exitCode = Number(path);
    break;
  case 'wait':
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => process.exit(name === 'SIGINT' ? 130 : 143));
    writeFileSync('/kept-open', 'x');
    console.log('waiting');
    setInterval(() => undefined, 1000);
    break;
  default:
    throw new Error(`unknown verb ${verb}`);
}
