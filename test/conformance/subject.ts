// Who is put to the test: our builder's image in a plain container or a pod, or buildah, by which the judge itself is judged.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builderContainer, builderLayout } from '../support/builder.ts';
import { type CommandResult, run } from '../support/command.ts';
import { type Engine, startEngine } from '../support/engine.ts';

export interface Build {
  readonly context: string;
  /** Where the context is mounted. */
  readonly contextAt: string;
  readonly contextIsWritable: boolean;
  /** As a case's: read-only folders with one file `mounted`, or files where the path ends in `.file`. */
  readonly mounts: readonly string[];
  /** Path of the Dockerfile inside the context. */
  readonly dockerfile: string;
  readonly destination: string;
  readonly args: Readonly<Record<string, string>>;
  readonly target: string | undefined;
  readonly secrets: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
}

export interface Subject {
  /** Builds and pushes, and tells how it ended. */
  readonly build: (build: Build) => Promise<CommandResult>;
  readonly stop: () => Promise<void>;
}

/** The subject of that name. @throws Error for an unknown name, or when our image has not been made. */
export async function chooseSubject(name: string): Promise<Subject> {
  if (name === 'buildah') return { build: buildah, stop: () => Promise.resolve() };
  if (name !== 'yadokari') throw new Error(`no subject is called ${name}: yadokari or buildah`);
  const layout = builderLayout();
  const engine = await startEngine();
  const image = await engine.load(layout, 'latest');
  return { build: (build) => yadokari(engine, image, build), stop: engine.stop };
}

async function yadokari(engine: Engine, image: string, build: Build): Promise<CommandResult> {
  return withFolder(async (folder) => {
    await writeSecrets(folder, build.secrets);
    const args = [
      `--context=${build.contextAt}`,
      `--dockerfile=${build.dockerfile}`,
      `--destination=${build.destination}`,
      '--insecure',
      '--insecure-pull',
      ...Object.entries(build.args).map(([key, value]) => `--build-arg=${key}=${value}`),
      ...(build.target === undefined ? [] : [`--target=${build.target}`]),
      ...Object.keys(build.secrets).map((id) => `--secret=id=${id},src=/given-secrets/${id}`),
      ...build.flags,
    ];
    const volumes = [
      `${build.context}:${build.contextAt}${build.contextIsWritable ? '' : ':ro'}`,
      ...(Object.keys(build.secrets).length === 0 ? [] : [`${folder}/secrets:/given-secrets:ro`]),
      ...(await writeMounts(folder, build.mounts)),
    ];
    const { ended } = await engine.start(builderContainer({ image, volumes, args }));
    return await ended;
  });
}

// It builds in containers of its own, where what a pod mounts is not to be seen.
async function buildah(build: Build): Promise<CommandResult> {
  return withFolder(async (folder) => {
    await writeSecrets(folder, build.secrets);
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
      ...Object.keys(build.secrets).map((id) => `--secret=id=${id},src=${folder}/secrets/${id}`),
      ...build.flags.map((flag) => flag.replaceAll('/workspace', build.context)),
      build.context,
    ]);
    return built.status === 0 ? run(['buildah', 'push', '--tls-verify=false', build.destination]) : built;
  });
}

async function writeSecrets(folder: string, secrets: Build['secrets']): Promise<void> {
  await mkdir(join(folder, 'secrets'));
  for (const [id, value] of Object.entries(secrets)) await writeFile(join(folder, 'secrets', id), value);
}

/** The volumes that put a case's mounts in place. */
async function writeMounts(folder: string, mounts: Build['mounts']): Promise<readonly string[]> {
  return Promise.all(
    mounts.map(async (mount, index) => {
      const source = join(folder, `mount-${index}`);
      await mkdir(source);
      await writeFile(join(source, 'mounted'), 'mounted\n');
      return mount.endsWith('.file') ? `${source}/mounted:${mount.slice(0, -'.file'.length)}:ro` : `${source}:${mount}:ro`;
    }),
  );
}

async function withFolder<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'yadokari-subject-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
