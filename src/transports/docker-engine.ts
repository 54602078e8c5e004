// Docker's engine, or another that speaks its API (`podman system service`): an image comes and goes as a docker archive.
// https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Image/operation/ImageLoad
import { createReadStream, createWriteStream, readFileSync } from 'node:fs';
import { type ClientRequest, type IncomingMessage, type RequestOptions, request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { join } from 'node:path';
import { finished, pipeline } from 'node:stream/promises';
import { BuilderError, inWords, orElse, systemCode, systemReason } from '../errors.ts';

/** Where an engine is. */
export interface EngineAddress {
  /** As DOCKER_HOST has it: `unix:///run/docker.sock`, `tcp://host:2375`, `https://host:2376`. */
  readonly host: string;
  /** A folder with ca.pem, and cert.pem and key.pem to show: then `tcp:` is TLS. */
  readonly certificates?: string;
}

export const usualEngine: EngineAddress = { host: 'unix:///var/run/docker.sock' };

/** Of what an engine says: it tells of each layer, and the failure at the end. */
const answerLimitBytes = 1024 * 1024;

/**
 * Writes an image of the engine to a new file, as `docker save` does. `name` is its whole name or `sha256:…`, its id.
 * @throws ERR_REFERENCE when it has no such image, ERR_REGISTRY when it fails or is not there
 */
export async function saveImage(engine: EngineAddress, name: string, path: string, signal: AbortSignal): Promise<void> {
  const answer = await ask(engine, 'GET', `/images/get?names=${encodeURIComponent(name)}`, async (request) => void request.end(), signal);
  if (answer.statusCode === 404) {
    answer.resume();
    throw new BuilderError('ERR_REFERENCE', `Cannot read docker-daemon:${name}: the engine at ${engine.host} has no such image`, {
      hint: 'docker images lists what it has',
    });
  }
  await refuseFailure(engine, answer);
  try {
    await pipeline(answer, createWriteStream(path, { flags: 'wx' }), { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw failed(engine, `it broke off in the middle of docker-daemon:${name}`, { cause: error });
  }
}

/** Gives the engine all images of an archive, as `docker load` does. @throws ERR_REGISTRY when it fails, refuses or is not there */
export async function loadImages(engine: EngineAddress, path: string, signal: AbortSignal): Promise<void> {
  const send = async (request: ClientRequest): Promise<void> => await pipeline(createReadStream(path), request, { signal });
  const answer = await ask(engine, 'POST', '/images/load?quiet=1', send, signal);
  await refuseFailure(engine, answer);
  // It answers 200 before it has read anything; what went wrong is a line of its own.
  for (const line of (await textOf(answer)).split('\n')) {
    const why = errorOf(line);
    if (why !== undefined) throw failed(engine, why);
  }
}

async function ask(
  engine: EngineAddress,
  method: 'GET' | 'POST',
  path: string,
  send: (request: ClientRequest) => Promise<void>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { isSecure, ...place } = placeOf(engine);
  const headers = method === 'POST' ? { 'content-type': 'application/x-tar' } : {};
  const request = (isSecure ? secureRequest : plainRequest)({ ...place, method, path, headers, signal });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.on('response', resolve).on('error', reject);
  // An engine that refuses what it is sent may close before it has all: its answer says more than the broken pipe.
  const sending = send(request).catch((error: unknown) => void setImmediate(reject, error));
  try {
    const answer = await promise;
    if (answer.statusCode === 200) await sending;
    return answer;
  } catch (error) {
    signal.throwIfAborted();
    throw unreachable(engine, error);
  }
}

interface EnginePlace extends RequestOptions {
  readonly isSecure: boolean;
}

/** @throws ERR_USAGE for what is no address, ERR_UNSUPPORTED for a kind that can't be had */
function placeOf({ host, certificates }: EngineAddress): EnginePlace {
  // The name is none of the network's: Docker's own client sends such a one.
  if (host.startsWith('unix://')) return { isSecure: false, socketPath: host.slice('unix://'.length), host: 'docker' };
  const url = URL.parse(host);
  if (url === null) throw new BuilderError('ERR_USAGE', `Cannot use the engine ${host}: it is no address`, { hint: usualEngine.host });
  if (!['tcp:', 'http:', 'https:'].includes(url.protocol))
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot use the engine ${host}: only unix:, tcp:, http: and https: can be had`, {
      hint: 'docker save there, and docker-archive: here',
    });
  const isSecure = url.protocol === 'https:' || (url.protocol === 'tcp:' && certificates !== undefined);
  const pem = (name: string): Buffer | undefined => (certificates === undefined ? undefined : readPem(join(certificates, name)));
  const port = url.port === '' ? (isSecure ? 2376 : 2375) : Number(url.port);
  const place = { isSecure, host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port };
  return isSecure ? ({ ...place, ca: pem('ca.pem'), cert: pem('cert.pem'), key: pem('key.pem') } as EnginePlace) : place;
}

function readPem(path: string): Buffer | undefined {
  return orElse(
    () => readFileSync(path),
    (error) => (systemCode(error) === 'ENOENT' ? undefined : inWords('ERR_AUTH', `Cannot read ${path}`)(error)),
  );
}

async function refuseFailure(engine: EngineAddress, answer: IncomingMessage): Promise<void> {
  if (answer.statusCode === 200) return;
  const text = await textOf(answer);
  throw failed(engine, errorOf(text) ?? `it answered ${answer.statusCode}`);
}

/** What an engine says of a failure: `{"message": …}` instead of an answer, `{"error": …}` in one. */
function errorOf(line: string): string | undefined {
  try {
    const { message, error } = JSON.parse(line) as { readonly message?: unknown; readonly error?: unknown };
    const why = error ?? message;
    return typeof why === 'string' ? why.trim() : undefined;
  } catch {
    return undefined; // no JSON: words of a proxy, or an empty line
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  answer.on('data', (chunk: Buffer) => {
    // The failure stands at the end.
    chunks.push(chunk);
    bytes += chunk.length;
    while (bytes > answerLimitBytes && chunks.length > 1) bytes -= chunks.shift()?.length ?? 0;
  });
  await finished(answer);
  return Buffer.concat(chunks).toString('utf8');
}

function unreachable(engine: EngineAddress, error: unknown): BuilderError {
  const code = systemCode(error);
  const why = code === 'ENOENT' ? 'there is no such socket' : code === 'ECONNREFUSED' ? 'nobody listens there' : systemReason(error);
  return failed(engine, why, { cause: error, hint: 'DOCKER_HOST, --src-daemon-host and --dest-daemon-host say where it is' });
}

function failed({ host }: EngineAddress, why: string, more: { readonly cause?: unknown; readonly hint?: string } = {}): BuilderError {
  return new BuilderError('ERR_REGISTRY', `Cannot use the engine at ${host}: ${why}`, more);
}
