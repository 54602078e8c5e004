// Where builders are compared: a disk of its own with a registry that has the bases, a context, and the stores of both engines.
// Nothing on it is removed before the end: each build finds empty stores and a repository that holds nothing yet.
import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { builderContainer } from '../support/builder.ts';
import { must, run } from '../support/command.ts';
import { debianBase } from '../support/debian-base.ts';
import { type RunningRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { pushLayout } from '../support/image-writer.ts';
import { inPod } from '../support/pod-shape.ts';
import { podmanCommand, runArguments } from '../support/podman.ts';
import { type SlowProxy, startSlowProxy, type Traffic } from '../support/slow-proxy.ts';
import type { BuildCase } from './cases.ts';
import { BenchDisk } from './disk.ts';
import { type Cost, measure } from './meter.ts';

export interface Build extends Cost {
  /** What went through the proxy, from a far registry. */
  readonly traffic?: Traffic;
}

/** Builds the case of a place, and pushes it. */
export type Builder = (from: 'near' | 'far') => Promise<Build>;

/** Milliseconds that a far registry is away, one way. */
export const farMs = 25;

const smallBase = resolve(import.meta.dirname, '../conformance/base');

export class Place implements AsyncDisposable {
  readonly #disk: BenchDisk;
  readonly #stack: AsyncDisposableStack;
  readonly #signal: AbortSignal;
  readonly #proxy: SlowProxy;
  readonly #hosts: Readonly<Record<'near' | 'far', string>>;
  readonly #podman: readonly string[];
  #builds = 0;

  private constructor(disk: BenchDisk, stack: AsyncDisposableStack, registry: RunningRegistry, proxy: SlowProxy, signal: AbortSignal) {
    this.#disk = disk;
    this.#stack = stack;
    this.#signal = signal;
    this.#proxy = proxy;
    this.#hosts = { near: registry.host, far: proxy.address };
    this.#podman = ['--root', `${disk.path}/podman`, '--runroot', `${disk.path}/podman-run`];
  }

  /** Makes all that a case needs below `folder`, for so many builds. */
  static async make(folder: string, test: BuildCase, builds: number, signal: AbortSignal): Promise<Place> {
    await using stack = new AsyncDisposableStack();
    const disk = stack.use(await BenchDisk.make(folder, test.gigabytes * builds + 1));
    const registry = await startDockerRegistry({ folder: disk.path });
    stack.defer(() => registry.stop());
    const proxy = await startSlowProxy(registry.host, farMs);
    stack.defer(() => proxy.stop());
    await debianBase(registry.host);
    await pushLayout(smallBase, 'base', `${registry.host}/base:latest`);
    const place = new Place(disk, stack.move(), registry, proxy, signal);
    try {
      await place.#writeContext(test);
      return place;
    } catch (error) {
      await place[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #writeContext(test: BuildCase): Promise<void> {
    const context = this.#context;
    await mkdir(context);
    await must(['sh', '-c', test.context ?? 'true'], { cwd: context, signal: this.#signal });
    for (const from of ['near', 'far'] as const) {
      const host = this.#hosts[from];
      const text = test.lines.join('\n').replaceAll('@base', `${host}/base:latest`).replaceAll('@debian', `${host}/debian:bookworm`);
      await writeFile(`${context}/Dockerfile.${from}`, `${text}\n`);
    }
  }

  get #context(): string {
    return `${this.#disk.path}/context`;
  }

  /** A builder image of ours, from its OCI layout, in a container of podman. */
  async ours(layout: string): Promise<Builder> {
    const image = (await must(podmanCommand([...this.#podman, 'pull', '-q', `oci:${layout}:latest`]))).trim();
    return (from) =>
      this.#build(from, (destination) => {
        const args = [`--dockerfile=Dockerfile.${from}`, `--destination=${destination}`, '--insecure', '--insecure-pull'];
        const container = inPod(builderContainer({ image, context: this.#context, args, isKept: true }));
        return measure(
          ({ name }) => podmanCommand([...this.#podman, ...runArguments({ ...container, extra: [`--cgroup-parent=${name}`] })]),
          this.#signal,
        );
      });
  }

  /** buildah as it works in a pod, with a layer for each step, and with nothing from earlier builds. */
  buildah(): Builder {
    return (from) =>
      this.#build(from, (destination) => {
        const store = `buildah --root ${this.#disk.path}/buildah-${this.#builds} --runroot ${this.#disk.path}/buildah-run-${this.#builds}`;
        const options = `--isolation=chroot --layers --tls-verify=false --ulimit=nofile=20000:20000 --tag=${destination}`;
        const build = `${store} bud ${options} --file=${this.#context}/Dockerfile.${from} ${this.#context}`;
        const push = `${store} push --tls-verify=false ${destination}`;
        return measure((group) => group.inside(['sh', '-c', `${build} && ${push}`]), this.#signal);
      });
  }

  async #build(from: 'near' | 'far', build: (destination: string) => Promise<Cost>): Promise<Build> {
    this.#signal.throwIfAborted();
    const host = this.#hosts[from];
    const destination = `${host}/bench/${++this.#builds}:latest`;
    this.#proxy.take();
    await must(['sync', '-f', this.#disk.path]); // what the build before has left to write is not this one's
    const cost = await build(destination);
    return from === 'far' ? { ...cost, traffic: this.#proxy.take() } : cost;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(podmanCommand([...this.#podman, 'rm', '--all', '--force', '--time', '0']));
    await this.#stack.disposeAsync();
  }
}
