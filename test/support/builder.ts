// Runs the builder's own image the way its users do: a container, a context mounted on /workspace, kaniko's flags.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type CommandOptions, type CommandResult, must, run } from './command.ts';
import { type ContainerOptions, podmanCommand, runArguments } from './podman.ts';

export interface BuilderRun extends Omit<ContainerOptions, 'image' | 'command'> {
  /** The folder that becomes /workspace. */
  readonly context?: string;
  readonly contextIsReadOnly?: boolean;
  readonly args: readonly string[];
  /** Another image of the builder than build/image. */
  readonly image?: string;
}

const layout = resolve(import.meta.dirname, '../../build/image');

/** The OCI layout of the builder's image. @throws Error that says how to make it when it is not there. */
export function builderLayout(): string {
  if (!existsSync(`${layout}/index.json`)) throw new Error(`there is no builder image in ${layout}: run "npm run image" first`);
  return layout;
}

/** The id of the builder's image in podman's store. @throws Error as builderLayout(). */
export async function builderImage(): Promise<string> {
  const id = await must(podmanCommand(['pull', '-q', `oci:${builderLayout()}:latest`]));
  return id.trim();
}

/** The container of a builder. */
export function builderContainer(builder: BuilderRun & { readonly image: string }): ContainerOptions {
  const { context, contextIsReadOnly = false, args, volumes = [], ...container } = builder;
  const mounts = context === undefined ? [] : [`${context}:/workspace${contextIsReadOnly ? ':ro' : ''}`];
  return { ...container, volumes: [...mounts, ...volumes], command: args };
}

/** The command line of a builder container in podman. */
export function builderCommand(builder: BuilderRun & { readonly image: string }): readonly string[] {
  return podmanCommand(runArguments(builderContainer(builder)));
}

/** Runs the builder in a container until it ends. */
export async function builder(builderRun: BuilderRun, options: CommandOptions = {}): Promise<CommandResult> {
  const image = builderRun.image ?? (await builderImage());
  return run(builderCommand({ ...builderRun, image }), options);
}
