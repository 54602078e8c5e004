// What nearly every end-to-end test needs: a registry with the small base image, contexts from literals, and builds in
// containers that push into that registry.
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { builderContainer, builderLayout, type BuilderRun } from './builder.ts';
import type { CommandResult } from './command.ts';
import { type Engine, type RunningContainer, startEngine, type StartOptions } from './engine.ts';
import type { FlatNode } from './flatten.ts';
import { shapeFor } from './pod-shape.ts';
import { pushLayout } from './image-writer.ts';
import { type RunningRegistry, startDockerRegistry } from './docker-registry.ts';
import { manifestTypes, readRegistryImage, type RegistryImage } from './registry-image.ts';

export interface SceneBuild extends Omit<BuilderRun, 'context' | 'args'> {
  /** Text of the Dockerfile; `@REG@` is the registry's address. */
  readonly dockerfile: string;
  /** Further files of the context, `path → content`; those that begin with `#!` are executable. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Does something to the context's folder before the build begins. */
  readonly arrange?: (context: string) => void;
  /** Further flags. */
  readonly args?: readonly string[];
  /** Where to push, without the registry; `out/<number>` when absent. */
  readonly repository?: string;
  /** Another registry to push to. */
  readonly pushTo?: string;
}

export interface SceneResult extends CommandResult {
  /** `registry/repository:latest` */
  readonly destination: string;
  /** What the registry holds there now. */
  readonly image: RegistryImage | undefined;
}

/** A line of a stack trace: what no user should have to read. */
export const stackTrace = /^\s+at (?:.*\()?(?:file:|node:|\/|src\/|node_modules\/).*:\d+\)?$/m;

/** A build that was begun. */
export interface SceneRun extends RunningContainer {
  readonly repository: string;
  readonly destination: string;
  /** The context's folder. */
  readonly context: string;
}

/** A registry, an engine with the builder's image, and whatever was made on the way; `stop` removes all of it. */
export class Scene {
  readonly registry: RunningRegistry;
  readonly engine: Engine;
  /** The name of the builder's image in the engine. */
  readonly builder: string;
  #folders: string[] = [];
  #builds = 0;

  private constructor(registry: RunningRegistry, engine: Engine, image: string) {
    this.registry = registry;
    this.engine = engine;
    this.builder = image;
  }

  /** @throws Error when the builder's image has not been made. */
  static async start(): Promise<Scene> {
    const given = builderLayout();
    const engine = await startEngine();
    const scene = new Scene(await startDockerRegistry(), engine, await engine.load(given, 'latest'));
    const layout = resolve(import.meta.dirname, '../conformance/base');
    await pushLayout(layout, 'base', `${scene.registry.host}/base:latest`);
    return scene;
  }

  async stop(): Promise<void> {
    await this.engine.stop();
    await this.registry.stop();
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true });
  }

  /** A temporary folder that goes away with the scene. */
  async folder(files: Readonly<Record<string, string | Uint8Array>> = {}): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'yadokari-e2e-'));
    this.#folders.push(folder);
    for (const [path, content] of Object.entries(files)) {
      const file = join(folder, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
      if (typeof content === 'string' && content.startsWith('#!')) await chmod(file, 0o755);
    }
    return folder;
  }

  /** Builds in a container, pushes by plain HTTP, and reads back what was pushed. */
  async build(build: SceneBuild, options: StartOptions = {}): Promise<SceneResult> {
    const { ended, repository, destination } = await this.start(build, options);
    const result = await ended;
    const image = build.pushTo === undefined ? await readRegistryImage(this.registry.host, repository, 'latest') : undefined;
    return { ...result, destination, image };
  }

  /** Begins a build, for a test that does something meanwhile. */
  async start(build: SceneBuild, options: StartOptions = {}): Promise<SceneRun> {
    const { dockerfile, files, arrange, args = [], repository = `out/${++this.#builds}`, pushTo, ...container } = build;
    const pod = build.pod ?? shapeFor(dockerfile);
    const context = await this.folder({ ...files, Dockerfile: dockerfile.replaceAll('@REG@', this.registry.host) });
    arrange?.(context);
    const destination = `${pushTo ?? this.registry.host}/${repository}:latest`;
    const flags = [`--destination=${destination}`, '--insecure', '--insecure-pull', ...args];
    const running = await this.engine.start(builderContainer({ image: this.builder, ...container, pod, context, args: flags }), options);
    return { ...running, repository, destination, context };
  }

  /** Runs the builder with these flags alone, until it ends: its context is told by a flag, or mounted. */
  async run(builder: Omit<BuilderRun, 'image'>, options: StartOptions = {}): Promise<CommandResult> {
    const { ended } = await this.engine.start(builderContainer({ image: this.builder, ...builder }), options);
    return ended;
  }

  /** True when the scene's registry has `repository:latest`. */
  async hasTag(repository: string): Promise<boolean> {
    // without Accept, docker-registry hides OCI manifests behind a 404
    const { status } = await fetch(`http://${this.registry.host}/v2/${repository}/manifests/latest`, {
      headers: { accept: manifestTypes },
    });
    if (status !== 200 && status !== 404) throw new Error(`the registry answers ${status} for ${repository}`);
    return status === 200;
  }
}

/** What a container of the pushed image sees. @throws Error with the build's output when nothing was pushed. */
export function treeOf(result: SceneResult): ReadonlyMap<string, FlatNode> {
  if (result.status === 0 && result.image !== undefined) return result.image.flattened.tree;
  throw new Error(`nothing was pushed: ${result.output.slice(-4000)}`);
}
