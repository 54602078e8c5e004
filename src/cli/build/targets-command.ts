// A build with `--targets-file`: one target of it where an Indexed Job says which, else the chosen ones, one after the other.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { BuilderError, inWords, orElse } from '../../errors.ts';
import { configPaths } from '../../registry/credentials.ts';
import type { CommandInput } from '../command.ts';
import type { Environment } from '../settings.ts';
import { type Target, parseTargetsFile } from './targets-file.ts';
import { readSmallFileSync } from '../../small-file.ts';

const limitBytes = 4 * 1024 * 1024;
/** What a file of targets says itself. */
const ofTargets = ['context', 'dockerfile', 'target', 'destination', 'bucket'] as const;
/** What is written about, or of, one image. */
const ofOneImage = [
  ...'digest-file image-name-with-digest-file image-name-tag-with-digest-file metadata-file iidfile oci-layout-path tar-path'.split(' '),
  ...'output cache-explain events-file report junit-file dotenv-file'.split(' '),
];
/** Whose items are told apart by their names; of other flags the command line's words take the place of the file's. */
const merged: ReadonlySet<string> = new Set(['build-arg', 'label', 'annotation', 'build-context']);
const placeholder = '{target}';

/** Builds them by the same command line each; the status of the first that failed, or 0. @throws ERR_USAGE, ERR_UNSUPPORTED */
export async function runTargets(input: CommandInput, form: 'executor' | 'build'): Promise<number> {
  const { settings, report, env } = input;
  const targets = chosenTargets(input);
  for (const flag of ofTargets)
    if (settings.has(flag)) throw new BuilderError('ERR_USAGE', `Cannot combine --targets-file with --${flag}: each target has its own`);
  if (input.positionals.length > 0)
    throw new BuilderError(
      'ERR_USAGE',
      `Cannot combine --targets-file with the context ${input.positionals[0] ?? ''}: each target has its own`,
    );
  const shared =
    targets.length === 1 ? undefined : ofOneImage.find((flag) => settings.list(flag).some((value) => !value.includes(placeholder)));
  if (shared !== undefined)
    throw new BuilderError('ERR_USAGE', `Cannot write --${shared} for ${targets.length} targets: each would replace the one before`, {
      hint: `--${shared}=…/${placeholder} names a file for each`,
    });
  const credentials = readCredentials(env);
  for (const [position, target] of targets.entries()) {
    report.line('info', `target ${target.name} (${position + 1} of ${targets.length})`);
    const argv = [...(form === 'build' ? ['build'] : []), ...wordsOf(target, input)];
    const status = await input.again({ argv, env: { ...env, ...credentials() } });
    if (status === 0) continue;
    const left = targets.slice(position + 1).map(({ name }) => name);
    const after = left.length === 0 ? '' : `; not built: ${left.join(', ')}`;
    report.line('error', `error: target ${target.name} failed${after}`);
    return status;
  }
  return 0;
}

function chosenTargets({ settings, env }: CommandInput): readonly Target[] {
  const path = settings.text('targets-file');
  if (path === undefined)
    throw new BuilderError('ERR_USAGE', 'Cannot use --targets: there is no --targets-file', {
      hint: '--target names a stage of a Dockerfile',
    });
  const bytes = orElse(() => readSmallFileSync(path, limitBytes), inWords('ERR_USAGE', `Cannot read --targets-file ${path}`));
  const targets = parseTargetsFile(bytes.toString('utf8'), path, env).choose(settings.list('targets'));
  const index = env['JOB_COMPLETION_INDEX'];
  if (index === undefined || index === '') return targets;
  const chosen = /^\d{1,9}$/.test(index) ? targets[Number(index)] : undefined;
  if (chosen !== undefined) return [chosen];
  throw new BuilderError('ERR_USAGE', `Cannot choose a target by JOB_COMPLETION_INDEX=${index}: ${path} has ${targets.length}`, {
    hint: `set the Job's completions to ${targets.length}`,
  });
}

function wordsOf({ name, flags }: Target, input: Pick<CommandInput, 'flags'>): readonly string[] {
  const given = [...input.flags].filter(([flag]) => flag !== 'targets-file' && flag !== 'targets');
  const isOwn = (flag: string): boolean => merged.has(flag) || !input.flags.has(flag);
  return [
    ...flags.flatMap(([flag, value]) => (isOwn(flag) ? [`--${flag}=${value}`] : [])),
    ...given.flatMap(([flag, values]) =>
      (values.length === 0 ? [''] : values).map((value) => `--${flag}=${value.replaceAll(placeholder, name)}`),
    ),
  ];
}

/** A build may take away the file with credentials (`login --once`), or the root that it was in: the next one is told what it said. */
function readCredentials(env: Environment): () => Environment {
  const path = configPaths(env).find((each) => existsSync(each));
  if (path === undefined || (env['DOCKER_AUTH_CONFIG'] ?? '') !== '') return () => ({});
  const text = statSync(path).size <= limitBytes ? readFileSync(path, 'utf8') : '';
  return () => (existsSync(path) ? {} : { DOCKER_AUTH_CONFIG: text });
}
