// What tests of a command need: a home of its own, a real registry, and our program run there as a person runs it.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { type CommandOptions, type CommandResult, run } from './command.ts';
import { type RunningRegistry, missingDockerRegistry, startDockerRegistry } from './docker-registry.ts';

const program = join(import.meta.dirname, '../../bin/yadokari');

export interface CommandScene {
  /** Why the tests can't run here. */
  readonly skip: string | false;
  /** The home, with the store of images in it. */
  readonly folder: string;
  readonly registry: RunningRegistry;
  /** Our program, however it ends. */
  readonly run: (args: readonly string[], options?: CommandOptions) => Promise<CommandResult>;
  /** What it prints, where it ends well. */
  readonly yadokari: (...args: readonly string[]) => Promise<string>;
}

/** Made before the first test of a file, and gone after the last one; `prepare` is told the registry's host. */
export function commandScene(programs: readonly string[], prepare: (host: string) => Promise<void>): CommandScene {
  const missing = programs.filter((name) => !existsSync(`/usr/bin/${name}`));
  const skip = missingDockerRegistry() ?? (missing.length > 0 && `${missing.join(', ')} not installed`);
  let made: Pick<CommandScene, 'folder' | 'registry'> | undefined;
  const here = (): Pick<CommandScene, 'folder' | 'registry'> => made ?? assert.fail('no test runs');
  before(async () => {
    if (skip !== false) return;
    made = { folder: await mkdtemp(join(tmpdir(), 'yadokari-scene-')), registry: await startDockerRegistry() };
    await prepare(made.registry.host);
  });
  after(async () => {
    await made?.registry.stop();
    if (made !== undefined) await rm(made.folder, { recursive: true, force: true });
  });
  const runHere: CommandScene['run'] = async (args, options = {}) => {
    const { folder } = here();
    return await run([program, ...args], { cwd: folder, env: { HOME: folder, YADOKARI_ROOT: join(folder, 'store') }, ...options });
  };
  return {
    skip,
    get folder() {
      return here().folder;
    },
    get registry() {
      return here().registry;
    },
    run: runHere,
    yadokari: async (...args) => {
      const { status, stdout, stderr } = await runHere(args);
      assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
      return stdout;
    },
  };
}
