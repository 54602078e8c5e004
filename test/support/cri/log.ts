// The log that a runtime writes for a container: `time stream tag text` a line, where the tag P says that the line goes on.
import { open } from 'node:fs/promises';

export type LogStream = 'stdout' | 'stderr';

export interface LogPart {
  readonly stream: LogStream;
  readonly text: string;
}

/** Reads what was added to a log since the last time. */
export class LogReader {
  readonly #path: string;
  #offset = 0;
  #rest = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  /** Nothing for a log that isn't there yet; a line that is not whole yet waits. @throws Error for a line that is none. */
  async read(): Promise<readonly LogPart[]> {
    const added = await this.#readAdded();
    const bytes = Buffer.concat([this.#rest, added]);
    const end = bytes.lastIndexOf(0x0a) + 1;
    this.#rest = bytes.subarray(end);
    return bytes
      .subarray(0, end)
      .toString()
      .split('\n')
      .slice(0, -1)
      .map((line) => parseLine(line));
  }

  async #readAdded(): Promise<Buffer> {
    let file;
    try {
      file = await open(this.#path);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0);
      throw error;
    }
    try {
      const { size } = await file.stat();
      const buffer = Buffer.alloc(size - this.#offset);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, this.#offset);
      this.#offset += bytesRead;
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }
}

function parseLine(line: string): LogPart {
  const match = /^\S+ (stdout|stderr) ([PF]) (.*)$/s.exec(line);
  if (match === null) throw new Error(`not a line of a container's log: ${line}`);
  const [, stream = '', tag, text = ''] = match;
  return { stream: stream === 'stderr' ? 'stderr' : 'stdout', text: tag === 'F' ? `${text}\n` : text };
}
