// DuplicateStageName, ReservedStageName.
import type { CheckContext, Finding } from '../check-scope.ts';

const reserved: ReadonlySet<string> = new Set(['context', 'scratch']);

/** A stage name means one stage, and nothing that has a meaning of its own. */
export function* checkStageNames({ dockerfile }: CheckContext): Generator<Finding> {
  const seen = new Set<string>();
  for (const { from, name } of dockerfile.stages) {
    if (name === undefined) continue;
    if (reserved.has(name)) {
      yield {
        rule: 'ReservedStageName',
        message: `Stage name should not use the same name as reserved stage ${JSON.stringify(name)}`,
        instruction: from,
      };
    }
    if (seen.has(name)) {
      yield {
        rule: 'DuplicateStageName',
        message: `Duplicate stage name ${JSON.stringify(name)}, stage names should be unique`,
        instruction: from,
      };
    }
    seen.add(name);
  }
}
