// Build checks: what is allowed in a Dockerfile and rarely meant. Each rule is a pure function in checks/.
import { trimEnd } from '../blanks.ts';
import { BuilderError, type SourceRange } from '../errors.ts';
import { type CheckConfig, isEnabled, mergeComments, parseCheckConfig } from './check-config.ts';
import { type RuleName, ruleOf, ruleUrl } from './check-rules.ts';
import { type CheckContext, type CheckOptions, type Finding, readCheckContext } from './check-scope.ts';
import { checkCasing } from './checks/casing.ts';
import { checkCommands } from './checks/commands.ts';
import { checkCopies } from './checks/copies.ts';
import { checkFrom } from './checks/from.ts';
import { checkNotes } from './checks/notes.ts';
import { checkPairs } from './checks/pairs.ts';
import { checkPorts } from './checks/ports.ts';
import { checkStageNames } from './checks/stage-names.ts';
import { checkVariables } from './checks/variables.ts';
import type { Dockerfile } from './instruction.ts';

/** A finding with all that is shown of it. */
export interface Violation {
  readonly rule: RuleName;
  readonly description: string;
  readonly url: string;
  readonly message: string;
  readonly range: SourceRange;
}

type Check = (context: CheckContext) => Iterable<Finding>;

const checks: readonly Check[] = [
  checkCasing,
  checkStageNames,
  checkFrom,
  checkNotes,
  checkPairs,
  checkCommands,
  checkPorts,
  checkCopies,
  checkVariables,
];

/**
 * The violations in the order of the file, without those that a directive, a comment or BUILDKIT_DOCKERFILE_CHECK
 * skips. All stages are looked at, built or not.
 * @throws ERR_DOCKERFILE for a check directive that can't be read
 */
export function checkDockerfile(dockerfile: Dockerfile, options: CheckOptions): readonly Violation[] {
  const config = readCheckConfig(dockerfile, options.buildArgs);
  const context = readCheckContext(dockerfile, options);
  return checks
    .flatMap((check) => [...check(context)])
    .filter(({ rule, instruction }) => isEnabled(mergeComments(config, instruction.notes?.comments ?? [], instruction.range), rule))
    .map(({ rule, message, instruction }) => {
      return { rule, description: ruleOf(rule).description, url: ruleUrl(rule), message, range: instruction.range };
    })
    .toSorted((a, b) => a.range.start.line - b.range.start.line || (a.rule < b.rule ? -1 : Number(a.rule > b.rule)));
}

/** What `# check=` says, unless BUILDKIT_DOCKERFILE_CHECK replaces it. @throws ERR_DOCKERFILE */
export function readCheckConfig(dockerfile: Dockerfile, buildArgs: ReadonlyMap<string, string>): CheckConfig {
  const given = buildArgs.get('BUILDKIT_DOCKERFILE_CHECK');
  if (given !== undefined) return parseCheckConfig(given);
  const line = dockerfile.text.split('\n').findIndex((text) => /^[\t\f\r ]*#[\t\f\r ]*check[\t\f\r ]*=/i.test(text)) + 1;
  const range = { start: { line, column: 1 }, end: { line, column: trimEnd(dockerfile.text.split('\n')[line - 1] ?? '').length + 1 } };
  return parseCheckConfig(dockerfile.check ?? '', range);
}

/** The error of `error=true` when there are violations, else undefined. */
export function checkFailure(violations: readonly Violation[], config: CheckConfig): BuilderError | undefined {
  if (!config.isError || violations.length === 0) return undefined;
  const names = [...new Set(violations.map((violation) => violation.rule))].join(', ');
  return new BuilderError('ERR_DOCKERFILE', `Cannot build: lint violation found for rules: ${names}`, {
    hint: 'the Dockerfile asks for this with "check=error=true"',
  });
}
