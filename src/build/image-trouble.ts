// Failures of images: where each is named, and what was meant. Whoever mistypes a stage reads about a registry.
import type { Dockerfile } from '../dockerfile/instruction.ts';
import { didYouMean } from '../suggest.ts';
import type { PlannedStage } from '../dockerfile/stages.ts';
import { BuilderError, DockerfileError, type SourceRange, pinnedTo } from '../errors.ts';
import { given } from '../given.ts';

/** A failure to pull `name`, with the stage that is nearest to it named first. */
export function withStageHint(error: unknown, name: string, { stages }: Dockerfile): unknown {
  const guess = didYouMean(
    name,
    stages.flatMap((stage) => stage.name ?? []),
    (stage) => `the stage ${stage}`,
  );
  if (!(error instanceof BuilderError) || guess === undefined) return error;
  return pinnedTo(undefined, error, error.hint === undefined ? guess : `${guess} ${error.hint}`);
}

/** Failures of a base are pinned to the FROM that named it. */
export async function atFrom<Value>({ stage: { from } }: PlannedStage, task: () => Promise<Value>): Promise<Value> {
  return await atRange(from.imageRange ?? from.range, task);
}

/** Failures of an image are pinned to what named it. */
export async function atRange<Value>(range: SourceRange, task: () => Promise<Value>): Promise<Value> {
  try {
    return await task();
  } catch (error) {
    if (!(error instanceof BuilderError) || error.range !== undefined || error.code === 'ERR_ABORTED') throw error;
    const hint = given({ hint: error.hint });
    throw error.code === 'ERR_REFERENCE' ? new DockerfileError(error.message, range, { cause: error, ...hint }) : pinnedTo(range, error);
  }
}
