// One instruction: the words expanded from the state before it, then the file that knows its kind.
import type { Instruction, RunInstruction } from '../dockerfile/instruction.ts';
import { expandHeredoc, expandWord, expandWords } from '../dockerfile/words.ts';
import type { GlobalArgs } from '../dockerfile/global-args.ts';
import type { StepLabel } from '../events.ts';
import type { Effect, StageState, StepScope } from './effect.ts';
import { type AddScope, executeAdd } from './instructions/add.ts';
import { type CopyScope, executeCopy } from './instructions/copy.ts';
import { executeMetadata, type MetadataScope } from './instructions/metadata.ts';
import { executeRun, type RunScope } from './instructions/run.ts';
import { foreseeMounts } from './instructions/run-mounts.ts';
import { executeWorkdir } from './instructions/workdir.ts';

/** What the instructions of one stage share. */
export interface ExecutionContext {
  readonly scope: Omit<StepScope, 'step'>;
  readonly run: Pick<RunScope, Exclude<keyof RunScope, keyof StepScope | 'expand'>>;
  readonly copy: Pick<CopyScope, 'sources'>;
  readonly add: Pick<AddScope, Exclude<keyof AddScope, keyof CopyScope>>;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly globalArgs: GlobalArgs;
}

/** Begins what a RUN is going to wait for, while its files are put on disk. */
export function foreseeRun({ mounts, range }: RunInstruction, state: StageState, escape: '\\' | '`', context: ExecutionContext): void {
  const expand = (word: string): string => expandWord(word, state.environment, { escape, range }).value;
  foreseeMounts(mounts, { sources: context.run.mounts, expand, workingDir: state.config.workingDir ?? '/' });
}

/** The effect of one instruction. @throws what the instruction throws */
export async function executeInstruction(
  instruction: Instruction,
  state: StageState,
  step: StepLabel,
  escape: '\\' | '`',
  context: ExecutionContext,
): Promise<Effect> {
  const { environment } = state;
  const { range } = instruction;
  const expand = (word: string): string => expandWord(word, environment, { escape, range }).value;
  const scope = { ...context.scope, step, expand };
  switch (instruction.kind) {
    case 'run': {
      const effect = await executeRun(instruction, state, { ...scope, ...context.run });
      context.run.mounts.kept?.confirm();
      return effect;
    }
    case 'copy':
    case 'add': {
      const copyScope = { ...scope, ...context.copy, expandHeredoc: (body: string) => expandHeredoc(body, environment, { range }).value };
      if (instruction.kind === 'copy') return await executeCopy(instruction, state, copyScope);
      return await executeAdd(instruction, state, { ...copyScope, ...context.add });
    }
    case 'workdir':
      return await executeWorkdir({ ...instruction, kind: 'workdir' }, state, scope);
    default: {
      const metadataScope: MetadataScope = {
        expand,
        expandFrom: (word, variables) => expandWord(word, variables, { escape, range }).value,
        expandWords: (word) => expandWords(word, environment, { escape, range }).words,
        buildArg: (name) => context.buildArgs.get(name),
        globalArg: (name) => context.globalArgs.get(name),
      };
      return executeMetadata(instruction, state, metadataScope);
    }
  }
}
