// WORKDIR: where commands run from now on, made where it is missing.
import { bytesFromText, textFromBytes } from '../../bytes.ts';
import type { WordInstruction } from '../../dockerfile/instruction.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { lookupOwner } from '../../linux/accounts.ts';
import { clampPath } from '../../paths.ts';
import type { Effect, StageState, StepScope } from '../effect.ts';
import { CopyTarget, type Owner } from './copy-target.ts';
import { readAccounts } from './read-accounts.ts';

/** What WORKDIR needs besides the step. */
export interface WorkdirScope extends StepScope {
  readonly expand: (word: string) => string;
}

/**
 * Executes WORKDIR: a relative path continues the one before. Missing directories get mode 0755 and belong to the USER of that
 * moment, all of them; what exists is left as it is, but a layer is made all the same (not for `/`), as BuildKit does.
 * @throws BuilderError ERR_ROOTFS where something else is in the way
 */
export async function executeWorkdir(instruction: WordInstruction, state: StageState, scope: WorkdirScope): Promise<Effect> {
  scope.signal.throwIfAborted();
  const effect = workdirEffect(scope.expand(instruction.word), state);
  const { workingDir = '/' } = effect.state.config;
  if (workingDir === '/') return { ...effect, touched: { kind: 'nothing' } };
  const draft = await scope.files.draft();
  const target = new CopyTarget(draft, { instruction: scope.step.text });
  const path = target.follow(bytesFromText(workingDir));
  const owner = await readOwner(instruction, state, scope);
  const epoch = given({ mtimeSeconds: scope.sourceDateEpoch });
  target.makeDirectories(path, { mode: 0o755, ...given({ owner }), ...epoch });
  target.finish();
  return { ...effect, touched: { kind: 'drafted', draft } };
}

/** State and history after `WORKDIR word`, whatever becomes of the files. */
export function workdirEffect(word: string, state: StageState): Pick<Effect, 'state' | 'history'> {
  const workingDir = workingDirAfter(word, state.config.workingDir);
  return { state: { ...state, config: { ...state.config, workingDir } }, history: { createdBy: `WORKDIR ${workingDir}` } };
}

/**
 * The working directory after `WORKDIR word`, as BuildKit writes it down: an absolute word as it is, slashes and dots included; a
 * relative one continues `before` and is cleaned; an empty one changes nothing.
 */
export function workingDirAfter(word: string, before = '/'): string {
  if (word === '') return before;
  return word.startsWith('/') ? word : `/${textFromBytes(clampPath(bytesFromText(`${before}/${word}`))).replace(/^\.$/, '')}`;
}

// A number that is a user is also taken as the group here (BuildKit does so too), other than at RUN.
async function readOwner({ range }: WordInstruction, { config }: StageState, scope: WorkdirScope): Promise<Owner | undefined> {
  if (config.user === undefined || config.user === '') return undefined;
  try {
    return lookupOwner(config.user, await readAccounts(await scope.files.view(), scope.signal));
  } catch (error) {
    if (!(error instanceof BuilderError) || error.code !== 'ERR_DOCKERFILE') throw error;
    scope.emit({ kind: 'warning', code: 'workdir-user', message: `${error.message}; new directories of WORKDIR belong to root`, range });
    return { uid: 0, gid: 0 };
  }
}
