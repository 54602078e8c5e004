// Whoever means a stage and mistypes it reads about a registry.
import type { Dockerfile } from '../dockerfile/instruction.ts';
import { didYouMean } from '../suggest.ts';
import { BuilderError, pinnedTo } from '../errors.ts';

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
