// Base images in a folder that warmers fill and builders read, many at once: below it, `DIGEST` is an OCI layout that holds the
// manifest with that digest, as kaniko's warmer leaves it. An index has a layout that holds nothing else. Blobs appear whole or not at
// all, and an image is there when its index.json is, which comes last. Nothing in it is trusted: what has another digest is left aside.
import { existsSync, statSync } from 'node:fs';
import { readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { BuilderError, systemReason, isMissing } from '../errors.ts';
import type { Emit } from '../events.ts';
import { type Descriptor, isForeign } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { manifestLimitBytes, storedManifest } from '../oci/manifest.ts';
import type { Platform } from '../oci/platform.ts';
import { type Reference, formatReference } from '../oci/reference.ts';
import type { ImageSource, StoredRoot } from '../oci/source-and-sink.ts';
import { type StoredImage, readImage, writeImage } from '../oci/stored-image.ts';
import type { RegistryClient } from '../registry/client.ts';
import { JointWork } from '../registry/joint-work.ts';
import { type PulledImage, pullFrom } from '../registry/pull.ts';
import { blobPath, openBlobFile, readBlobFile } from '../store/blob-file.ts';
import { openLayoutSink, openLayoutSource } from '../store/oci-layout.ts';

export interface BaseFolderOptions {
  readonly path: string;
  /** Older images are as good as none. */
  readonly ttlMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly emit: Emit;
}

export class BaseFolder {
  readonly path: string;
  readonly #options: BaseFolderOptions;
  /** Whether a blob is as it should be, by its path. */
  readonly #checked = new JointWork<string, boolean>();
  readonly #told = new Set<string>();

  constructor(options: BaseFolderOptions) {
    this.path = options.path;
    this.#options = options;
  }

  /**
   * An image, if only a part of it is here; undefined where its parts don't fit together.
   * @throws RegistryError where the registry has no such name, or does not answer
   */
  async pull(
    reference: Reference,
    platform: Platform,
    client: Pick<RegistryClient, 'openSource'>,
    signal: AbortSignal,
  ): Promise<PulledImage | undefined> {
    const { emit } = this.#options;
    const source = await this.open(reference, () => client.openSource(reference, signal), signal);
    try {
      return await pullFrom(source, { reference, platform, emit }, signal);
    } catch (error) {
      signal.throwIfAborted();
      const message = `${formatReference(reference)} can't be read by way of ${this.path}: ${systemReason(error)}`;
      emit({ kind: 'note', level: 'debug', message });
      return undefined;
    }
  }

  /**
   * An image as its registry has it, read from here as far as it is here. A reference with a digest needs no registry for that.
   * @throws what `openRemote` throws where it is needed
   */
  async open(reference: Reference, openRemote: () => Promise<ImageSource>, signal: AbortSignal): Promise<ImageSource> {
    let opened: Promise<ImageSource> | undefined;
    const remote = (): Promise<ImageSource> => (opened ??= openRemote());
    const pinned = reference.digest === undefined ? undefined : await this.#root(reference.digest, signal);
    const { root, from } = pinned ?? (await remote());
    const name = formatReference(reference);
    // Of the manifest that was read last: what is read next is what that names.
    let layout = this.#layoutOf(root.digest, name);
    return {
      name,
      root,
      from: from ?? { registry: reference.registry, repository: reference.repository },
      manifest: async (descriptor, reading) => {
        layout = this.#layoutOf(descriptor.digest, name);
        if (layout === undefined || !(await this.#has(layout, descriptor, reading)))
          return await (await remote()).manifest(descriptor, reading);
        const bytes = await readBlobFile(layout, descriptor, manifestLimitBytes, reading);
        return storedManifest(bytes, descriptor.mediaType, descriptor.digest);
      },
      bytes: async (descriptor, limitBytes, reading) => {
        if (layout === undefined || !(await this.#has(layout, descriptor, reading)))
          return await (await remote()).bytes(descriptor, limitBytes, reading);
        this.#note(`${name} is in ${this.path}`);
        return await readBlobFile(layout, descriptor, limitBytes, reading);
      },
      open: (descriptor, reading) => {
        const [place, has] = [layout, this.#has.bind(this)];
        const chunks = async function* (): AsyncGenerator<Buffer> {
          if (place !== undefined && (await has(place, descriptor, reading))) yield* openBlobFile(place, descriptor, reading);
          else yield* (await remote()).open(descriptor, reading);
        };
        return Readable.from(chunks(), { objectMode: false });
      },
    };
  }

  /** True where an image and the index that names it are here, by their sizes, and not too old. */
  async holds(root: StoredRoot, digest: Digest, platform: Platform, signal: AbortSignal): Promise<boolean> {
    const layout = this.#layoutOf(digest);
    if (layout === undefined || this.#layoutOf(root.digest) === undefined) return false;
    try {
      const { image } = await readImage(await openLayoutSource({ folder: layout, digest }, platform, signal), platform, signal);
      const blobs = image.layers.filter(({ descriptor }) => !isForeign(descriptor));
      return blobs.every(({ descriptor }) => statSync(blobPath(layout, descriptor.digest)).size === descriptor.size);
    } catch {
      signal.throwIfAborted();
      return false;
    }
  }

  /** Puts an image here, and the index that names it; what is here already is looked at again, and mended. @throws ERR_LAYER */
  async keep(name: string, root: StoredRoot, image: StoredImage, signal: AbortSignal): Promise<void> {
    const layout = join(this.path, image.manifest.digest);
    try {
      await removeLeftovers(layout);
      await writeImage(openLayoutSink({ folder: layout, tag: name }), image, signal);
      await this.#renew(layout);
      if (root.digest === image.manifest.digest) return;
      const index = join(this.path, root.digest);
      await openLayoutSink({ folder: index, tag: name }).writeRoot(root, signal);
      await this.#renew(index);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof BuilderError) throw error;
      throw new BuilderError('ERR_LAYER', `Cannot keep ${name} in ${layout}: ${systemReason(error)}`, { cause: error });
    }
  }

  async #renew(layout: string): Promise<void> {
    const seconds = this.#options.now() / 1000;
    await utimes(layout, seconds, seconds);
  }

  async #root(digest: Digest, signal: AbortSignal): Promise<ImageSource | undefined> {
    const layout = this.#layoutOf(digest);
    if (layout === undefined) return undefined;
    try {
      return await openLayoutSource({ folder: layout, digest }, undefined, signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#warn(layout, error);
      return undefined;
    }
  }

  /** Where the image is; undefined where it is not, or too old. `name` is that of an image that is about to be read. */
  #layoutOf(digest: Digest, name?: string): string | undefined {
    const { ttlMs, now } = this.#options;
    const layout = join(this.path, digest);
    try {
      const stat = statSync(layout);
      const isOld = stat.mtimeMs + ttlMs < now();
      if (stat.isDirectory() && !isOld) {
        statSync(join(layout, 'index.json'));
        return layout;
      }
      const why = isOld ? 'is older than --cache-ttl' : 'is no OCI layout, but of an older warmer';
      if (name !== undefined) this.#note(`${layout} ${why}: ${name} comes from its registry`);
    } catch (error) {
      if (!isMissing(error)) this.#warn(layout, error);
    }
    return undefined;
  }

  // Read once before it is given out: who takes a blob over need not be able to begin anew.
  async #has(layout: string, descriptor: Descriptor, signal: AbortSignal): Promise<boolean> {
    const check = async (inner: AbortSignal): Promise<boolean> => await this.#check(layout, descriptor, inner);
    return await this.#checked.get(blobPath(layout, descriptor.digest), signal, check);
  }

  async #check(layout: string, descriptor: Descriptor, signal: AbortSignal): Promise<boolean> {
    try {
      for await (const chunk of openBlobFile(layout, descriptor, signal)) void chunk;
      return true;
    } catch (error) {
      signal.throwIfAborted();
      this.#warn(layout, error);
      return false;
    }
  }

  #note(message: string): void {
    if (!this.#told.has(message)) this.#options.emit({ kind: 'note', level: 'info', message });
    this.#told.add(message);
  }

  #warn(layout: string, error: unknown): void {
    const reason = systemReason(error);
    this.#options.emit({ kind: 'warning', code: `base-folder ${layout} ${reason}`, message: `${layout} is not used as it is: ${reason}` });
  }
}

/** What a warmer that was killed left half written. */
async function removeLeftovers(layout: string): Promise<void> {
  if (!existsSync(layout)) return;
  const names = await readdir(layout, { recursive: true });
  for (const name of names.filter((each) => each.endsWith('.tmp'))) await rm(join(layout, name), { force: true });
}
