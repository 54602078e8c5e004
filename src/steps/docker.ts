// Steps whose image is a builder: what docker and kaniko are asked there, as command lines of our own.
import { parseReference } from '../oci/reference.ts';
import { type RefuseScript, parseScript } from './shell-script.ts';
import type { CommandAction } from './step.ts';

/** A program that is done here instead of being run from an image. */
export type Builder = 'docker' | 'kaniko' | 'warmer';

/** Undefined for any other image. */
export function builderOf(image: string): Builder | undefined {
  const name = image.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
  if (/^(?:gcr\.io\/cloud-builders\/|(?:(?:docker\.io|mirror\.gcr\.io)\/)?(?:library\/)?)docker$/.test(name)) return 'docker';
  if (/(?:^|\/)kaniko-project\/warmer$/.test(name)) return 'warmer';
  return /(?:^|\/)(?:kaniko-project\/executor|kaniko|yadokari)$/.test(name) ? 'kaniko' : undefined;
}

/** What a step asks of a builder; without an entry point the arguments are its. */
export interface BuilderCall {
  readonly builder: Builder;
  readonly entrypoint?: string;
  readonly args: readonly string[];
  readonly script?: string;
  readonly env: ReadonlyMap<string, string>;
}

/** @throws what `refuse` throws, for what can't be done without an engine */
export function builderActions(call: BuilderCall, refuse: (why: string, hint?: string) => never): readonly CommandAction[] {
  const { builder, entrypoint, args, env } = call;
  const program = (entrypoint ?? '').split('/').at(-1) ?? '';
  if (builder !== 'docker') {
    const own = builder === 'warmer' ? 'warmer' : 'executor';
    if (call.script !== undefined || !['', own, 'yadokari'].includes(program))
      refuse(`the image of ${builder} runs its own program only`, "leave out entrypoint and script, and give the program's flags as args");
    return [
      command(
        builder === 'warmer'
          ? ['warmer', ...args]
          : program === 'yadokari' || args[0]?.startsWith('-') === false
            ? args
            : withContext(args),
      ),
    ];
  }
  const script = call.script ?? scriptOf(program, args);
  if (script === undefined) {
    if (!['', 'docker'].includes(program))
      refuse(`${entrypoint} of the docker image can't be run: there is no engine here that it could reach`);
    return dockerActions(args, refuse);
  }
  const refuseScript: RefuseScript = (why) =>
    refuse(why, 'a step for each docker command, or the other commands in a step with an image of theirs');
  return parseScript(script.replace(/^#![^\n]*/, ''), env, refuseScript).flatMap(({ words: [first = '', ...rest], mayFail }) => {
    if (first !== 'docker') return refuseScript(`${first} in a script of the docker image: there only docker's commands are done here`);
    return dockerActions(rest, refuse).map((action) => ({ ...action, mayFail }));
  });
}

/** The script of `bash -c SCRIPT`. */
function scriptOf(program: string, args: readonly string[]): string | undefined {
  if (!['sh', 'bash', 'ash'].includes(program)) return undefined;
  const position = args.findIndex((word) => /^-\w*c\w*$/.test(word));
  return position === -1 || args.slice(0, position).some((word) => !word.startsWith('-')) ? undefined : args[position + 1];
}

/** By docker's words: ours, or none where there is nothing to do. */
const dockerCommands: ReadonlyMap<string, string | undefined> = new Map<string, string | undefined>([
  ...['build', 'buildx build', 'image build', 'builder build'].map((name): [string, string] => [name, 'build']),
  ...['push', 'image push'].map((name): [string, string] => [name, 'push']),
  ...['pull', 'image pull'].map((name): [string, string] => [name, 'pull']),
  ...['tag', 'image tag'].map((name): [string, string] => [name, 'tag']),
  ...['images', 'image ls'].map((name): [string, string] => [name, 'images']),
  ...['rmi', 'image rm'].map((name): [string, string] => [name, 'rmi']),
  ...['save', 'load', 'login', 'logout', 'history', 'version'].map((name): [string, string] => [name, name]),
  ...['create', 'annotate', 'push', 'inspect', 'rm'].map((verb): [string, string] => [`manifest ${verb}`, `manifest ${verb}`]),
  ...['create', 'use', 'inspect', 'install', 'ls', 'rm', 'version'].map((verb): [string, undefined] => [`buildx ${verb}`, undefined]),
]);

const instead: Readonly<Record<string, string>> = {
  run: 'a step whose name (or cmd) is that image runs a command of it',
  compose: 'a step for each service that has to be built',
  exec: 'a step whose name is the image',
};

/** `docker` with these arguments. */
function dockerActions(args: readonly string[], refuse: (why: string, hint?: string) => never): readonly CommandAction[] {
  const two = args.slice(0, 2).join(' ');
  const found = [two, args[0] ?? ''].find((name) => dockerCommands.has(name));
  if (found === undefined)
    return refuse(
      `docker ${args[0] ?? 'without arguments'} can't be done without an engine`,
      instead[args[0] ?? ''] ?? 'build, push, pull, tag, login, save, load and others can',
    );
  const ours = dockerCommands.get(found);
  const rest = args.slice(found.split(' ').length);
  if (ours === undefined) return [];
  if (ours === 'build') return [command(['build', ...buildWords(rest)])];
  if (ours === 'push') return [command(['push', ...pushWords(rest, refuse)])];
  return [command([...ours.split(' '), ...rest])];
}

function command(argv: readonly string[]): CommandAction {
  return { kind: 'command', argv, mayFail: false };
}

/**
 * Without what only an engine has a use for. What --cache-from names there is an image with its tag, here a repository in which results
 * are.
 */
function buildWords(words: readonly string[]): readonly string[] {
  return words.flatMap((word, position) => {
    const flag = words[position - 1];
    if (word === 'cloudbuild' && flag === '--network') return ['default'];
    const [, name = '', value = word] = /^(--cache-from=)(.*)$/s.exec(word) ?? [];
    if ((name !== '' || flag === '--cache-from') && !value.includes('type=')) return [`${name}${value.replace(/@.*$|:[\w.-]+$/, '')}`];
    return ['--network=cloudbuild', '--load', '--load=true'].includes(word) ? [] : [word];
  });
}

/** A name without a registry is Docker Hub's, as docker has it. */
function pushWords(words: readonly string[], refuse: (why: string, hint?: string) => never): readonly string[] {
  const names = words.filter((word) => !word.startsWith('-'));
  const [name] = names;
  if (names.length !== 1 || name === undefined) return refuse(`docker push needs one name, and has ${names.length}`);
  if (words.includes('--all-tags') || words.includes('-a'))
    refuse('docker push --all-tags is not done here', 'push each name that the build gave');
  return [...words.filter((word) => word !== '--disable-content-trust'), ...destinationOf(name)];
}

/** Where an image is pushed to whose name alone doesn't say so. */
export function destinationOf(name: string, registry = 'docker.io'): readonly string[] {
  if (/^(?:localhost|[^/]*[.:][^/]*)\//.test(name)) return [];
  const { repository } = parseReference(`${registry}/${name}`);
  const tag = /:[^/]*$/.exec(name)?.[0] ?? ':latest';
  return [`docker://${registry}/${repository}${tag}`];
}

/** kaniko's own default is /workspace, which is elsewhere here. */
function withContext(args: readonly string[]): readonly string[] {
  return args.some((word) => /^(?:--context|-c|--bucket|-b)(?:=|$)/.test(word)) ? args : [...args, '--context=/workspace'];
}
