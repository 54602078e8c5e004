// Signals for a command that we run for somebody: they are the command's, not ours.
import { isatty } from 'node:tty';
import { passedSignals } from '../../sandbox/run-container.ts';

/** Until it is disposed of, hands over what is sent to us, and the end of its time; what a terminal sends reaches the command by itself. */
export function passSignals(send: (name: NodeJS.Signals) => void, deadline?: AbortSignal): Disposable {
  const end = (): void => send('SIGTERM');
  deadline?.addEventListener('abort', end);
  const hasTerminal = isatty(0);
  const before = passedSignals.map((name) => ({ name, listeners: process.listeners(name) }));
  for (const { name } of before) {
    process.removeAllListeners(name);
    process.on(name, () => {
      if (!hasTerminal || (name !== 'SIGINT' && name !== 'SIGQUIT')) send(name);
    });
  }
  return {
    [Symbol.dispose]: () => {
      deadline?.removeEventListener('abort', end);
      for (const { name, listeners } of before) {
        process.removeAllListeners(name);
        for (const listener of listeners) process.on(name, listener);
      }
    },
  };
}
