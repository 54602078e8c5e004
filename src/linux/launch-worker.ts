// In the thread that starts what RUN asks for. It lives from before the first unpack to the end of the build: its capability bounds
// are narrowed once, and for each program it becomes the wanted user, starts it and comes back, while the main thread waits.
import { constants as fsConstants, openSync } from 'node:fs';
import type { MessagePort } from 'node:worker_threads';
import { boundCapabilities, runCapabilities } from './capabilities.ts';
import { attempt } from './libc.ts';
import { type SpawnRequest, type StartAnswer, startProgram } from './start-program.ts';

/** What the main thread hands to the worker when it makes it. */
export interface WorkerStart {
  readonly port: MessagePort;
  /** One Int32 that is set to 1, and notified, when an answer lies in `port`. */
  readonly answered: SharedArrayBuffer;
}

export type SpawnAnswer =
  | { readonly kind: 'ready'; readonly capabilitiesLeft: readonly number[]; readonly hasOwnRoot: boolean }
  | StartAnswer;

const shareNoDirectories = 0x200; // CLONE_FS

/** Narrows the bounds, says so, and serves requests until the worker ends. */
export function serveLaunches({ port, answered }: WorkerStart): void {
  const flag = new Int32Array(answered);
  const answer = (value: SpawnAnswer): void => {
    port.postMessage(value);
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
  };
  // Refused by docker's default seccomp profile; then the directory and umask are borrowed from the whole process.
  const hasOwnRoot = attempt('unshare', shareNoDirectories) === 0;
  const ownRoot = openSync('/', fsConstants.O_RDONLY | fsConstants.O_DIRECTORY);
  port.on('message', (request: SpawnRequest) => answer(startProgram(request, ownRoot)));
  answer({ kind: 'ready', capabilitiesLeft: boundCapabilities(runCapabilities), hasOwnRoot });
}
