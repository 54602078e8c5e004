// A pipe for a command's output, read line by line; a real one, since a socket can't be opened as /dev/stdout.
import { once } from 'node:events';
import { closeSync, fchownSync } from 'node:fs';
import { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import type { UserIds } from './accounts.ts';
import { call } from './libc.ts';

const closeOnExec = 0o2000000; // O_CLOEXEC, the same on x86-64 and arm64
const drainMs = 2000;
const longestLine = 16_384;

/** Both ends of the pipe; `onLine` gets each line without its end, and one longer than 16 KiB in pieces. */
export class OutputPipe {
  readonly writeEnd: number;
  readonly #readEnd: number;
  readonly #onLine: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #socket: Socket | undefined;
  #rest = '';

  constructor(user: UserIds, onLine: (line: string) => void) {
    const ends = Buffer.alloc(8);
    call('pipe2', [ends, closeOnExec]);
    this.#readEnd = ends.readInt32LE(0);
    this.writeEnd = ends.readInt32LE(4);
    this.#onLine = onLine;
    try {
      fchownSync(this.writeEnd, user.uid, user.gid);
    } catch {
      // Without CAP_CHOWN another user's command can't reopen /dev/stdout, as on any docker before 1.9; writing to it works.
    }
  }

  /** Begins to read; the write end now belongs to the command alone. */
  start(): void {
    this.#socket = new Socket({ fd: this.#readEnd, readable: true, writable: false });
    closeSync(this.writeEnd);
    this.#socket.on('data', (chunk: Buffer) => this.#take(this.#decoder.write(chunk)));
    this.#socket.on('error', () => this.#socket?.destroy());
  }

  /** Resolves when all output was read, or soon if somebody whom we could not kill keeps the pipe open. */
  async drained(): Promise<void> {
    if (this.#socket !== undefined && !this.#socket.readableEnded && !this.#socket.destroyed) {
      const patience = AbortSignal.timeout(drainMs);
      await Promise.race([once(this.#socket, 'close'), once(patience, 'abort')]);
    }
    this.#take(this.#decoder.end());
    if (this.#rest !== '') this.#onLine(this.#rest);
    this.#rest = '';
  }

  /** Ends both ends, or the reading one where the command has the other. */
  close(): void {
    if (this.#socket !== undefined) return void this.#socket.destroy();
    closeSync(this.writeEnd);
    closeSync(this.#readEnd);
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#emit(line.endsWith('\r') ? line.slice(0, -1) : line);
    while (this.#rest.length > longestLine) {
      this.#onLine(this.#rest.slice(0, longestLine));
      this.#rest = this.#rest.slice(longestLine);
    }
  }

  #emit(line: string): void {
    for (let at = 0; at === 0 || at < line.length; at += longestLine) this.#onLine(line.slice(at, at + longestLine));
  }
}
