// Small result files (--digest-file and friends). They are written last, after the root belongs to the image, so a path
// that exists at the start is opened then, before any RUN could put something else in its place. A URL is a file elsewhere.
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BuilderError, ifCode, inWords, systemReason } from '../errors.ts';
import type { RegistryClient } from '../registry/client.ts';
import { withoutUserinfo } from '../registry/download.ts';
import { redactUrl } from '../registry/response.ts';
import { standardStreams, writeToStream } from '../store/whole-file.ts';
import { checkOutputPlace } from './output-place.ts';
import { makeFolder } from '../folders.ts';
import { replaceSmallFileSync } from '../small-file.ts';

export interface OutputFile {
  readonly path: string;
  /** Puts the text in place: whole, or not at all. */
  readonly commit: (text: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Prepares a result file: opens the file where it exists (a termination log, a mounted file), else checks that it could be
 * made. Standard output and standard error get it behind what they had.
 * @throws ERR_USAGE when the path is a folder or can't be written.
 */
export async function openOutputFile(path: string, flag: string): Promise<OutputFile> {
  const stream = standardStreams.get(path);
  if (stream !== undefined)
    return { path, commit: async (text) => await writeToStream(stream, [Buffer.from(text)]), close: async () => undefined };
  const existing = await openExisting(path, flag);
  if (existing === undefined) checkOutputPlace(path, 'file', `--${flag} ${path}`);
  const commit = async (text: string): Promise<void> => {
    try {
      if (existing !== undefined) await overwrite(existing, text);
      else replace(path, text);
    } catch (error) {
      throw new BuilderError('ERR_ROOTFS', `Cannot write --${flag} ${path}: ${systemReason(error)}`, { cause: error });
    }
  };
  return { path, commit, close: async () => existing?.close() };
}

async function openExisting(path: string, flag: string): Promise<FileHandle | undefined> {
  return await open(path, constants.O_WRONLY | constants.O_NOCTTY | constants.O_NONBLOCK).catch(
    ifCode(['ENOENT', 'ENXIO', 'ENOTDIR'], undefined, inWords('ERR_USAGE', `Cannot use --${flag} ${path}`)),
  );
}

/** A result file whose URL takes it by PUT, as signed URLs of object stores do. @throws ERR_USAGE for what is no URL */
export function openResultUrl(
  text: string,
  flag: string,
  { registry, signal }: { readonly registry: Pick<RegistryClient, 'exchange'>; readonly signal: AbortSignal },
): OutputFile {
  if (!URL.canParse(text)) throw new BuilderError('ERR_USAGE', `Cannot use --${flag}: its URL is malformed`);
  const url = new URL(text);
  const { request, secrets } = withoutUserinfo(url);
  const shown = redactUrl(url);
  const commit = async (content: string): Promise<void> => {
    const headers = { ...secrets, 'content-type': 'text/plain' };
    const task = `write --${flag} to ${shown}`;
    const answer = await registry.exchange({ method: 'PUT', url: request, headers, body: Buffer.from(content), task }, signal);
    answer.body.destroy();
    if (answer.status < 200 || answer.status > 299)
      throw new BuilderError('ERR_REGISTRY', `Cannot ${task}: ${url.host} answered ${answer.status}`);
  };
  return { path: shown, commit, close: async () => undefined };
}

async function overwrite(file: FileHandle, text: string): Promise<void> {
  const { size } = await file.stat();
  await file.writeFile(text); // from the start, and not by position: /dev/stdout may be a pipe
  if (size > Buffer.byteLength(text)) await file.truncate(Buffer.byteLength(text));
}

function replace(path: string, text: string): void {
  makeFolder(dirname(path), 0o755);
  replaceSmallFileSync(path, text, 0o644);
}
