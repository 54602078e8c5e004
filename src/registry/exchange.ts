// Requests that are no registry's business, over the registry client's connections: same names, certificates and proxies.
import type { Readable } from 'node:stream';
import { BuilderError, RegistryError } from '../errors.ts';
import { serverPatience } from './download.ts';
import { TransientError } from './retry.ts';
import type { Transport } from './transport.ts';

export interface Question {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: URL;
  /** Those with credentials stay with the URL's origin. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** "verb object" for messages. */
  readonly task: string;
}

export interface Answer {
  readonly status: number;
  /** Where it came from, redirects followed. */
  readonly url: URL;
  /** The receiver owns it. */
  readonly body: Readable;
}

/**
 * Asks, with redirects and retries; any answer that another try can't change is an answer.
 * @throws ERR_CONTEXT when there is none
 */
export async function exchange(transport: Transport, question: Question, signal: AbortSignal): Promise<Answer> {
  const { body, ...request } = question;
  try {
    const response = await transport.send(
      {
        ...request,
        patience: serverPatience,
        ...(body === undefined ? {} : { body: { open: () => body, sizeBytes: body.length } }),
      },
      signal,
    );
    return { status: response.status, url: response.url, body: response.body };
  } catch (error) {
    if (!(error instanceof RegistryError) || error instanceof TransientError) throw error;
    throw new BuilderError('ERR_CONTEXT', error.message, { cause: error, hint: error.hint });
  }
}
