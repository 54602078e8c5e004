// The images that a Dockerfile names, of stages that nothing needs, too.
import { given } from '../given.ts';
import type { Dockerfile } from './instruction.ts';
import { referencesOf, resolveSource } from './stage-needs.ts';
import { type PlanOptions, planStages } from './stages.ts';

export interface NamedImage {
  readonly image: string;
  /** As FROM says it, expanded; undefined where the target platform holds. */
  readonly platform?: string;
}

/** What stages begin with, and what they copy from or mount, as often as it is named. @throws as `planStages` */
export function imagesOf(dockerfile: Dockerfile, options: Omit<PlanOptions, 'targets' | 'includesUnused'>): readonly NamedImage[] {
  const contexts = options.contexts ?? new Set();
  const { stages } = planStages(dockerfile, { ...options, includesUnused: true });
  return stages.flatMap(({ stage, base, platform }) => {
    const sources = stage.instructions.flatMap(referencesOf).map(({ name, why, range }) => {
      const source = resolveSource(dockerfile, name, contexts, { stage: stage.index, allowsNumbers: why === 'copy', range });
      return source.kind === 'image' ? source.image : undefined;
    });
    const images = [base.kind === 'image' ? base.image : undefined, ...sources].filter((image) => image !== undefined);
    return images.map((image) => ({ image, ...given({ platform }) }));
  });
}
