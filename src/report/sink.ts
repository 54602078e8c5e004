// Where lines go: one file descriptor, written synchronously so that nothing is lost at exit and a slow reader slows us.
import { writeSync } from 'node:fs';
import { systemCode } from '../errors.ts';

export interface Sink {
  readonly isTerminal: boolean;
  /** Width of the terminal in columns, and its height. */
  readonly columns: () => number;
  readonly rows: () => number;
  readonly write: (text: string) => void;
}

/** A sink on a descriptor. A reader that went away (EPIPE) or a full disk never stops the build: the text is dropped. */
export function openSink(fd: number, isTerminal: boolean, size: Pick<Sink, 'columns' | 'rows'>): Sink {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  let isGone = false;
  const write = (text: string): void => {
    let bytes = Buffer.from(text);
    while (bytes.length > 0 && !isGone) {
      try {
        bytes = bytes.subarray(writeSync(fd, bytes));
      } catch (error) {
        const code = systemCode(error);
        // A pipe that somebody made non-blocking is full: wait for its reader.
        if (code === 'EAGAIN') Atomics.wait(pause, 0, 0, 5);
        else if (code !== 'EINTR') isGone = true;
      }
    }
  };
  return { isTerminal, ...size, write };
}
