// How clouds are asked: their services like any other host, and what answers on the machine's own link (metadata servers, agents of
// the node) without a proxy, after a look of one second whether it is there at all.
import { isIP } from 'node:net';
import { BuilderError, RegistryError } from '../errors.ts';
import { type Json, type JsonObject, parseJson } from '../oci/json.ts';
import { bareHost, isLoopback } from '../registry/proxy.ts';
import { type Response, header, readCapped } from '../registry/response.ts';
import { type Retry, defaultRetryPolicy } from '../registry/retry.ts';
import { type Request, type Transport, type TransportOptions, createTransport } from '../registry/transport.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Question {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** "verb object", for messages. */
  readonly task: string;
}

export interface CloudAnswer {
  readonly status: number;
  readonly text: string;
  readonly header: (name: string) => string | undefined;
}

/** The ways to ask. All answers but streams are small, and read whole. */
export interface CloudAccess {
  /** A service of a cloud: through proxies, with retries. @throws RegistryError when there is no answer */
  readonly ask: (question: Question, signal: AbortSignal) => Promise<CloudAnswer>;
  /** A server beside us: without a proxy, with few retries. @throws RegistryError when there is no answer */
  readonly askBeside: (question: Question, signal: AbortSignal) => Promise<CloudAnswer>;
  /** One look of a second; undefined where nobody answers. */
  readonly probe: (question: Question, signal: AbortSignal) => Promise<CloudAnswer | undefined>;
  /** One try for something large. */
  readonly open: (request: Request, signal: AbortSignal) => Promise<Response>;
  readonly retry: Retry;
  /** Milliseconds since 1970. */
  readonly date: () => number;
  readonly close: () => Promise<void>;
}

export interface CloudAccessOptions extends TransportOptions {
  /** Milliseconds since 1970; the machine's where left out. */
  readonly date?: () => number;
}

const answerLimitBytes = 1024 * 1024;
const probeMs = 1000;

/** Connections of its own; close it when done. */
export function openCloudAccess(options: CloudAccessOptions): CloudAccess {
  const { proxies: _, ...withoutProxies } = options;
  const services = createTransport(options);
  // A metadata server that is there may still be starting (GKE's, in a pod's first seconds): a few tries.
  const beside = createTransport({
    ...withoutProxies,
    hostRules: () => ({}),
    retryPolicy: options.retryPolicy ?? { ...defaultRetryPolicy, tries: 4, budgetMs: 20_000 },
    connectTimeoutMs: probeMs,
    answerTimeoutMs: 10_000,
  });
  return {
    ask: async (question, signal) => await send(services, question, signal),
    askBeside: async (question, signal) => await send(beside, question, signal),
    probe: async (question, signal) => await look(beside, question, signal),
    open: services.attempt,
    retry: services.retry,
    date: options.date ?? Date.now,
    close: async () => {
      await Promise.all([services.close(), beside.close()]);
    },
  };
}

/** Whether secrets may go there: over TLS, or no further than this machine. */
export function isSafeForSecrets(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(bareHost(url.hostname)));
}

/** True for link-local addresses, where metadata servers and agents of the node are. */
export function isLinkLocal(url: URL): boolean {
  const host = bareHost(url.hostname).toLowerCase();
  return (isIP(host) === 4 && host.startsWith('169.254.')) || host === 'fd00:ec2::254' || host === 'fd00:ec2::23' || /^fe[89ab]/.test(host);
}

/** The object in an answer. @throws ERR_AUTH where it is none */
export function objectOf(answer: CloudAnswer, task: string): JsonObject {
  try {
    const root = parseJson(answer.text);
    if (root instanceof Map) return root;
  } catch {
    // told below; the text may hold secrets
  }
  throw new BuilderError('ERR_AUTH', `Cannot ${task}: the answer is no JSON object`);
}

/** A member that is text, and not empty. */
export function textAt(object: Json | undefined, key: string): string | undefined {
  const value = object instanceof Map ? object.get(key) : undefined;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A server's words for people: on one line, short. */
export function readable(text: string): string {
  return text
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(0, 300);
}

async function send(transport: Transport, question: Question, signal: AbortSignal): Promise<CloudAnswer> {
  return await read(await transport.send(requestOf(question), signal));
}

async function look(transport: Transport, question: Question, signal: AbortSignal): Promise<CloudAnswer | undefined> {
  const limit = AbortSignal.timeout(probeMs);
  try {
    return await read(await transport.attempt(requestOf(question), AbortSignal.any([signal, limit])));
  } catch (error) {
    signal.throwIfAborted();
    if (limit.aborted || error instanceof RegistryError) return undefined;
    throw error;
  }
}

function requestOf({ body, ...question }: Question): Request {
  const bytes = body === undefined ? undefined : Buffer.from(body, 'utf8');
  // What is asked with secrets goes to the host that was named, and nowhere else.
  return { ...question, redirectLimit: 0, ...(bytes === undefined ? {} : { body: { open: () => bytes, sizeBytes: bytes.length } }) };
}

async function read(response: Response): Promise<CloudAnswer> {
  const bytes = await readCapped(response, answerLimitBytes, `the answer of ${response.url.host}`);
  return { status: response.status, text: bytes.toString('utf8'), header: (name) => header(response, name) };
}
