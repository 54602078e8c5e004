// `explain` and `cache explain`: a build's command line, up to where something would be built.
import { runBuildCommand } from './build-command.ts';
import type { CommandInput } from '../command.ts';
import { Settings } from '../settings.ts';
import { ownBuildFlags } from '../tables/own-build.ts';

/** Prints the plan and, with a cache, what it has of it; `switches` are on whatever the command line says. @throws as a build */
export async function runExplainCommand(input: CommandInput, switches: readonly 'cache'[] = []): Promise<number> {
  const flags = new Map([...input.flags, ...['dryrun', ...switches].map((name): [string, string[]] => [name, ['true']])]);
  const settings = new Settings({ values: flags, positionals: input.positionals }, ownBuildFlags, input.env);
  return await runBuildCommand({ ...input, flags, settings }, 'build');
}
