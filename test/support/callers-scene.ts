// What tests of callers share: containerd with the builder's images, a registry with a base, contexts, and a look at what was pushed.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { builderLayout } from './builder.ts';
import { type Containerd, startContainerd } from './cri/containerd.ts';
import { type Pod, type PodResult, runPod } from './cri/pod.ts';
import { type RunningRegistry, startDockerRegistry } from './docker-registry.ts';
import { pushLayout } from './image-writer.ts';
import { readRegistryImage } from './registry-image.ts';

/** What the registry of these tests makes necessary: it speaks HTTP. */
export const plain = ['--insecure', '--insecure-pull'];

export interface CallersScene {
  readonly containerd: Containerd;
  readonly registry: RunningRegistry;
  /** Names of the builder's images. */
  readonly image: string;
  readonly debug: string;
  /** Goes away with the scene. */
  readonly folder: string;
  /** COPY of the file hello, and a RUN that reads it. */
  readonly dockerfile: string;
  readonly nameOf: (repository: string) => string;
  /** A folder of the node with the context. */
  readonly context: () => Promise<string>;
  /** The registry has the image, with what its RUN made; gives its digest. */
  readonly pushed: (repository: string) => Promise<string>;
  readonly succeed: (pod: Pod) => Promise<PodResult>;
  readonly stop: () => Promise<void>;
}

/** @throws Error when the builder's image has not been made */
export async function startCallersScene(): Promise<CallersScene> {
  const folder = await mkdtemp(join(tmpdir(), 'yadokari-callers-'));
  const [containerd, registry] = await Promise.all([startContainerd(), startDockerRegistry()]);
  await pushLayout(resolve(import.meta.dirname, '../conformance/base'), 'base', `${registry.host}/base:latest`);
  const dockerfile = `FROM ${registry.host}/base\nCOPY hello /hello\nRUN cat /hello > /read\n`;
  return {
    containerd,
    registry,
    image: await containerd.load(builderLayout(), 'latest', 'yadokari'),
    debug: await containerd.load(builderLayout(), 'debug', 'yadokari'),
    folder,
    dockerfile,
    nameOf: (repository) => `${registry.host}/${repository}:1`,
    context: async () => {
      const place = await mkdtemp(join(folder, 'context-'));
      await writeFile(join(place, 'Dockerfile'), dockerfile);
      await writeFile(join(place, 'hello'), 'hello\n');
      return place;
    },
    pushed: async (repository) => {
      const built = await readRegistryImage(registry.host, repository, '1');
      assert.deepEqual(built?.problems, []);
      assert.equal(built?.flattened.tree.get('/read')?.size, 'hello\n'.length);
      return built?.digest ?? '';
    },
    succeed: async (pod) => {
      const result = await runPod(containerd, pod);
      assert.equal(result.status, 0, result.output);
      return result;
    },
    stop: async () => {
      await containerd.stop();
      await registry.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
