// One question to a docker-credential-* program: the server on its stdin, JSON on its stdout, and what it has to complain of on stderr.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { type Json, parseJson } from '../oci/json.ts';
import { type Credential, fromUserAndSecret, normalizeKey } from './docker-config.ts';

/** A program that was found, and what tells it from another one that is put in its place. */
export interface Program {
  /** Absolute. */
  readonly path: string;
  readonly identity: string;
}

export interface Helper {
  readonly name: string;
  readonly program: Program;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly helperTimeoutMs?: number;
  readonly onWarning?: (message: string) => void;
}

const outputLimitBytes = 1024 * 1024;
/** Of stderr the end is kept: that is where programs say why they gave up. */
const complaintLimit = 4096;
const shownCharacters = 500;

/** The programs of these helpers in the folders of PATH, for those that are there. */
export async function findHelpers(names: ReadonlySet<string>, path: string): Promise<ReadonlyMap<string, Program>> {
  const helpers = new Map<string, Program>();
  for (const name of names) {
    for (const dir of path.split(':')) {
      if (!dir.startsWith('/')) continue;
      const candidate = join(dir, `docker-credential-${name}`);
      try {
        await access(candidate, constants.X_OK);
        helpers.set(name, { path: candidate, identity: await identityOf(candidate) });
        break;
      } catch {
        // not in this folder
      }
    }
  }
  return helpers;
}

async function identityOf(path: string): Promise<string> {
  const { dev, ino, ctimeNs } = await stat(path, { bigint: true });
  return `${dev} ${ino} ${ctimeNs}`;
}

/**
 * What the helper knows for a registry; undefined for nothing. What it wrote to stderr is part of the error, or a warning.
 * @throws ERR_AUTH when it fails, hangs or prints something else, and where another one is in its place: the image's, or a RUN's
 */
export async function askHelper(helper: Helper, registry: string, signal: AbortSignal): Promise<Credential | undefined> {
  const { path, identity } = helper.program;
  if ((await identityOf(path).catch(() => undefined)) !== identity) {
    throw new BuilderError('ERR_AUTH', `Cannot get credentials for ${registry}: ${path} is not what it was when the build began`, {
      hint: 'put the helper into /kaniko, or mount it: what the image has at its place is not run',
    });
  }
  const run = await runHelper(helper, registry, signal);
  const fail = (why: string, cause?: unknown): BuilderError => {
    const said = run.complaint === '' ? '' : `: ${run.complaint}`;
    return new BuilderError('ERR_AUTH', `Cannot get credentials for ${registry}: docker-credential-${helper.name} ${why}${said}`, {
      cause,
    });
  };
  if (run.failure !== undefined) throw fail(run.failure.why, run.failure.cause);
  if (run.exitCode === 0) {
    const found = parseOutput(run.output, fail);
    if (run.complaint !== '') helper.onWarning?.(`docker-credential-${helper.name}: ${run.complaint}`);
    return found;
  }
  // The protocol's only way to say "nothing for this host" is this text, on stdout.
  if (/credentials not found in native keychain|no credentials (?:found|server URL)/i.test(run.output)) return undefined;
  throw fail(run.exitCode === null ? 'was killed' : `failed with exit code ${run.exitCode}`);
}

interface Run {
  readonly exitCode: number | null;
  readonly output: string;
  /** One line for people, without the secret. */
  readonly complaint: string;
  readonly failure?: { readonly why: string; readonly cause?: unknown };
}

async function runHelper({ program, env, helperTimeoutMs }: Helper, registry: string, signal: AbortSignal): Promise<Run> {
  const server = normalizeKey(registry) === 'index.docker.io' ? 'https://index.docker.io/v1/' : registry;
  const timeout = AbortSignal.timeout(helperTimeoutMs ?? 30_000);
  const child = spawn(program.path, ['get'], {
    // The loader and Node variables of ours are not for a foreign program.
    env: Object.fromEntries(Object.entries(env).filter(([key]) => !/^(?:LD_|NODE_|DOCKER_AUTH_CONFIG$)/.test(key))),
    stdio: ['pipe', 'pipe', 'pipe'],
    signal: AbortSignal.any([signal, timeout]),
    killSignal: 'SIGKILL',
  });
  // A helper may exit without reading; what it printed counts.
  child.stdin.on('error', () => undefined);
  child.stdin.end(`${server}\n`);
  const { promise: exited, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('exit', resolve);
  const closed = once(child, 'close').then(() => true);
  closed.catch(() => undefined);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => (said = `${said}${String(chunk)}`.slice(-complaintLimit)));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    if (output.length <= outputLimitBytes) output += String(chunk);
    if (output.length > outputLimitBytes) child.kill('SIGKILL');
  });
  let exitCode: number | null = null;
  let failure: Run['failure'];
  try {
    exitCode = await exited;
    await restOfOutput(closed, () => output.length);
    if (output.length > outputLimitBytes) failure = { why: 'printed too much' };
  } catch (error) {
    signal.throwIfAborted();
    failure = { why: timeout.aborted ? 'took too long' : 'did not run', cause: error };
  } finally {
    child.stdout.destroy();
    child.stderr.destroy();
  }
  return { exitCode, output, complaint: readable(said, output), ...given({ failure }) };
}

/**
 * Waits for what a program that has ended left in its pipes. What it started may keep them open for ever, or print without end: so it
 * is over when nothing has come for a while, and after two seconds.
 */
async function restOfOutput(closed: Promise<boolean>, length: () => number): Promise<void> {
  for (let [round, seen] = [0, -1]; round < 10 && seen !== length(); round++) {
    seen = length();
    if (await Promise.race([closed, delay(200, false)])) return;
    // Where this thread was busy all the time, what has come meanwhile is only read now.
    await setImmediate();
  }
}

function parseOutput(output: string, fail: (why: string) => BuilderError): Credential | undefined {
  const root = jsonOf(output);
  if (root === undefined) throw fail('printed something that is not JSON');
  const user = root instanceof Map ? root.get('Username') : undefined;
  const secret = root instanceof Map ? root.get('Secret') : undefined;
  if (typeof user !== 'string' || typeof secret !== 'string') throw fail('printed no Username and Secret');
  return user === '' && secret === '' ? undefined : fromUserAndSecret(user, secret);
}

/** On one line, and without what the helper gave as the secret: some repeat their answer when they are told to be verbose. */
function readable(said: string, output: string): string {
  const root = jsonOf(output);
  const secret = root instanceof Map ? root.get('Secret') : undefined;
  const safe = typeof secret === 'string' && secret !== '' ? said.replaceAll(secret, '…') : said;
  return safe
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(-shownCharacters);
}

function jsonOf(text: string): Json | undefined {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
