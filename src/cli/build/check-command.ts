// `executor check`: the build checks of a Dockerfile, in a form for people or for other programs; builds nothing.
import { resolve } from 'node:path';
import { findViolations } from '../../build/checks.ts';
import { readDockerfile } from '../../build/dockerfile-file.ts';
import { planOptions } from '../../build/plan.ts';
import { bytesFromText } from '../../bytes.ts';
import { applyIgnoreFile } from '../../context/ignore-file.ts';
import { type Violation, checkFailure, readCheckConfig } from '../../dockerfile/check.ts';
import { formatViolations } from '../../dockerfile/check-output.ts';
import type { Dockerfile } from '../../dockerfile/instruction.ts';
import { parseDockerfile } from '../../dockerfile/parse.ts';
import { planStages } from '../../dockerfile/stages.ts';
import { DockerfileError } from '../../errors.ts';
import { diskView } from '../../files/disk-view.ts';
import { given } from '../../given.ts';
import { dialectOf } from '../../report/dialect.ts';
import { harmless } from '../../report/text.ts';
import type { CommandInput } from '../command.ts';
import { describeBuildFailure } from '../exit.ts';
import { makeBuildRequest } from '../requests/build-request.ts';
import { checkFormats } from '../tables/check.ts';
import { readStandardInput } from '../standard-input.ts';

/** 0 where nothing is wrong or the Dockerfile does not ask for more; 1 for a mistake, or violations with `check=error=true`. */
export async function runCheckCommand(input: CommandInput): Promise<number> {
  const { settings, env, stdout } = input;
  const format = settings.choice('format', checkFormats, 'text');
  const request = makeBuildRequest(settings, input.positionals, {
    env,
    workingDirectory: process.cwd(),
    nodeArch: process.arch,
    builderFolder: '/kaniko',
    defaultContext: '.',
    needsOutput: false,
  });
  const contextFolder = resolve(request.context.replace(/^dir:\/\//, ''));
  const file = await readDockerfile(
    request.dockerfile,
    { workingDirectory: settings.has('dockerfile') ? process.cwd() : contextFolder, contextFolder },
    { standardInput: readStandardInput },
  );
  let dockerfile: Dockerfile | undefined;
  try {
    dockerfile = parseDockerfile(file.text, file.name);
    const context = { files: diskView(bytesFromText(contextFolder)), label: 'the build context', keepsOwners: false };
    const { ignore } = applyIgnoreFile(context, given({ dockerfilePath: file.path, ignoreFile: request.ignoreFile }));
    const violations = findViolations(dockerfile, request, { ...given({ ignore }), baseImage: () => undefined });
    const checked = { path: file.name, text: dockerfile.text };
    if (format === 'github') stdout.write(annotations(violations, file.name));
    else stdout.write(formatViolations(violations, checked, format === 'codequality' ? 'gitlab' : format));
    // What no build would begin with is no violation.
    planStages(dockerfile, planOptions(request));
    return checkFailure(violations, readCheckConfig(dockerfile, request.buildArgs)) === undefined ? 0 : 1;
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    const unparsed = { name: file.name, text: file.text.toString('utf8') };
    for (const line of describeBuildFailure(error, { dockerfile: unparsed, step: undefined }, false)) input.report.line('error', line);
    return 1;
  }
}

/** Workflow commands, a line each; none where nothing was found. */
function annotations(violations: readonly Violation[], file: string): string {
  const dialect = dialectOf('github', {});
  return violations
    .map(
      ({ rule, message, range }) => `${dialect?.annotate({ level: 'warning', message: harmless(`${rule}: ${message}`), file, range })}\n`,
    )
    .join('');
}
