// `yadokari steps`: a build config of Google Cloud Build, or a task of ACR, done here: all of it is checked before the first step.
import { randomUUID } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { BuilderError, inWords, orElse } from '../../errors.ts';
import { readSmallFileSync } from '../../small-file.ts';
import { readAcrTask } from '../../steps/acr-task.ts';
import { readCloudBuild } from '../../steps/cloud-build.ts';
import { type StepsFile, refuseIn } from '../../steps/step.ts';
import { readPlacedYaml } from '../../yaml.ts';
import { type CommandInput, flagsOf } from '../command.ts';
import { parseFlags } from '../flags.ts';
import { type CommandOf, argvOf, environmentOf, findPlace } from './step-place.ts';
import { type StepScope, describeSteps, runSteps } from './step-runner.ts';
import { type Environment, Settings } from '../settings.ts';

const limitBytes = 4 * 1024 * 1024;
const usualNames = ['cloudbuild.yaml', 'cloudbuild.yml', 'cloudbuild.json', 'acr-task.yaml', 'acr-task.yml', 'acb.yaml'];

/** Gives the status of the first step that failed, or 0. @throws ERR_USAGE naming the line of what can't be done */
export async function runStepsCommand(input: CommandInput, commandOf: CommandOf): Promise<number> {
  const { settings, positionals, report, stdout } = input;
  const [folder = '.', ...others] = positionals;
  if (others.length > 0)
    throw new BuilderError('ERR_USAGE', `Cannot run steps: ${positionals.length} folders are named, and one is needed`);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new BuilderError('ERR_USAGE', `Cannot run steps in ${folder}: it is no folder`, { hint: 'the source is a folder that is here' });
  const place = findPlace(resolve(folder), input);
  const file = readFile(input, folder);
  const scope = { place, input, commandOf };
  checkCommands(file, scope);
  if (file.inert.size > 0) {
    const reasons = [...file.inert].map(([name, reason]) => `${name} (${reason})`);
    report.emit({ kind: 'note', level: 'info', message: `without effect here: ${reasons.join('; ')}` });
  }
  if (settings.boolean('dry-run')) {
    stdout.write(describeSteps(file));
    return 0;
  }
  return await runSteps(file, scope);
}

/** Flags are read as they will be; what is wrong with one is told with its line. @throws ERR_USAGE */
function checkCommands(file: StepsFile, { place, input, commandOf }: StepScope): void {
  for (const { line, actions, env } of file.steps) {
    for (const action of actions) {
      if (action.kind === 'image') continue;
      try {
        readLine(commandOf(argvOf(action, place, { flags: input.flags, commandOf })), environmentOf(env, place));
      } catch (error) {
        if (!(error instanceof BuilderError)) throw error;
        refuseIn(file.path)(line, error.message, error.hint);
      }
    }
  }
}

function readLine({ command, rest }: ReturnType<CommandOf>, env: Environment): Settings {
  const table = flagsOf(command);
  return new Settings(parseFlags(rest, table, command.endsAtOperand), table, env);
}

function readFile({ settings, env }: CommandInput, folder: string): StepsFile {
  const path = findFile(settings.text('file'), folder);
  const text = orElse(() => readSmallFileSync(path, limitBytes), inWords('ERR_USAGE', `Cannot read ${path}`)).toString('utf8');
  const fail = (why: string): BuilderError => new BuilderError('ERR_USAGE', `Cannot read ${path}: ${why}`);
  const id = settings.text('id');
  const isTask =
    /^version\s*:/m.test(text) || (/^[-{\s]*["']?(?:build|cmd|push)["']?\s*:/m.test(text) && !/["'{\s]name["']?\s*:/.test(text));
  if (isTask)
    return readAcrTask(text, {
      path,
      fail,
      env,
      runId: id ?? randomUUID().slice(0, 8),
      now: new Date(),
      values: settings.pairs('set'),
      secrets: new Map(settings.list('set-secret').map((item) => secretOf(item, env))),
      registry: settings.text('registry') ?? '',
    });
  const [project, region] = [settings.text('project'), settings.text('region')];
  return readCloudBuild(readPlacedYaml(text, fail), {
    path,
    substitutions: new Map(settings.list('substitutions').flatMap(substitutionsOf)),
    env: { ...env, ...(project === undefined ? {} : { PROJECT_ID: project }), ...(region === undefined ? {} : { LOCATION: region }) },
    buildId: id ?? randomUUID(),
  });
}

/** As given, from here or from the folder. @throws ERR_USAGE */
function findFile(asked: string | undefined, folder: string): string {
  if (asked !== undefined) {
    const found = [asked, join(folder, asked)].find((path) => existsSync(path));
    if (found === undefined) throw new BuilderError('ERR_USAGE', `Cannot read --file ${asked}: it does not exist`);
    return found;
  }
  const [found, other] = usualNames.map((name) => join(folder, name)).filter((path) => existsSync(path));
  if (found !== undefined && other === undefined) return found;
  const state = found === undefined ? `none of ${usualNames.join(', ')} is in ${folder}` : `both ${found} and ${other} are there`;
  throw new BuilderError('ERR_USAGE', `Cannot choose a file of steps: ${state}`, { hint: '--file FILE' });
}

/** A value may have commas, too. */
function substitutionsOf(item: string): readonly [string, string][] {
  return item.split(/,(?=[A-Z_][A-Z0-9_]*=)/).map((pair) => {
    const [, name, value] = /^([A-Z_][A-Z0-9_]*)=(.*)$/s.exec(pair) ?? [];
    if (name !== undefined && value !== undefined) return [name, value];
    throw new BuilderError('ERR_USAGE', `Cannot use --substitutions ${JSON.stringify(pair)}: expected _NAME=VALUE,…`);
  });
}

function secretOf(item: string, env: Environment): [string, string] {
  const [, name = item, value] = /^([^=]+)=(.*)$/s.exec(item) ?? [];
  const found = value ?? env[name];
  if (found !== undefined) return [name, found];
  throw new BuilderError('ERR_USAGE', `Cannot use --set-secret ${name}: the environment has no such variable`);
}
