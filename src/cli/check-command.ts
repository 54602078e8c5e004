// `executor check`: reads the Dockerfile, builds nothing.
import { readDockerfile } from '../build/dockerfile-file.ts';
import { formatDockerfileError } from '../dockerfile/message.ts';
import { parseDockerfile } from '../dockerfile/parse.ts';
import { DockerfileError } from '../errors.ts';
import type { CommandInput } from './build-command.ts';
import { readStandardInput } from './standard-input.ts';

/** 0 where nothing is wrong, 1 where something is. */
export async function runCheckCommand(input: CommandInput): Promise<number> {
  const name = input.settings.text('dockerfile') ?? 'Dockerfile';
  const contextFolder = input.settings.text('context') ?? input.positionals[0] ?? '.';
  const file = await readDockerfile(name, { workingDirectory: process.cwd(), contextFolder }, readStandardInput);
  try {
    parseDockerfile(file.text, file.name);
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error;
    input.stdout.write(`${formatDockerfileError(error, file.text.toString('utf8'), file.name)}\n`);
    return 1;
  }
  return 0;
}
