// Commands that make or change files of containers have to be root, as files of an image have many owners: an ordinary user is, in a
// user namespace of his own with his ranges of ids, where the same command line is run again.
import { resolve } from 'node:path';
import { configPaths, filesVariable } from '../../registry/credentials.ts';
import { chooseMapping } from '../../sandbox/ids.ts';
import { readCaller, readIdSources } from '../../sandbox/host.ts';
import { runUnshared } from '../../sandbox/unshare.ts';
import type { CommandInput } from '../command.ts';
import { passSignals } from './pass-signals.ts';
import { storeOf } from '../requests/store-request.ts';

/** Does `act` as root of the store, here or in a namespace, and gives an exit status that is not 0. @throws ERR_UNSUPPORTED where there can be none */
export async function asStoreOwner(input: CommandInput, command: string, act: () => Promise<number | void>): Promise<number | void> {
  if (process.geteuid?.() === 0) return await act();
  const { env, flags, positionals, report, settings, signal } = input;
  const { mapping, note } = chooseMapping(readCaller(), readIdSources());
  if (note !== undefined) report.emit({ kind: 'warning', code: 'sandbox-ids', message: note });
  const words = [...flags].flatMap(([name, values]) => values.map((value) => `--${name}=${value}`));
  const program = [process.execPath, '--disable-sigusr1', resolve(process.argv[1] ?? '')];
  report.close();
  return await runUnshared(mapping, [...program, ...command.split(' '), ...words, '--', ...positionals], {
    // Inside, the user is root, and root's store and credentials are others.
    env: { ...env, YADOKARI_ROOT: storeOf(settings, env).folder, [filesVariable]: configPaths(env).join('\n') },
    onSignal: (send) => passSignals(send, signal),
    signal,
  });
}
