// What a pod is besides its image: a token where every pod has one, a Secret with credentials, and the context where a CI
// system mounts it. An empty container is a shape that nobody builds in.
import { resolve } from 'node:path';
import type { ContainerOptions } from './podman.ts';

/** Where the context is mounted, by who mounts it there. */
export const contextPlaces = {
  kubernetes: '/workspace',
  gitlab: '/builds/group/project',
  tekton: '/workspace/source',
  jenkins: '/home/jenkins/agent/workspace/app',
} as const;

export type PodShape = keyof typeof contextPlaces;

/** The folder that the kubelet mounts into a pod: token, ca.crt and namespace, each a link into `..data`. */
export const tokenPlace = '/var/run/secrets/kubernetes.io/serviceaccount';
/** A Secret of the type kubernetes.io/dockerconfigjson, where the manifests of k8s/ mount it. */
export const secretPlace = '/kaniko/.docker';

const shapes = Object.keys(contextPlaces) as readonly PodShape[]; // the keys of a literal
const fixtures = resolve(import.meta.dirname, '../fixtures/pod');

export interface PodMounts {
  /** The folder that becomes the context. */
  readonly context?: string | undefined;
  readonly contextIsReadOnly?: boolean | undefined;
  /** A test's own mounts; what stands at a place of the pod's, or below it, is there instead. */
  readonly volumes?: readonly string[] | undefined;
}

/** What the manifest of a pod of that shape mounts, `HOST:CONTAINER[:OPTIONS]` each. */
export function podVolumes(shape: PodShape, { context, contextIsReadOnly = false, volumes = [] }: PodMounts): readonly string[] {
  const given = isTaken(secretPlace, volumes) ? [] : [`${fixtures}/registry-secret:${secretPlace}:ro`];
  const mounted = context === undefined ? [] : [`${context}:${contextPlaces[shape]}${contextIsReadOnly ? ':ro' : ''}`];
  return [...given, ...mounted, ...volumes];
}

/** A container of podman with what a kubelet adds; podman itself adds /etc/hosts, /etc/hostname and /etc/resolv.conf as a kubelet does. */
export function inPod(container: ContainerOptions): ContainerOptions {
  const { volumes = [] } = container;
  if (isTaken(tokenPlace, volumes)) return container;
  return { ...container, volumes: [`${fixtures}/serviceaccount:${tokenPlace}:ro`, ...volumes] };
}

function isTaken(place: string, volumes: readonly string[]): boolean {
  return volumes.some((volume) => `${volume.split(':')[1] ?? ''}/`.startsWith(`${place}/`));
}

/** One of the shapes for a build, the same each time: between them the builds of the tests stand in all of them. */
export function shapeFor(dockerfile: string): PodShape {
  const text = dockerfile.replaceAll(/:\d+/g, ''); // ports change
  const sum = Buffer.from(text).reduce((total, byte) => (total * 31 + byte) % 65_521, 7);
  return shapes[sum % shapes.length] ?? 'kubernetes';
}
