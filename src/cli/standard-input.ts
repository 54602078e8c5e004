// Reads what comes by standard input: a Dockerfile, a password.
import { BuilderError } from '../errors.ts';

const limitBytes = 16 * 1024 * 1024;

/** All of standard input. @throws ERR_USAGE past 16 MiB */
export async function readStandardInput(what = 'the Dockerfile'): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > limitBytes)
      throw new BuilderError('ERR_USAGE', `Cannot read ${what} from standard input: it has more than ${limitBytes} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
