// Reads a Dockerfile that comes by standard input.
import { BuilderError } from '../errors.ts';

const limitBytes = 16 * 1024 * 1024;

/** All of standard input. @throws ERR_USAGE past 16 MiB */
export async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > limitBytes)
      throw new BuilderError('ERR_USAGE', `Cannot read the Dockerfile from standard input: it has more than ${limitBytes} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
