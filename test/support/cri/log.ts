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
  #rest = '';
  /** Lines that go on, in bytes: a letter may have been cut in two. */
  readonly #begun: Record<LogStream, string> = { stdout: '', stderr: '' };

  constructor(path: string) {
    this.#path = path;
  }

  /** Whole lines; nothing for a log that isn't there yet. @throws Error for a line that is none of a log. */
  async read(): Promise<readonly LogPart[]> {
    const lines = (this.#rest + (await this.#readAdded()).toString('latin1')).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.flatMap((line) => {
      const { stream, tag, bytes } = parseLine(line);
      const whole = this.#begun[stream] + bytes;
      this.#begun[stream] = tag === 'P' ? whole : '';
      return tag === 'P' ? [] : [{ stream, text: `${decode(whole)}\n` }];
    });
  }

  /** What the container wrote after the last end of a line; for a log that is complete. */
  unfinished(): readonly LogPart[] {
    const streams: readonly LogStream[] = ['stdout', 'stderr'];
    return streams.filter((stream) => this.#begun[stream] !== '').map((stream) => ({ stream, text: decode(this.#begun[stream]) }));
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

function parseLine(line: string): { readonly stream: LogStream; readonly tag: string; readonly bytes: string } {
  const match = /^\S+ (stdout|stderr) ([PF]) (.*)$/s.exec(line);
  if (match === null) throw new Error(`not a line of a container's log: ${line}`);
  const [, stream = '', tag = '', bytes = ''] = match;
  return { stream: stream === 'stderr' ? 'stderr' : 'stdout', tag, bytes };
}

function decode(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString();
}
