// podman's registries.conf and policy.json as this machine has them. In the builder's image only what the environment names counts: what
// lies in /etc there is a pod's or, after a build, some image's.
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ifCode, inWords, orElse } from '../errors.ts';
import type { Emit } from '../events.ts';
import { type Policy, anythingGoes, readPolicy } from '../registry/policy.ts';
import { type ConfFile, type RegistriesConf, readRegistriesConf } from '../registry/registries-conf.ts';
import { readSmallFileSync } from '../small-file.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The files of registries.conf, one a line, where somebody has found them already; nothing else is looked for then. */
export const registriesVariable = 'YADOKARI_REGISTRIES_FILES';

/** The file of the policy, or nothing for none, where somebody has said which. */
export const policyVariable = 'YADOKARI_POLICY_FILE';

const system = '/etc/containers';
const fileLimitBytes = 1024 * 1024;

/** What they say together. @throws ERR_USAGE for a file that can't be read or understood */
export function readContainersConf(env: Environment, emit: Emit): { readonly registries: RegistriesConf; readonly policy: Policy } {
  const onWarning = (message: string): void => emit({ kind: 'warning', code: `registries ${message}`, message });
  const file = policyFile(env);
  return {
    registries: readRegistriesConf(registriesFiles(env).map(readConf), onWarning),
    policy: file === undefined ? anythingGoes : readPolicy(readConf(file).text, file),
  };
}

/** In the order in which they are read; the last one has the last word. containers-registries.conf.d(5) */
export function registriesFiles(env: Environment): readonly string[] {
  const found = env[registriesVariable];
  if (found !== undefined) return found.split('\n').filter((path) => path !== '');
  const named = env['CONTAINERS_REGISTRIES_CONF'] || env['REGISTRIES_CONFIG_PATH'];
  if (isOwnImage()) return named ? [named] : [];
  const own = ownFolder(env);
  const ofUser = join(own, 'registries.conf');
  // Who has a file of his own doesn't want the machine's folder either.
  const isUsers = !named && existsSync(ofUser);
  const main = named || (isUsers ? ofUser : join(system, 'registries.conf'));
  const folders = isUsers ? [own] : [system, own];
  const more = folders.flatMap((folder) => confFiles(join(folder, 'registries.conf.d')));
  return [...(named || existsSync(main) ? [main] : []), ...more];
}

/** Undefined where there is none. */
export function policyFile(env: Environment): string | undefined {
  const named = env[policyVariable];
  if (named !== undefined) return named === '' ? undefined : named;
  if (isOwnImage()) return undefined;
  return [ownFolder(env), system].map((folder) => join(folder, 'policy.json')).find((path) => existsSync(path));
}

/** Where the image has its code, and the sandbox of a build shows it. */
export function isOwnImage(): boolean {
  return import.meta.dirname.startsWith('/kaniko/');
}

function ownFolder(env: Environment): string {
  return join(env['HOME'] || homedir(), '.config/containers');
}

function confFiles(folder: string): readonly string[] {
  const names = orElse(() => readdirSync(folder), ifCode(['ENOENT', 'ENOTDIR'], [], inWords('ERR_USAGE', `Cannot read ${folder}`)));
  return names
    .filter((name) => name.endsWith('.conf'))
    .toSorted()
    .map((name) => join(folder, name));
}

function readConf(path: string): ConfFile {
  const bytes = orElse(() => readSmallFileSync(path, fileLimitBytes), inWords('ERR_USAGE', `Cannot read ${path}`));
  return { path, text: bytes.toString('utf8') };
}
