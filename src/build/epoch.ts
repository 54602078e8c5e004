// SOURCE_DATE_EPOCH: the time that stands for "now" in a reproducible build. reproducible-builds.org/docs/source-date-epoch
import type { SourceTree } from '../context/tree.ts';
import { contextName } from '../dockerfile/stage-needs.ts';
import { BuilderError } from '../errors.ts';
import type { BuildPorts } from './ports.ts';
import type { BuildRequest } from './request.ts';

/**
 * Seconds since 1970 that the build's own times take, or undefined for the clock's: a number, `context` for the time of the build
 * context, or the name of a --build-context. --reproducible is an epoch of 0, --timestamp one that overrules a default.
 * @throws ERR_USAGE for anything else, ERR_UNSUPPORTED for a context without a time of its own
 */
export function readEpoch(
  request: Pick<BuildRequest, 'buildArgs' | 'reproducible' | 'namedContexts' | 'timestamp'>,
  globalDefault: string | undefined,
  ports: Pick<BuildPorts, 'context' | 'namedFolders'>,
): number | undefined {
  if (request.timestamp !== undefined) return request.timestamp;
  const text = request.buildArgs.get('SOURCE_DATE_EPOCH') ?? globalDefault;
  if (text === undefined || text === '') return request.reproducible ? 0 : undefined;
  // The last second that RFC 3339 can write.
  if (/^\d{1,12}$/.test(text) && Number(text) <= 253_402_300_799) return Number(text);
  if (text === 'context') return timeOf(text, ports.context);
  const name = contextName(text);
  if (request.namedContexts.some((context) => contextName(context.name) === name)) return timeOf(text, ports.namedFolders.get(name));
  throw new BuilderError('ERR_USAGE', `Cannot use SOURCE_DATE_EPOCH=${text}: expected whole seconds since 1970`, {
    hint: '"context" and names of build contexts stand for their time; names of stages are not supported',
  });
}

/** The request with the epoch as the number that instructions see. */
export function withEpoch(request: BuildRequest, globalDefault: string | undefined, epoch: number | undefined): BuildRequest {
  const text = request.buildArgs.get('SOURCE_DATE_EPOCH') ?? globalDefault ?? '';
  if (epoch === undefined || text === '' || text === String(epoch)) return request;
  return { ...request, buildArgs: new Map([...request.buildArgs, ['SOURCE_DATE_EPOCH', String(epoch)]]) };
}

function timeOf(text: string, tree: SourceTree | undefined): number {
  if (tree?.timeSeconds !== undefined) return tree.timeSeconds;
  const what = tree === undefined ? 'an image' : 'a folder';
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot use SOURCE_DATE_EPOCH=${text}: ${what} has no time of its own`, {
    hint: 'give seconds since 1970, as "git log -1 --format=%ct" prints them',
  });
}
