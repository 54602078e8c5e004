// The entry: signals become an abort, the command line runs, its status is ours.
import { BuilderError } from './errors.ts';
import { runCommandLine } from './cli/command-line.ts';
import { receiveInvocation } from './linux/invocation.ts';

const controller = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.on(name, () => {
    // The second signal means that somebody lost patience.
    if (controller.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143);
    controller.abort(new BuilderError('ERR_ABORTED', name));
  });
}

// What is left open by then (idle connections, timers) must not hold the exit.
void runCommandLine(receiveInvocation(), controller.signal).then((status) => process.exit(status));
