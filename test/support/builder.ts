// Runs the builder's own image the way its users do: in a pod, with a context mounted somewhere, kaniko's flags.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { must } from './command.ts';
import { contextPlaces, inPod, type PodShape, podVolumes } from './pod-shape.ts';
import { type ContainerOptions, podmanCommand, runArguments } from './podman.ts';

export interface BuilderRun extends Omit<ContainerOptions, 'image' | 'command'> {
  /** The folder that becomes the context, mounted where the pod has it. */
  readonly context?: string;
  readonly contextIsReadOnly?: boolean;
  /** `kubernetes` when absent: the context at /workspace, where no flag is needed for it. */
  readonly pod?: PodShape;
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
  const { context, contextIsReadOnly, args, volumes, pod = 'kubernetes', ...container } = builder;
  const isTold = context === undefined || pod === 'kubernetes' || args.some((arg) => arg.startsWith('--context='));
  const command = isTold ? args : [`--context=${contextPlaces[pod]}`, ...args];
  return { ...container, volumes: podVolumes(pod, { context, contextIsReadOnly, volumes }), command };
}

/** The command line of a builder container in podman. */
export function builderCommand(builder: BuilderRun & { readonly image: string }): readonly string[] {
  return podmanCommand(runArguments(inPod(builderContainer(builder))));
}
