// What comes by standard input: a Dockerfile, a password, a context.
import { createReadStream } from 'node:fs';
import { BuilderError } from '../errors.ts';
import { sniffArchive } from '../layer/sniff-archive.ts';

const limitBytes = 16 * 1024 * 1024;

/** All of standard input, or of what is given. @throws ERR_USAGE past 16 MiB */
export async function readStandardInput(what = 'the Dockerfile', from: AsyncIterable<Buffer> = process.stdin): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of from) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > limitBytes)
      throw new BuilderError('ERR_USAGE', `Cannot read ${what} from standard input: it has more than ${limitBytes} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** What a build reads its context from: a tar archive, compressed or not; everything else is a Dockerfile without one. */
export async function openContextInput(
  signal: AbortSignal,
): Promise<{ readonly kind: 'archive' | 'dockerfile'; readonly bytes: AsyncIterable<Buffer> }> {
  const { isArchive, bytes } = await sniffArchive(createReadStream('', { fd: 0, autoClose: false }), signal);
  return { kind: isArchive ? 'archive' : 'dockerfile', bytes };
}
