// podman's registries.conf, policy.json and registries.d as this machine has them. In the builder's image only what the environment names counts: what
// lies in /etc there is a pod's or, after a build, some image's.
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BuilderError, ifCode, inWords, orElse } from '../errors.ts';
import type { Emit } from '../events.ts';
import { type ConfFile, type RegistriesConf, readRegistriesConf } from '../registry/registries-conf.ts';
import { namedPlace } from '../cloud/held-file.ts';
import { readSmallFileSync } from '../small-file.ts';
import { type AttachmentRules, noAttachmentRules, readAttachmentRules } from '../trust/attachment-rules.ts';
import { type Policy, anythingGoes, readPolicy } from '../trust/policy.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The files of registries.conf, one a line, where somebody has found them already; nothing else is looked for then. */
export const registriesVariable = 'YADOKARI_REGISTRIES_FILES';

/** The file of the policy, or nothing for none, where somebody has said which. */
export const policyVariable = 'YADOKARI_POLICY_FILE';

/** The files of registries.d, one a line, or its folder, where somebody has said which. */
export const attachmentsVariable = 'YADOKARI_REGISTRIES_D';

const system = '/etc/containers';
const fileLimitBytes = 1024 * 1024;

/** What they say together. @throws ERR_USAGE for a file that can't be read or understood */
export function readContainersConf(
  env: Environment,
  emit: Emit,
): { readonly registries: RegistriesConf; readonly policy: Policy; readonly rules: AttachmentRules } {
  const onWarning = (message: string): void => emit({ kind: 'warning', code: `registries ${message}`, message });
  const file = policyFile(env);
  const rules = readAttachmentRules(attachmentFiles(env).map(readConf));
  const readKey = (path: string): string => readConf(namedPlace(path, env)).text;
  return {
    registries: readRegistriesConf(registriesFiles(env).map(readConf), onWarning),
    policy: file === undefined ? anythingGoes : readPolicy(readConf(file), { rules, readKey }),
    rules,
  };
}

/** The files with keys that a policy names, as it names them; none where it can't be read, which is told where it is. */
export function policyKeyFiles(file: string): readonly string[] {
  const paths: string[] = [];
  const readKey = (path: string): string => {
    paths.push(path);
    throw new BuilderError('ERR_USAGE', `Cannot use the key ${path}: nobody reads it here`);
  };
  orElse(
    () => readPolicy(readConf(file), { rules: noAttachmentRules, readKey }),
    () => undefined,
  );
  return paths;
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

/** Those of registries.d; the user's folder stands in place of the machine's. @throws ERR_USAGE for one that can't be read */
export function attachmentFiles(env: Environment): readonly string[] {
  const named = env[attachmentsVariable]?.split('\n').filter((path) => path !== '');
  const usual = isOwnImage() ? [] : [ownFolder(env), system].map((folder) => join(folder, 'registries.d'));
  const places = named ?? usual.filter((path) => existsSync(path)).slice(0, 1);
  return places.flatMap((path) => (path.endsWith('.yaml') ? [path] : confFiles(path, '.yaml')));
}

/** Where the image has its code, and the sandbox of a build shows it. */
export function isOwnImage(): boolean {
  return import.meta.dirname.startsWith('/kaniko/');
}

function ownFolder(env: Environment): string {
  return join(env['HOME'] || homedir(), '.config/containers');
}

function confFiles(folder: string, suffix = '.conf'): readonly string[] {
  const names = orElse(() => readdirSync(folder), ifCode(['ENOENT', 'ENOTDIR'], [], inWords('ERR_USAGE', `Cannot read ${folder}`)));
  return names
    .filter((name) => name.endsWith(suffix))
    .toSorted()
    .map((name) => join(folder, name));
}

function readConf(path: string): ConfFile {
  const bytes = orElse(() => readSmallFileSync(path, fileLimitBytes), inWords('ERR_USAGE', `Cannot read ${path}`));
  return { path, text: bytes.toString('utf8') };
}
