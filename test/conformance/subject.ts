// Who is put to the test: our builder's image in a plain container, or buildah, by which the judge itself is judged.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builderCommand, builderImage } from '../support/builder.ts';
import { type CommandResult, run } from '../support/command.ts';

export interface Build {
  readonly context: string;
  /** Path of the Dockerfile inside the context. */
  readonly dockerfile: string;
  readonly destination: string;
  readonly args: Readonly<Record<string, string>>;
  readonly target: string | undefined;
  readonly secrets: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
}

/** Builds and pushes, and tells how it ended. */
export type Subject = (build: Build) => Promise<CommandResult>;

/** The subject of that name. @throws Error for an unknown name, or when our image has not been made. */
export async function chooseSubject(name: string): Promise<Subject> {
  if (name === 'buildah') return buildah;
  if (name !== 'yadokari') throw new Error(`no subject is called ${name}: yadokari or buildah`);
  const image = await builderImage();
  return (build) => yadokari(image, build);
}

async function yadokari(image: string, build: Build): Promise<CommandResult> {
  return withSecrets(build.secrets, async (folder) => {
    const args = [
      '--context=/workspace',
      `--dockerfile=${build.dockerfile}`,
      `--destination=${build.destination}`,
      '--insecure',
      '--insecure-pull',
      ...Object.entries(build.args).map(([key, value]) => `--build-arg=${key}=${value}`),
      ...(build.target === undefined ? [] : [`--target=${build.target}`]),
      ...Object.keys(build.secrets).map((id) => `--secret=id=${id},src=/given-secrets/${id}`),
      ...build.flags,
    ];
    const volumes = folder === undefined ? [] : [`${folder}:/given-secrets:ro`];
    return run(builderCommand({ image, context: build.context, volumes, args }));
  });
}

async function buildah(build: Build): Promise<CommandResult> {
  return withSecrets(build.secrets, async (folder) => {
    const built = await run([
      'buildah',
      'bud',
      '--isolation=chroot',
      '--layers',
      '--format=docker', // the OCI format has no room for SHELL, HEALTHCHECK and ONBUILD in buildah's eyes
      '--identity-label=false',
      '--no-cache',
      '--tls-verify=false',
      '--ulimit=nofile=20000:20000',
      `--file=${join(build.context, build.dockerfile)}`,
      `--tag=${build.destination}`,
      ...Object.entries(build.args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
      ...(build.target === undefined ? [] : [`--target=${build.target}`]),
      ...Object.keys(build.secrets).map((id) => `--secret=id=${id},src=${folder}/${id}`),
      ...build.flags.map((flag) => flag.replaceAll('/workspace', build.context)),
      build.context,
    ]);
    return built.status === 0 ? run(['buildah', 'push', '--tls-verify=false', build.destination]) : built;
  });
}

async function withSecrets<Result>(
  secrets: Readonly<Record<string, string>>,
  use: (folder: string | undefined) => Promise<Result>,
): Promise<Result> {
  const entries = Object.entries(secrets);
  if (entries.length === 0) return use(undefined);
  const folder = await mkdtemp(join(tmpdir(), 'yadokari-secrets-'));
  try {
    for (const [id, value] of entries) await writeFile(join(folder, id), value);
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
