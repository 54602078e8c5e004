// `yadokari unshare [--map-ids] [--explain] [COMMAND…]`: a shell, or a command, where everything I own looks like root's.
import { explainIds, planIds, runUnshared } from '../../sandbox/unshare.ts';
import { type Command, type CommandInput, buildahFailure } from '../command.ts';
import { containersOf } from '../containers/from-command.ts';
import { passSignals } from './pass-signals.ts';
import { storeOf } from '../requests/store-request.ts';
import { storeFlags } from '../tables/store-root.ts';
import { logFlags } from '../tables/log.ts';
import { group, list, toggle } from '../tables/flag.ts';

export const unshareCommand: Command = {
  name: 'unshare',
  usage: '[flags] [COMMAND ARGUMENT…]',
  endsAtOperand: true,
  failureStatus: () => buildahFailure,
  about: "run a command where all that you own looks like root's",
  groups: [
    group('Ids', [
      toggle('map-ids', 'fail without ranges in /etc/subuid', {
        isCommon: true,
        details:
          'your ranges of /etc/subuid and /etc/subgid: fail where there are none; false: leave them out (default: where there are some)',
      }),
      toggle('explain', 'say which ids are which; alone, only that', { isCommon: true }),
      list('mount', '[NAME=]CONTAINER', 'where its files are, as a variable', {
        short: 'm',
        isCommon: true,
        empty: 'refused',
        details: "a variable NAME (default: the container's name) with the folder of a container's files; means --map-ids",
      }),
    ]),
    group('Store', storeFlags),
    group('What is told', logFlags),
  ],
  run: runUnshareCommand,
};

/** The command's own exit status. @throws ERR_UNSUPPORTED, ERR_USAGE for a container that is not there */
async function runUnshareCommand(input: CommandInput): Promise<number | void> {
  const { settings, positionals, env, stdout, signal } = input;
  const mounts = await mountsOf(input);
  const asked = settings.has('map-ids') ? settings.boolean('map-ids') : undefined;
  const plan = planIds(mounts.size > 0 ? true : asked);
  if (settings.boolean('explain')) {
    for (const line of explainIds(plan)) stdout.write(`${line}\n`);
    if (positionals.length === 0) return;
  }
  const command = positionals.length > 0 ? positionals : [env['SHELL'] || '/bin/sh'];
  // Inside, who calls is root, and root's store is another one.
  const around = { ...env, ...Object.fromEntries(mounts), YADOKARI_ROOT: storeOf(settings, env).folder };
  return await runUnshared(plan.mapping, command, { env: around, onSignal: passSignals, signal });
}

async function mountsOf(input: CommandInput): Promise<ReadonlyMap<string, string>> {
  const containers = containersOf(input);
  const mounts = new Map<string, string>();
  for (const item of input.settings.list('mount')) {
    const equals = item.indexOf('=');
    const name = item.slice(equals + 1);
    const { id } = containers.find(name);
    const state = await containers.update(id, (before) => ({ ...before, isMounted: true }), input.signal);
    mounts.set(equals === -1 ? name : item.slice(0, equals), containers.rootFolder(state));
  }
  return mounts;
}
