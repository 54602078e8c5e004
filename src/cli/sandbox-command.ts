// `yadokari build` outside a container: the same command line, its paths translated, in a throwaway root.
import { existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { BuilderError } from '../errors.ts';
import { runInSandbox } from '../sandbox/launch.ts';
import { sandboxPath, type VisiblePath } from '../sandbox/plan.ts';
import type { CommandInput } from './build-command.ts';

/** Variables that a build inside may need; the rest of the host's environment stays outside. */
const passedVariables =
  /^(?:(?:https?|ftp|all|no)_proxy|KANIKO_\w+|DOCKER_AUTH_CONFIG|CI_REGISTRY\w*|SOURCE_DATE_EPOCH|UPSTREAM_CLIENT_TYPE|GIT_\w+|TZ|NO_COLOR)$/i;

/** Runs this very command in a sandbox and gives its status. @throws ERR_UNSUPPORTED where there can be none */
export async function runBuildInSandbox(
  input: CommandInput,
  around: { readonly mainPath: string; readonly reason: string },
): Promise<number> {
  const { report, env, signal } = input;
  if (input.settings.has('kaniko-dir')) {
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot honour --kaniko-dir here: a build outside a container has a folder of its own');
  }
  report.emit({ kind: 'note', level: 'debug', message: `building in a throwaway root: ${around.reason}` });
  const translation = translate(input, process.cwd());
  try {
    return await runInSandbox(
      {
        nodePath: process.execPath,
        mainPath: around.mainPath,
        invocation: { argv: ['build', ...translation.argv], env: { ...passedEnvironment(env, translation), ...translation.env } },
        visible: translation.visible,
      },
      report.emit,
      signal,
    );
  } finally {
    report.close();
  }
}

interface Translation {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly visible: readonly VisiblePath[];
}

type Rewrite = (value: string, show: (path: string, mode: 'ro' | 'rw', kind?: 'file' | 'folder') => string) => string;

/** How the value of each flag that names a path is rewritten; every other flag is passed as it is. */
const rewrites: Readonly<Record<string, Rewrite>> = {
  context: (value, show) => rewritePlace(value, show),
  ignorefile: (value, show) => show(value, 'ro'),
  'oci-layout-path': (value, show) => show(value, 'rw', 'folder'),
  'tar-path': (value, show) => showParent(value, show),
  'digest-file': (value, show) => showParent(value, show),
  'image-name-with-digest-file': (value, show) => showParent(value, show),
  'image-name-tag-with-digest-file': (value, show) => showParent(value, show),
  secret: (value, show) =>
    value.replace(/(^|,)(src|source)=([^,]+)/, (_, comma: string, key: string, path: string) => `${comma}${key}=${show(path, 'ro')}`),
  ssh: (value, show) => value.replace(/=(.+)$/, (_, path: string) => `=${show(path, 'ro')}`),
  'build-context': (value, show) => value.replace(/=(.+)$/, (_, place: string) => `=${rewritePlace(place, show)}`),
  'registry-certificate': (value, show) => value.replace(/=(.+)$/, (_, path: string) => `=${show(path, 'ro')}`),
  'registry-client-cert': (value, show) =>
    value.replace(
      /=(.+)$/,
      (_, paths: string) =>
        `=${paths
          .split(',')
          .map((path) => show(path, 'ro'))
          .join(',')}`,
    ),
};

/** The command line as the process inside must get it, and what of the host it must see. @throws ERR_CONTEXT for a missing path */
export function translate(input: Pick<CommandInput, 'flags' | 'positionals' | 'env'>, workingDirectory: string): Translation {
  const visible: VisiblePath[] = [];
  const show = (path: string, mode: 'ro' | 'rw', kind?: 'file' | 'folder'): string => {
    const absolute = resolve(workingDirectory, path);
    if (kind === undefined && !existsSync(absolute)) throw new BuilderError('ERR_CONTEXT', `Cannot use ${path}: it does not exist`);
    visible.push({ path: absolute, mode, kind: kind ?? (statSync(absolute).isDirectory() ? 'folder' : 'file') });
    return sandboxPath(absolute);
  };
  const argv: string[] = [];
  const context = input.flags.get('context')?.at(-1) ?? input.positionals[0] ?? '.';
  for (const [name, values] of input.flags) {
    if (name === 'context') continue;
    for (const value of values)
      argv.push(
        `--${name}=${name === 'dockerfile' ? rewriteDockerfile(value, workingDirectory, show) : (rewrites[name]?.(value, show) ?? value)}`,
      );
  }
  argv.push(`--context=${rewritePlace(context, show)}`);
  const env: Record<string, string> = { YADOKARI_WORKING_DIRECTORY: sandboxPath(workingDirectory) };
  const agent = input.env['SSH_AUTH_SOCK'];
  if (agent !== undefined && agent !== '' && existsSync(agent)) env['SSH_AUTH_SOCK'] = show(agent, 'ro');
  for (const folder of [input.env['DOCKER_CONFIG'], join(input.env['HOME'] ?? homedir(), '.docker')]) {
    if (folder === undefined || folder === '' || !existsSync(join(folder, 'config.json'))) continue;
    env['DOCKER_CONFIG'] = show(folder, 'ro');
    break;
  }
  return { argv, env, visible };
}

function rewritePlace(place: string, show: Parameters<Rewrite>[1]): string {
  const match = /^(dir|tar|oci-layout):\/\/(.+)$/.exec(place);
  if (match !== null) {
    const [, scheme = '', rest = ''] = match;
    if (rest === 'stdin') return place;
    if (scheme !== 'oci-layout') return `${scheme}://${show(rest, 'ro')}`;
    const suffix = /(?::[\w.-]+|@sha\d+:[0-9a-f]+)$/.exec(rest)?.[0] ?? '';
    return `oci-layout://${show(rest.slice(0, rest.length - suffix.length), 'ro')}${suffix}`;
  }
  const isLocal = !/^[a-z+-]+:\/\/|^[\w.-]+@[\w.-]+:/.test(place);
  return isLocal ? show(place, 'ro') : place;
}

function rewriteDockerfile(value: string, workingDirectory: string, show: Parameters<Rewrite>[1]): string {
  if (value === '-' || !existsSync(resolve(workingDirectory, value))) return value;
  const ignore = `${resolve(workingDirectory, value)}.dockerignore`;
  if (existsSync(ignore)) show(ignore, 'ro');
  return show(value, 'ro');
}

/** A file that is to be made: its folder is shown, since a file that isn't there can't be. */
function showParent(path: string, show: Parameters<Rewrite>[1]): string {
  const absolute = resolve(path);
  return join(show(dirname(absolute), 'rw', 'folder'), absolute.slice(dirname(absolute).length));
}

function passedEnvironment(env: Readonly<Record<string, string | undefined>>, translation: Translation): Readonly<Record<string, string>> {
  const passed: Record<string, string> = {};
  // --build-arg NAME and --secret id=…,env=NAME take their values from the environment of the command.
  const named = translation.argv.flatMap(
    (word) =>
      /^--build-arg=(\w+)$/.exec(word)?.[1] ?? /^--secret=.*\benv=(\w+)/.exec(word)?.[1] ?? /^--secret=id=(\w+)$/.exec(word)?.[1] ?? [],
  );
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (passedVariables.test(name) || named.includes(name))) passed[name] = value;
  }
  return passed;
}
