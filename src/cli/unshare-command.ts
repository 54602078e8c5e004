// `yadokari unshare [--map-ids] [--explain] [COMMAND…]`: a shell, or a command, where everything I own looks like root's.
import { explainIds, planIds, runUnshared } from '../sandbox/unshare.ts';
import type { Command, CommandInput } from './command.ts';
import { defaultRoot } from './store-request.ts';
import { logFlags } from './tables/log.ts';

export const unshareCommand: Command = {
  name: 'unshare',
  usage: '[flags] [COMMAND ARGUMENT…]',
  takesOperands: true,
  endsAtOperand: true,
  about: "run a command where all that you own looks like root's",
  groups: [
    {
      title: 'Ids',
      flags: [
        { name: 'map-ids', kind: 'boolean', isCommon: true, about: 'also your ranges of /etc/subuid and /etc/subgid' },
        { name: 'explain', kind: 'boolean', isCommon: true, about: 'say which ids are which; alone, only that' },
      ],
    },
    { title: 'What is told', flags: logFlags },
  ],
  run: runUnshareCommand,
};

/** The command's own exit status. @throws ERR_UNSUPPORTED */
async function runUnshareCommand({ settings, positionals, env, stdout, signal }: CommandInput): Promise<number> {
  const plan = planIds(settings.boolean('map-ids'));
  if (settings.boolean('explain')) {
    for (const line of explainIds(plan)) stdout.write(`${line}\n`);
    if (positionals.length === 0) return 0;
  }
  const command = positionals.length > 0 ? positionals : [env['SHELL'] || '/bin/sh'];
  return await runUnshared(plan.mapping, command, {
    env: { ...env, YADOKARI_ROOT: env['YADOKARI_ROOT'] || defaultRoot(env) }, // inside, everybody is root
    signal,
  });
}
