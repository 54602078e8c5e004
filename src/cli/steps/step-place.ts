// Where steps are done: a folder that all of them have as /workspace, a store of images, and in what the command lines differ there.
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { appFolder, findContainerSign, insideContainer, realSurroundings } from '../../sandbox/detect.ts';
import type { CommandAction } from '../../steps/step.ts';
import { type ImageStore, imageStore } from '../../store/image-store.ts';
import { type Command, type CommandInput, flagsOf } from '../command.ts';
import type { FlagSpec } from '../flags.ts';
import type { Environment } from '../settings.ts';
import { logFlags } from '../tables/log.ts';
import { storeOf } from '../requests/store-request.ts';
import { hostFlags } from '../tables/registry.ts';

/** What the services call the folder with the source. */
export const workspaceName = '/workspace';

/** The command that a line asks for, and the words after its name. */
export type CommandOf = (argv: readonly string[]) => { readonly command: Command; readonly rest: readonly string[] };

export interface StepPlace {
  /** The folder with the source, absolute. */
  readonly workspace: string;
  /** In a container of the builder's own, where no others can be made. */
  readonly isPod: boolean;
  readonly store: ImageStore;
  /** What commands get besides the variables of their step. */
  readonly env: Environment;
}

export function findPlace(workspace: string, { settings, env }: Pick<CommandInput, 'settings' | 'env'>): StepPlace {
  const mainPath = realpathSync(process.argv[1] ?? '');
  const sign = findContainerSign(realSurroundings(env['container']));
  const isPod = insideContainer({ mainPath, isSandboxed: false, isForced: false, sign }).isInside;
  // A builder in a container has no store, as it has no volume for one: images wait in its own folder for the step that pushes them.
  const store = isPod && !settings.has('root') ? imageStore(join(dirname(appFolder), 'steps-images')) : storeOf(settings, env);
  return { workspace, isPod, store, env: { ...env, YADOKARI_ROOT: store.folder } };
}

/** A step's command line as it has to be here, with the flags about registries and the log that were given to all. */
export function argvOf(
  { argv }: CommandAction,
  { workspace }: StepPlace,
  { flags, commandOf }: { readonly flags: CommandInput['flags']; readonly commandOf: CommandOf },
): readonly string[] {
  const { command, rest } = commandOf(argv);
  const known = flagsOf(command).map(({ name }) => name);
  const shared = wordsOf([...hostFlags.filter(({ name }) => known.includes(name)), ...logFlags], flags);
  return [...argv.slice(0, argv.length - rest.length), ...shared, ...rest.map((word) => inWorkspace(word, workspace))];
}

/** Those of these flags that were given, as words. */
export function wordsOf(specs: readonly FlagSpec[], flags: CommandInput['flags']): readonly string[] {
  return specs.flatMap(({ name }) => (flags.get(name) ?? []).map((value) => `--${name}=${value}`));
}

/** A step's variables over those of the command. */
export function environmentOf(env: ReadonlyMap<string, string>, place: StepPlace): Environment {
  const own = [...env].map(([name, value]): [string, string] => [name, inWorkspace(value, place.workspace)]);
  return { ...place.env, ...Object.fromEntries(own) };
}

/** `/workspace` is this folder: `/workspace/app`, `--context=dir:///workspace`, `type=local,dest=/workspace/out`. */
function inWorkspace(word: string, workspace: string): string {
  return word.replaceAll(/(^|[=,]|:\/\/)\/workspace(?=\/|,|$)/g, (_, before: string) => `${before}${workspace}`);
}
