// How failures of clouds are told: by the source of credentials that is set up and does not help.
import { BuilderError, RegistryError } from '../errors.ts';
import type { Json, JsonObject } from '../oci/json.ts';
import { type CloudAnswer, objectOf, readable } from './ask.ts';

export interface SourceFailures {
  readonly failed: (source: string, why: string, hint?: string, cause?: unknown) => BuilderError;
  /** Asks; where nobody answers, the source is named. */
  readonly reach: <Value>(source: string, ask: () => Promise<Value>) => Promise<Value>;
}

/** Failures of one cloud's sources. */
export function failuresOf(cloud: 'AWS' | 'Google' | 'Azure'): SourceFailures {
  const failed: SourceFailures['failed'] = (source, why, hint, cause) =>
    credentialError(`Cannot get ${cloud} credentials from ${source}: ${why}`, hint, cause);
  return { failed, reach: async (source, ask) => await orFail(ask, (why, error) => failed(source, why, error.hint, error)) };
}

/** ERR_AUTH, with a hint where there is one. */
export function credentialError(message: string, hint?: string, cause?: unknown): BuilderError {
  return new BuilderError('ERR_AUTH', message, { cause, hint });
}

/** Asks; where nobody answers, what `fail` makes of it is thrown. */
export async function orFail<Value>(ask: () => Promise<Value>, fail: (why: string, error: RegistryError) => BuilderError): Promise<Value> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    throw fail(error.message.replace(/^Cannot /, 'can not '), error);
  }
}

/** `HOST answered STATUS`, with what of the answer says why. */
export function refusalOf(url: URL, answer: CloudAnswer, words: (root: JsonObject) => readonly (Json | undefined)[]): string {
  let parts: readonly (Json | undefined)[] = [];
  try {
    parts = words(objectOf(answer, 'read'));
  } catch {
    // a page for people
  }
  const said = readable(parts.flatMap((part) => (typeof part === 'string' && part !== '' ? [part] : [])).join(': '));
  return `${url.host} answered ${answer.status}${said === '' ? '' : ` ${said}`}`;
}
