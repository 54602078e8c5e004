// The build checks as part of a build, or of `check`: what the language room finds, with what is known of context and bases.
import { type IgnoreRules, judgePath } from '../context/ignore.ts';
import { checkDockerfile, checkFailure, readCheckConfig, type Violation } from '../dockerfile/check.ts';
import type { Dockerfile } from '../dockerfile/instruction.ts';
import type { Emit } from '../events.ts';
import type { Image } from '../oci/image.ts';
import { initialState } from './stage.ts';
import type { BuildRequest } from './request.ts';

export interface CheckSurroundings {
  readonly ignore?: IgnoreRules;
  /** A base image by its name in FROM, where it is known. */
  readonly baseImage: (name: string) => Image | undefined;
}

/** Everything the checks find. @throws ERR_DOCKERFILE for a check directive that can't be read */
export function findViolations(
  dockerfile: Dockerfile,
  request: Pick<BuildRequest, 'buildArgs' | 'platform' | 'buildPlatform'>,
  around: CheckSurroundings,
): readonly Violation[] {
  const { ignore } = around;
  // With rules that take paths back, no single rule says whether a whole source is left out.
  const isSimple = ignore !== undefined && !ignore.rules.some((rule) => rule.isException);
  return checkDockerfile(dockerfile, {
    buildArgs: request.buildArgs,
    targetPlatform: request.platform,
    buildPlatform: request.buildPlatform,
    ...(isSimple ? { isIgnored: (path: string) => judgePath(ignore, path).isIgnored } : {}),
    baseEnvironment: (name) => {
      const image = around.baseImage(name);
      return image === undefined ? undefined : initialState(image).environment;
    },
    basePlatform: (name) => around.baseImage(name)?.config,
  });
}

/** Tells every violation once, as a warning. @throws ERR_DOCKERFILE where the Dockerfile says `check=error=true` */
export function warnOfViolations(dockerfile: Dockerfile, request: BuildRequest, around: CheckSurroundings, emit: Emit): void {
  const violations = findViolations(dockerfile, request, around);
  for (const { rule, message, url, range } of violations) {
    emit({ kind: 'warning', code: `${rule} ${range.start.line} ${message}`, message: `${rule}: ${message} (${url})`, range });
  }
  const failure = checkFailure(violations, readCheckConfig(dockerfile, request.buildArgs));
  if (failure !== undefined) throw failure;
}
