// A step that is a command of an image: in a container with namespaces where one can be made, else as a RUN of a build that keeps nothing.
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { BuilderError } from '../../errors.ts';
import { makeFolder } from '../../folders.ts';
import type { ImageConfig } from '../../oci/image-config.ts';
import { type ImageAction, type Step, homeVolume } from '../../steps/step.ts';
import { obtainImage, platformOf, readStored } from '../images/obtain-image.ts';
import type { CommandInput } from '../command.ts';
import type { Environment } from '../settings.ts';
import { logFlags } from '../tables/log.ts';
import { type StepPlace, wordsOf, workspaceName } from './step-place.ts';

export interface ContainerScope {
  readonly place: StepPlace;
  readonly input: CommandInput;
  /** For scripts and volumes, until the last step is done. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** Gives the command's status. @throws BuilderError where it can't be started */
export async function runImageAction(step: Step, action: ImageAction, scope: ContainerScope): Promise<number> {
  const { place, input, signal } = scope;
  const config = await readConfig(action, scope);
  const scriptFolder = join(scope.folder, randomUUID());
  mkdirSync(scriptFolder);
  if (action.script !== undefined) {
    const text = action.script.startsWith('#!') ? action.script : `#!/bin/sh\n${action.script}`;
    writeFileSync(join(scriptFolder, scriptName), text, { mode: 0o755 });
  }
  const argv = argvOf(action, config);
  if (argv.length === 0)
    throw new BuilderError('ERR_USAGE', `Cannot run ${action.image}: it has no command of its own, and the step has none`);
  const home = [...step.volumes].find(([, name]) => name === homeVolume)?.[0];
  const env = new Map([...(home === undefined ? [] : [['HOME', home] as const]), ...step.env]);
  const work: Work = {
    step,
    action,
    argv,
    env,
    scriptFolder,
    again: async (words, more) =>
      await input.again({ argv: words, env: { ...place.env, ...more } }, { signal, stdout: { ...input.stdout, write: () => undefined } }),
  };
  return place.isPod ? await runAsBuild(work, scope) : await runInContainer(work, scope);
}

const scriptName = 'yadokari-step';

interface Work {
  readonly step: Step;
  readonly action: ImageAction;
  readonly argv: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  readonly scriptFolder: string;
  readonly again: (argv: readonly string[], env?: Environment) => Promise<number>;
}

async function readConfig({ image, isPulled }: ImageAction, { place, input, signal }: ContainerScope): Promise<ImageConfig> {
  const platform = platformOf(input.settings);
  const { store } = place;
  const options = { selection: { kind: 'host', platform } } as const;
  const found = await obtainImage({ ...input, signal }, store, image, { policy: isPulled === true ? 'newer' : 'missing', options });
  await using read = await readStored(store, found.image, platform, signal);
  return read.stored.image.config;
}

/** As docker has it: arguments take the place of the image's command, an entry point that of both. */
function argvOf({ entrypoint, args, script }: ImageAction, { config }: ImageConfig): readonly string[] {
  if (script !== undefined) return [`/${scriptName}`];
  if (entrypoint !== undefined) return [...entrypoint, ...args];
  return [...(config.entrypoint ?? []), ...(args.length > 0 ? args : (config.cmd ?? []))];
}

async function runInContainer(
  { step, action, argv, env, scriptFolder, again }: Work,
  { place, folder, input }: ContainerScope,
): Promise<number> {
  const name = `yadokari-step-${randomUUID().slice(0, 12)}`;
  const made = await again(['from', '--pull=never', `--name=${name}`, action.image]);
  if (made !== 0) return made;
  const volumes = [...step.volumes].map(([path, volume]) => `--volume=${volumeFolder(folder, volume)}:${path}`);
  const script = action.script === undefined ? [] : [`--volume=${join(scriptFolder, scriptName)}:/${scriptName}:ro`];
  const words = [
    'run',
    `--volume=${place.workspace}:${workspaceName}`,
    ...volumes,
    ...script,
    ...(step.folder === undefined ? [] : [`--workingdir=${join(workspaceName, step.folder)}`]),
    ...(action.user === undefined ? [] : [`--user=${action.user}`]),
    ...[...env].map(([variable, value]) => `--env=${variable}=${value}`),
  ];
  try {
    return await again([...words, name, '--', ...argv]);
  } finally {
    const { signal } = new AbortController(); // it is to be gone after an abort, too
    await input.again({ argv: ['rm', name], env: place.env }, { signal, stdout: { ...input.stdout, write: () => undefined } });
  }
}

function volumeFolder(folder: string, name: string): string {
  const path = join(folder, name);
  makeFolder(path);
  chmodSync(path, 0o777); // users of images are not ours
  return path;
}

/** What is mounted in a container is there in a RUN, too, and no layer has it: so the workspace has to be a mount. */
async function runAsBuild(
  { step, action, argv, env, scriptFolder, again }: Work,
  { place: { workspace }, input }: ContainerScope,
): Promise<number> {
  if (statSync(workspace).dev === statSync('/').dev)
    throw new BuilderError(
      'ERR_UNSUPPORTED',
      `Cannot run ${action.image} in ${workspace}: the folder is a part of this container's own root, which the image takes the place of`,
      {
        hint: `mount the source as a volume, as an emptyDir at ${workspaceName}`,
      },
    );
  if (workspace !== workspaceName) symlinkSync(workspace, join(scriptFolder, workspaceName.slice(1)));
  const hasFiles = workspace !== workspaceName || action.script !== undefined;
  // Values come as secrets do: no config has them, and any text can be one.
  const secrets = [...env].map(([name, value], position) => ({ name, value, id: `YADOKARI_STEP_${position}` }));
  const mounts = [
    ...secrets.map(({ name, id }) => `--mount=type=secret,id=${id},env=${name},required=true`),
    ...[...step.volumes].map(([path, volume]) => `--mount=type=cache,id=yadokari-${volume},target=${path},mode=0777`),
  ];
  const lines = [
    `FROM ${action.image}`,
    ...(hasFiles ? ['COPY . /'] : []),
    ...(step.folder === undefined ? [] : [`WORKDIR ${join(workspace, step.folder).replaceAll('$', '\\$')}`]),
    ...(action.user === undefined ? [] : [`USER ${action.user}`]),
    `RUN ${[...mounts, JSON.stringify(argv)].join(' ')}`,
  ];
  const dockerfile = `${scriptFolder}.Dockerfile`;
  writeFileSync(dockerfile, `${lines.join('\n')}\n`);
  return await again(
    [
      'build',
      '--no-push',
      '--no-check',
      ...wordsOf(logFlags, input.flags),
      '--verbosity=error',
      `--dockerfile=${dockerfile}`,
      ...secrets.map(({ id }) => `--secret=id=${id},env=${id}`),
      scriptFolder,
    ],
    Object.fromEntries(secrets.map(({ id, value }) => [id, value])),
  );
}
