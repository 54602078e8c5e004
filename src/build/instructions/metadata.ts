// The instructions that only change the config: each a pure function of the instruction and the state before it.
import { BuilderError, DockerfileError } from '../../errors.ts';
import type {
  ArgInstruction,
  Command,
  CopyInstruction,
  RunInstruction,
  CommandInstruction,
  EnvInstruction,
  HealthcheckInstruction,
  Instruction,
  LabelInstruction,
  WordInstruction,
  WordsInstruction,
} from '../../dockerfile/instruction.ts';
import { parsePort } from '../../dockerfile/ports.ts';
import { parseSignal } from '../../dockerfile/signals.ts';
import type { Healthcheck, NameSet, RunConfig } from '../../oci/run-config.ts';
import type { Effect, StageState } from '../effect.ts';
import { goDuration, goList, goQuoteList } from '../../go/format.ts';
import { GrownMap } from '../../grown-map.ts';

export type MetadataInstruction = Exclude<Instruction, RunInstruction | CopyInstruction>;

export interface MetadataScope {
  /** One word expanded from the environment before this instruction. */
  readonly expand: (word: string) => string;
  /** The same from another environment: each default of an ARG sees those before it. */
  readonly expandFrom: (word: string, environment: ReadonlyMap<string, string>) => string;
  /** The same, split into words afterwards (EXPOSE). */
  readonly expandWords: (word: string) => readonly string[];
  /** The value of --build-arg. */
  readonly buildArg: (name: string) => string | undefined;
  /** Global ARGs and the automatic platform arguments. */
  readonly globalArg: (name: string) => string | undefined;
}

/**
 * The effect of an instruction that makes no layer.
 * @throws DockerfileError for values that are only known to be wrong after expansion.
 */
export function executeMetadata(instruction: MetadataInstruction, state: StageState, scope: MetadataScope): Effect {
  switch (instruction.kind) {
    case 'arg':
      return executeArg(instruction, state, scope);
    case 'env':
      return executeEnv(instruction, state, scope);
    case 'label':
      return executeLabel(instruction, state, scope);
    case 'cmd':
    case 'entrypoint':
      return executeCommand(instruction, state);
    case 'expose':
    case 'volume':
      return executeWords(instruction, state, scope);
    case 'user':
    case 'stopsignal':
    case 'maintainer':
      return executeWord(instruction, state, scope);
    case 'shell':
      return effect({ ...state, config: { ...state.config, shell: instruction.argv } }, `SHELL ${goList(instruction.argv)}`);
    case 'healthcheck':
      return executeHealthcheck(instruction, state);
    case 'onbuild': {
      const onBuild = [...(state.config.onBuild ?? []), instruction.expression];
      return { state: { ...state, config: { ...state.config, onBuild } }, touched: { kind: 'nothing' } };
    }
    case 'workdir':
      throw new BuilderError('ERR_INTERNAL', 'Cannot execute WORKDIR as metadata: it makes a folder');
    default:
      instruction satisfies never;
      throw new BuilderError('ERR_INTERNAL', 'Cannot execute an unknown kind of instruction');
  }
}

/** SHELL of the image, or the default. */
export function shellOf(config: RunConfig): readonly string[] {
  return config.shell !== undefined && config.shell.length > 0 ? config.shell : ['/bin/sh', '-c'];
}

function effect(state: StageState, createdBy: string): Effect {
  return { state, touched: { kind: 'nothing' }, history: { createdBy } };
}

/** They speak to a scanner of images, never to commands. */
const scannerNames: ReadonlySet<string> = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

function executeArg(instruction: ArgInstruction, state: StageState, scope: MetadataScope): Effect {
  let { args, environment } = state;
  const shown: string[] = [];
  for (const { name, value: written } of instruction.args) {
    const fallback = written === undefined ? scope.globalArg(name) : scope.expandFrom(written, environment);
    const value = scope.buildArg(name) ?? fallback;
    args = GrownMap.with(args, [[name, value]]);
    if (value !== undefined && !scannerNames.has(name)) environment = GrownMap.with(environment, [[name, value]]);
    shown.push(value === undefined ? name : `${name}=${value}`);
  }
  return effect({ ...state, args, environment }, `ARG ${shown.join(' ')}`);
}

function executeEnv(instruction: EnvInstruction, state: StageState, scope: MetadataScope): Effect {
  let { environment } = state;
  const env = [...state.config.env];
  // One instruction sees one environment: every value expands from what was there before it.
  const pairs = instruction.pairs.map((pair) => ({ key: scope.expand(pair.key), value: scope.expand(pair.value) }));
  for (const { key, value } of pairs) {
    if (key === '' || key.includes('='))
      throw new DockerfileError(`Cannot set a variable: ${JSON.stringify(key)} is no name`, instruction.range);
    const item = `${key}=`;
    // Of a name that nobody has used, there can only be the bare name that an image may hold.
    const index = environment.has(key) ? env.findIndex((each) => each.startsWith(item)) : env.indexOf(key);
    env[index === -1 ? env.length : index] = `${item}${value}`;
    environment = GrownMap.with(environment, [[key, value]]);
  }
  const shown = pairs.map(({ key, value }) => `${key}=${value}`).join(' ');
  return effect({ ...state, environment, config: { ...state.config, env } }, `ENV ${shown}`);
}

