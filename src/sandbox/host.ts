// What the launcher has to know of the machine, read before anything is started.
import { accessSync, constants, existsSync, readFileSync, realpathSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, extname, join } from 'node:path/posix';
import { BuilderError } from '../errors.ts';
import type { Caller, IdSources } from './ids.ts';
import type { BuilderCode } from './plan.ts';

// Fixed places: a sandbox must not depend on what a PATH says.
export const programPath = '/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin:/run/current-system/sw/bin:/run/wrappers/bin';

const systemAdministrator = 21; // CAP_SYS_ADMIN

/** The path of an installed program; undefined where there is none. */
function findProgram(name: string): string | undefined {
  return programPath
    .split(':')
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/** @throws ERR_UNSUPPORTED naming the program and the package that has it. */
export function requireProgram(name: string, packageName: string): string {
  const path = findProgram(name);
  if (path !== undefined) return path;
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot make a sandbox: ${name} is not installed`, {
    hint: `install the package ${packageName}, or run the builder's container image`,
  });
}

/** Who runs this process, and whether it may mount without a user namespace. */
export function readCaller(): Caller {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readText('/proc/self/status'))?.[1] ?? '0';
  const mayMount = ((BigInt(`0x${effective}`) >> BigInt(systemAdministrator)) & 1n) === 1n;
  const uid = process.geteuid?.() ?? 0;
  return { uid, name: userName(), mayMount: mayMount && uid === 0 };
}

/** The files and programs that give an ordinary user more than one id. */
export function readIdSources(): IdSources {
  return {
    subuid: readText('/etc/subuid'),
    subgid: readText('/etc/subgid'),
    newuidmap: findProgram('newuidmap'),
    newgidmap: findProgram('newgidmap'),
  };
}

/** Where this builder's own files are. @throws ERR_INTERNAL where `mainPath` belongs to no package */
export function locateCode(nodePath: string, mainPath: string): BuilderCode {
  const main = realpathSync(mainPath);
  const packageFolder = ancestors(dirname(main)).find((folder) => existsSync(join(folder, 'package.json')));
  if (packageFolder === undefined) throw new BuilderError('ERR_INTERNAL', `Cannot make a sandbox: ${main} is in no package`);
  return {
    nodePath: realpathSync(nodePath),
    mainPath: main,
    packageFolder,
    modulesFolder: ancestors(packageFolder)
      .map((folder) => join(folder, 'node_modules'))
      .find((folder) => existsSync(folder)),
    libraries: loadedLibraries(),
  };
}

/** The module beside this one that runs first inside; its ending is ours, as it is stripped or not with us. */
export function enterModule(): string {
  return join(import.meta.dirname, `enter${extname(import.meta.filename)}`);
}

/** Why namespaces may be refused here, in the words of the setting; undefined where nothing known forbids them. */
export function whyNamespacesFail(): string | undefined {
  const setting = (path: string): string => readText(path).trim();
  if (setting('/proc/sys/user/max_user_namespaces') === '0') return 'sysctl user.max_user_namespaces is 0';
  if (setting('/proc/sys/kernel/unprivileged_userns_clone') === '0') return 'sysctl kernel.unprivileged_userns_clone is 0';
  if (setting('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1') {
    return 'sysctl kernel.apparmor_restrict_unprivileged_userns is 1';
  }
  return existsSync('/.dockerenv') || existsSync('/run/.containerenv')
    ? 'this looks like a container, whose runtime may forbid namespaces'
    : undefined;
}

/** True where `folder` lies on a mount whose files may not be executed. */
export function forbidsPrograms(folder: string): boolean {
  let nearest = { target: '', options: '' };
  for (const line of readText('/proc/self/mountinfo').split('\n')) {
    const [, , , , target = '', options = ''] = line.split(' ');
    const covers = target === '/' || folder === target || folder.startsWith(`${target}/`);
    // Of mounts on one place the last is on top.
    if (covers && target.length >= nearest.target.length) nearest = { target, options };
  }
  return nearest.options.split(',').includes('noexec');
}

/** Text of a file; empty where there is none or it may not be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // all callers take absence for an answer
  }
}

/** Under the names that Node asks the loader for, which the kernel's memory map does not tell. */
function loadedLibraries(): readonly string[] {
  // Without this the report looks up names of every open connection.
  Object.assign(process.report, { excludeNetwork: true });
  const report: unknown = process.report.getReport();
  const objects: unknown = typeof report === 'object' && report !== null && 'sharedObjects' in report ? report.sharedObjects : [];
  if (!Array.isArray(objects)) return [];
  return objects.filter((path) => typeof path === 'string' && path.startsWith('/') && /\/[^/]+\.so(?:\.[\d.]+)?$/.test(path));
}

function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined; // a uid without an account
  }
}

function ancestors(folder: string): readonly string[] {
  return folder === '/' ? ['/'] : [folder, ...ancestors(dirname(folder))];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // not there, or not for us
  }
}
