// --build-arg and --build-arg-file → the values of ARGs.
import { resolve } from 'node:path';
import { BuilderError, systemReason, systemCode, orElse } from '../../errors.ts';
import type { Environment } from '../settings.ts';
import { readSmallFileSync } from '../../small-file.ts';

const limitBytes = 1024 * 1024;

/** @throws ERR_USAGE for one without a name */
export function parseBuildArgs(items: readonly string[], env: Environment): ReadonlyMap<string, string> {
  const args = new Map<string, string>();
  for (const item of items) {
    const equals = item.indexOf('=');
    if (equals === 0) throw new BuilderError('ERR_USAGE', `Cannot use --build-arg ${JSON.stringify(item)}: expected NAME=VALUE`);
    const inherited = env[item];
    // A bare name that the environment lacks is as if it were not given: the ARG keeps its default.
    if (equals === -1 && inherited !== undefined) args.set(item, inherited);
    else if (equals !== -1) args.set(item.slice(0, equals), item.slice(equals + 1));
  }
  return args;
}

/** What the lines of a file say, as `--build-arg` would. @throws ERR_USAGE for one that can't be read, or a line without a name */
export function readBuildArgFile(path: string, workingDirectory: string): readonly string[] {
  const fail = (state: string, cause?: unknown): never => {
    throw new BuilderError('ERR_USAGE', `Cannot use --build-arg-file ${path}: ${state}`, { cause });
  };
  const text = orElse(
    () => readSmallFileSync(resolve(workingDirectory, path), limitBytes).toString('utf8'),
    (error) => fail(systemCode(error) === 'ENOENT' ? 'it does not exist' : systemReason(error), error),
  );
  return text.split(/\r?\n/).flatMap((line, index) => {
    if (/^\s*(?:#|$)/.test(line)) return [];
    if (/^\s*=/.test(line)) return fail(`line ${index + 1}: expected NAME=VALUE`);
    return [line.trimStart()];
  });
}