function executeLabel(instruction: LabelInstruction, state: StageState, scope: MetadataScope): Effect {
  const pairs = instruction.pairs.map((pair) => ({ key: scope.expand(pair.key), value: scope.expand(pair.value) }));
  const labels = GrownMap.with(
    state.config.labels,
    pairs.map(({ key, value }) => [key, value]),
  );
  const shown = pairs.map(({ key, value }) => `${key}=${value}`).join(' ');
  return effect({ ...state, config: { ...state.config, labels } }, `LABEL ${shown}`);
}

function argvOf(command: Command, config: RunConfig): readonly string[] {
  return command.form === 'exec' ? command.argv : [...shellOf(config), command.text];
}

function executeCommand(instruction: CommandInstruction, state: StageState): Effect {
  const argv = argvOf(instruction.command, state.config);
  if (instruction.kind === 'cmd') {
    const config = { ...state.config, cmd: argv, argsEscaped: true };
    return effect({ ...state, hasCmd: true, config }, `CMD ${goQuoteList(argv)}`);
  }
  const { entrypoint: _entrypoint, cmd, ...others } = state.config;
  const config: RunConfig = {
    ...others,
    ...(argv.length === 0 ? {} : { entrypoint: argv }),
    // An inherited CMD belongs to the inherited ENTRYPOINT.
    ...(state.hasCmd && cmd !== undefined ? { cmd } : {}),
  };
  return effect({ ...state, config }, `ENTRYPOINT ${goQuoteList(argv)}`);
}

function executeWords(instruction: WordsInstruction, state: StageState, scope: MetadataScope): Effect {
  if (instruction.kind === 'expose') {
    const ports = portsOf(
      instruction,
      instruction.words.flatMap((word) => scope.expandWords(word)),
    );
    const exposedPorts = withNames(ports, state.config.exposedPorts);
    return effect({ ...state, config: { ...state.config, exposedPorts } }, `EXPOSE ${goList(ports)}`);
  }
  const paths = instruction.words.map((word) => scope.expand(word));
  if (paths.includes('')) throw new DockerfileError('Cannot declare a volume: its path is empty', instruction.range);
  const volumes = withNames(paths, state.config.volumes);
  return effect({ ...state, config: { ...state.config, volumes } }, `VOLUME ${goList(paths)}`);
}

function withNames(names: readonly string[], before: NameSet = new Map()): NameSet {
  const added = names.filter((name) => !before.has(name));
  return added.length === 0
    ? before
    : GrownMap.with(
        before,
        added.map((name) => [name, true]),
      );
}

/** Single ports, each once, sorted. An address or host port says nothing about an image and is left out, as in BuildKit. */
function portsOf(instruction: WordsInstruction, words: readonly string[]): readonly string[] {
  const ports = words.flatMap((word) => {
    const parsed = parsePort(word);
    if ('ports' in parsed) return parsed.ports;
    throw new DockerfileError(`Cannot expose ${JSON.stringify(word)}: ${parsed.problem}`, instruction.range, { hint: parsed.hint });
  });
  return [...new Set(ports)].toSorted();
}

function executeWord(instruction: WordInstruction, state: StageState, scope: MetadataScope): Effect {
  if (instruction.kind === 'maintainer') return effect({ ...state, author: instruction.word }, `MAINTAINER ${instruction.word}`);
  const word = scope.expand(instruction.word);
  if (instruction.kind === 'user') {
    // A word that comes out empty is nobody in particular: root at RUN, and no user in the config.
    const { user: _before, ...others } = state.config;
    return effect({ ...state, config: word === '' ? others : { ...others, user: word } }, `USER ${word}`);
  }
  if (parseSignal(word) === undefined) {
    const message = `Cannot set STOPSIGNAL: ${JSON.stringify(word)} is neither a signal's name nor its number`;
    throw new DockerfileError(message, instruction.range, { hint: 'for example SIGTERM, SIGQUIT or 9' });
  }
  return effect({ ...state, config: { ...state.config, stopSignal: word } }, `STOPSIGNAL ${word}`);
}

function executeHealthcheck(instruction: HealthcheckInstruction, state: StageState): Effect {
  const { test } = instruction;
  const words =
    test.kind === 'none' ? ['NONE'] : test.command.form === 'exec' ? ['CMD', ...test.command.argv] : ['CMD-SHELL', test.command.text];
  const given: readonly (readonly [keyof Healthcheck, number | undefined])[] = [
    ['intervalNs', instruction.intervalNs],
    ['timeoutNs', instruction.timeoutNs],
    ['startPeriodNs', instruction.startPeriodNs],
    ['startIntervalNs', instruction.startIntervalNs],
    ['retries', instruction.retries],
  ];
  const healthcheck: Healthcheck = { test: words, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) };
  const time = (value: number | undefined): string => goDuration(value ?? 0);
  const shown =
    `{Test:${goList(words)} Interval:${time(instruction.intervalNs)} Timeout:${time(instruction.timeoutNs)} ` +
    `StartPeriod:${time(instruction.startPeriodNs)} StartInterval:${time(instruction.startIntervalNs)} Retries:${instruction.retries ?? 0}}`;
  return effect({ ...state, config: { ...state.config, healthcheck } }, `HEALTHCHECK ${shown}`);
}
