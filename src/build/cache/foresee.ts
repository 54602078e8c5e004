// What is known of a stage before it is built: the state after each step, and the key of each that makes a layer.
import type { Instruction } from '../../dockerfile/instruction.ts';
import { expandWord, expandWords } from '../../dockerfile/words.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import type { Effect, StageState } from '../effect.ts';
import type { StageStep } from '../stage.ts';
import { describeCopy, expandCopy } from '../instructions/copy.ts';
import { executeMetadata, shellOf } from '../instructions/metadata.ts';
import { commandOf, runHistory } from '../instructions/run.ts';
import { workdirEffect } from '../instructions/workdir.ts';
import { type CacheKey, type KeyPart, digestOfTexts, keyOf } from './key.ts';
import { type PartsScope, type StepParts, stepParts } from './step-parts.ts';

/** State and history after an instruction, as if it had been executed. */
type ForeseenEffect = Pick<Effect, 'state' | 'history'>;

export interface ForeseenStep extends StageStep {
  readonly before: StageState;
  readonly effect: ForeseenEffect;
  readonly makesLayer: boolean;
  /** Undefined where it makes no layer, or depends on something that is not known yet. */
  readonly key?: CacheKey;
  readonly parts: readonly KeyPart[];
  readonly isDetached: boolean;
  readonly reads: readonly number[];
}

export interface ForeseenStage {
  /** As far as they can be foreseen. */
  readonly steps: readonly ForeseenStep[];
  /** Undefined where not all could be foreseen. */
  readonly state?: StageState;
  /** Stands for all that the files of the stage depend on; undefined where something of it is not known yet. */
  readonly chain?: string;
}

export interface ForesightScope extends Omit<PartsScope, 'escape'> {
  /** What every key of the build has in it. */
  readonly common: readonly KeyPart[];
  readonly buildArg: (name: string) => string | undefined;
  readonly globalArg: (name: string) => string | undefined;
  /** What stands for the results of steps without a key, by position, once they are there. */
  readonly learned: ReadonlyMap<number, string>;
  /** Gets each key as soon as it is known. */
  readonly onKey: (step: ForeseenStep) => void;
}

/** What can be known of a stage that begins with `state` and, where that is known, with `chain`. @throws the signal's reason */
export async function foreseeStage(
  start: { readonly state: StageState; readonly chain: string | undefined; readonly steps: readonly StageStep[] },
  scope: ForesightScope,
): Promise<ForeseenStage> {
  let { state, chain } = start;
  const steps: ForeseenStep[] = [];
  for (const [position, { instruction, escape }] of start.steps.entries()) {
    const effect = foreseeEffect(instruction, state, { ...scope, escape });
    // What is wrong with it is said when it is executed.
    if (effect === undefined) return { steps };
    const makesLayer = isLayerMaker(instruction, effect);
    const known = makesLayer ? await knownParts(instruction, state, { ...scope, escape }) : undefined;
    const isDetached = known?.isDetached === true;
    const foundation = isDetached ? '' : chain;
    const parts = known === undefined ? [] : [...scope.common, { name: 'steps before', value: foundation ?? '' }, ...known.parts];
    const learned = scope.learned.get(position);
    const key = known === undefined || foundation === undefined || learned !== undefined ? undefined : keyOf(parts);
    const step: ForeseenStep = {
      instruction,
      escape,
      before: state,
      effect,
      makesLayer,
      ...given({ key }),
      parts,
      isDetached,
      reads: known?.reads ?? [],
    };
    steps.push(step);
    if (key !== undefined) scope.onKey(step);
    if (makesLayer) {
      const result = key ?? (learned === undefined ? undefined : `learned ${learned}`);
      chain = chain === undefined || result === undefined ? undefined : digestOfTexts([chain, result]);
    }
    state = effect.state;
  }
  return { steps, state, ...given({ chain }) };
}

async function knownParts(instruction: Instruction, state: StageState, scope: PartsScope): Promise<StepParts | undefined> {
  try {
    return await stepParts(instruction, state, scope);
  } catch (error) {
    scope.signal.throwIfAborted();
    // A file that is missing, or can't be read, fails the step in its own words.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

/** Executing `WORKDIR /` or a setting makes none. */
function isLayerMaker({ kind }: Instruction, { state }: ForeseenEffect): boolean {
  return kind === 'run' || kind === 'copy' || kind === 'add' || (kind === 'workdir' && state.config.workingDir !== '/');
}

function foreseeEffect(
  instruction: Instruction,
  state: StageState,
  scope: Pick<ForesightScope, 'buildArg' | 'globalArg'> & { readonly escape: '\\' | '`' },
): ForeseenEffect | undefined {
  const { range } = instruction;
  const { escape } = scope;
  const expand = (word: string): string => expandWord(word, state.environment, { escape, range }).value;
  try {
    switch (instruction.kind) {
      case 'run':
        return { state, history: { createdBy: runHistory(state, commandOf(instruction.command, shellOf(state.config)).argv) } };
      case 'copy':
      case 'add':
        return { state, history: { createdBy: describeCopy(expandCopy(instruction, { expand })) } };
      case 'workdir':
        return workdirEffect(expand(instruction.word), state);
      default:
        return executeMetadata(instruction, state, {
          ...scope,
          expand,
          expandFrom: (word, variables) => expandWord(word, variables, { escape, range }).value,
          expandWords: (word) => expandWords(word, state.environment, { escape, range }).words,
        });
    }
  } catch (error) {
    if (error instanceof BuilderError) return undefined;
    throw error;
  }
}
