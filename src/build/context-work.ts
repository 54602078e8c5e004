// Whether a Dockerfile shows that a RUN needs the image's own files where a context is mounted that can't be borrowed: then it is said
// before anything runs. What variables or the base hide is found when that RUN is due.
import { bytesFromText, type ByteString } from '../bytes.ts';
import type { PlannedStage } from '../dockerfile/stages.ts';
import type { BuilderError, SourceRange } from '../errors.ts';
import { clampPath, isWithin } from '../paths.ts';
import { workingDirAfter } from './instructions/workdir.ts';

/** A folder that the image can't have on disk, and the error for whoever needs it. */
export interface RefusedFolder {
  /** Below the root. */
  readonly path: ByteString;
  readonly error: (range?: SourceRange) => BuilderError;
}

interface Seen {
  /** Undefined where only the build knows. */
  readonly workingDir: string | undefined;
  readonly worksThere: { readonly folder: RefusedFolder; readonly range: SourceRange } | undefined;
}

/** @throws the folder's error; `workingDirOf` gives that of a stage's base image */
export function refuseWorkInContexts(
  stages: readonly PlannedStage[],
  workingDirOf: (planned: PlannedStage) => string | undefined,
  refused: readonly RefusedFolder[],
): void {
  if (refused.length === 0) return;
  const seen = new Map<number, Seen>();
  for (const planned of stages) {
    const { stage, base } = planned;
    const inherited = base.kind === 'stage' ? seen.get(base.index) : undefined;
    seen.set(stage.index, followStage(planned, inherited ?? { workingDir: workingDirOf(planned), worksThere: undefined }, refused));
  }
}

function followStage({ stage }: PlannedStage, before: Seen, refused: readonly RefusedFolder[]): Seen {
  let { workingDir, worksThere } = before;
  const note = (path: string, range: SourceRange): void => {
    const clean = clampPath(bytesFromText(path));
    const folder = refused.find((each) => isWithin(clean, each.path));
    if (folder !== undefined) worksThere ??= { folder, range };
  };
  for (const instruction of stage.instructions) {
    if (instruction.kind === 'run' && worksThere !== undefined) throw worksThere.folder.error(worksThere.range);
    if (instruction.kind === 'workdir') {
      workingDir =
        isPlain(instruction.word) && (workingDir !== undefined || instruction.word.startsWith('/'))
          ? workingDirAfter(instruction.word, workingDir)
          : undefined;
      if (workingDir !== undefined) note(workingDir, instruction.range);
    }
    if (instruction.kind === 'copy' || instruction.kind === 'add') {
      const { destination, range } = instruction;
      if (isPlain(destination) && destination.startsWith('/')) note(destination, range);
      else if (isPlain(destination) && workingDir !== undefined) note(`${workingDir}/${destination}`, range);
    }
  }
  return { workingDir, worksThere };
}

function isPlain(word: string): boolean {
  return !/["'$\\`]/.test(word);
}
