// Where working containers are: a folder each, with its state, its files (`root`), what those were at first (`snapshot`), and locks.
// Every write of a state is one rename under a lock that is held for no longer; who works with a container's files holds its own lock.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path/posix';
import { makeNamedFolder } from '../folders.ts';
import { bytesFromText, fsPath } from '../bytes.ts';
import { BuilderError, ifCode, orElse, systemCode, systemReason } from '../errors.ts';
import { removeTree } from '../files/remove.ts';
import { plainRoot } from '../files/root.ts';
import { type LockKind, tryLock, waitForLock } from '../linux/file-lock.ts';
import { replaceFile } from '../store/blob-file.ts';
import { type ContainerState, formatState, parseState } from './state.ts';

/** A container whose files may be worked with until it is disposed of. */
export interface OpenContainer extends Disposable {
  readonly state: ContainerState;
  readonly folder: string;
  /** Its files: the absolute path of the folder that is its `/`. */
  readonly rootFolder: string;
  readonly snapshotPath: string;
}

/** What a `making` or `removing` that was killed left behind. */
export interface Leftover {
  readonly id: string;
  readonly remove: () => Promise<void>;
}

export class ContainerStore {
  readonly #folder: string;

  /** `root` is the folder of the whole store. */
  constructor(root: string) {
    this.#folder = join(root, 'containers');
  }

  /** Those that are ready, the oldest first. */
  list(): readonly ContainerState[] {
    return this.#states()
      .filter(({ status }) => status === 'ready')
      .toSorted((a, b) => (a.created < b.created ? -1 : a.created > b.created ? 1 : a.id < b.id ? -1 : 1));
  }

  /** Whether `find` finds one by a whole name or id. */
  has(name: string): boolean {
    return this.list().some((state) => state.name === name || state.id === name);
  }

  /** By name, id, or the beginning of an id. @throws ERR_USAGE where there is none, or more than one */
  find(name: string): ContainerState {
    const all = this.list();
    const exact = all.find((state) => state.name === name || state.id === name);
    if (exact !== undefined) return exact;
    const beginning = name.length >= 3 && /^[0-9a-f]+$/.test(name) ? all.filter(({ id }) => id.startsWith(name)) : [];
    const [only, ...others] = beginning;
    if (only !== undefined && others.length === 0) return only;
    const state = only === undefined ? 'there is no such container' : `${beginning.length} ids begin with it`;
    throw new BuilderError('ERR_USAGE', `Cannot find container ${JSON.stringify(name)}: ${state}`, {
      hint: '"yadokari containers" lists them, "yadokari from IMAGE" makes one',
    });
  }

  /** What `run --mount=type=cache` holds, a folder and locks for each. */
  get cacheFolder(): string {
    return join(this.#folder, 'caches');
  }

  /** The folder that is the container's `/`. */
  rootFolder({ id }: Pick<ContainerState, 'id'>): string {
    return join(this.#folder, id, 'root');
  }

  /**
   * Makes a container of status `making`, locked by us. Without `name`, it gets `base`, or `base-1` and so on where that is taken.
   * @throws ERR_USAGE where `name` is taken
   */
  async create(
    naming: { readonly name: string } | { readonly base: string },
    describe: (id: string, name: string) => ContainerState,
    signal: AbortSignal,
  ): Promise<OpenContainer> {
    using _lock = await this.#lock(signal);
    const taken = new Set(this.#states().flatMap((state) => (this.#isLeft(state) ? [] : [state.name])));
    const name = 'name' in naming ? naming.name : freeName(naming.base, taken);
    checkName(name);
    if (taken.has(name)) throw nameTaken(name);
    const id = randomBytes(32).toString('hex');
    mkdirSync(join(this.#folder, id), { mode: 0o700 });
    const own = tryLock(this.#lockPath(id), 'exclusive');
    if (own === undefined) throw new BuilderError('ERR_INTERNAL', `Cannot make container ${id}: somebody else has its lock`);
    const state = describe(id, name);
    await this.#write(state);
    mkdirSync(this.rootFolder(state), { mode: 0o755 });
    // Whatever our umask.
    chmodSync(this.rootFolder(state), 0o755);
    return this.#opened(state, own);
  }

  /** Opens a container for work with its files, waiting for others. @throws ERR_USAGE as `find` */
  async open(name: string, kind: LockKind, signal: AbortSignal, onWait?: () => void): Promise<OpenContainer> {
    const { id } = this.find(name);
    const lock = await waitForLock(bytesFromText(this.#pathOf(id, 'lock')), kind, signal, onWait);
    // It may have been removed while we waited.
    const state = this.#read(id);
    if (state?.status === 'ready') return this.#opened(state, lock);
    lock[Symbol.dispose]();
    throw new BuilderError('ERR_USAGE', `Cannot open container ${JSON.stringify(name)}: it was removed meanwhile`);
  }

  /** Changes a state, of which others may have changed something since it was read. @throws ERR_USAGE where it is gone */
  async update(id: string, change: (state: ContainerState) => ContainerState, signal: AbortSignal): Promise<ContainerState> {
    using _lock = await this.#lock(signal);
    const state = this.#read(id);
    if (state === undefined) throw new BuilderError('ERR_USAGE', `Cannot change container ${id}: it was removed meanwhile`);
    const changed = change(state);
    if (changed.name !== state.name) {
      checkName(changed.name);
      if (this.#states().some((other) => other.id !== id && other.name === changed.name && !this.#isLeft(other)))
        throw nameTaken(changed.name);
    }
    await this.#write(changed);
    return changed;
  }

  /** Removes a container that we have opened `exclusive`. Killed meanwhile, it is a leftover. @throws SystemError */
  async remove(container: OpenContainer, signal: AbortSignal): Promise<void> {
    const { id } = container.state;
    await this.update(id, (state) => ({ ...state, status: 'removing' }), signal);
    await this.#removeFolder(id);
  }

  /** What nobody will finish: folders whose container was not ready when its process ended. */
  leftovers(): readonly Leftover[] {
    const left = this.#ids().flatMap((id): readonly Leftover[] => {
      const state = this.#read(id);
      const isLeft = state === undefined ? this.#isUnlocked(id) : this.#isLeft(state);
      return isLeft ? [{ id, remove: async () => await this.#removeFolder(id) }] : [];
    });
    return [...left, ...this.#namesIn(this.cacheFolder).map((id) => ({ id, remove: async () => this.#removeCache(id) }))];
  }

  #opened(state: ContainerState, lock: Disposable): OpenContainer {
    const folder = join(this.#folder, state.id);
    return {
      state,
      folder,
      rootFolder: this.rootFolder(state),
      snapshotPath: join(folder, 'snapshot'),
      [Symbol.dispose]: () => lock[Symbol.dispose](),
    };
  }

  async #lock(signal: AbortSignal): Promise<Disposable> {
    // Nobody else may enter: what is in a container's root may be setuid.
    makeNamedFolder(this.#folder, 'the folder of working containers', 0o700);
    return await waitForLock(bytesFromText(join(this.#folder, 'lock')), 'exclusive', signal);
  }

  #states(): readonly ContainerState[] {
    return this.#ids().flatMap((id) => this.#read(id) ?? []);
  }

  #ids(): readonly string[] {
    return this.#namesIn(this.#folder);
  }

  #namesIn(folder: string): readonly string[] {
    try {
      return readdirSync(folder).filter((name) => /^[0-9a-f]{64}$/.test(name));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return [];
      const message = `Cannot list the containers in ${this.#folder}: ${systemReason(error)}`;
      throw new BuilderError('ERR_ROOTFS', message, {
        cause: error,
        ...(systemCode(error) === 'EACCES'
          ? { hint: 'they are those of the user who made them; images are shared, containers are not' }
          : {}),
      });
    }
  }

  #read(id: string): ContainerState | undefined {
    const path = this.#pathOf(id, 'state.json');
    return orElse(() => parseState(readFileSync(path, 'utf8'), path), ifCode(['ENOENT']));
  }

  // Under the lock of all states: what stands there half written is of somebody who was killed.
  async #write(state: ContainerState): Promise<void> {
    const folder = join(this.#folder, state.id);
    for (const name of readdirSync(folder)) if (/^\..*\.tmp$/.test(name)) await rm(join(folder, name), { force: true });
    await replaceFile(this.#pathOf(state.id, 'state.json'), formatState(state));
  }

  #isLeft(state: ContainerState): boolean {
    return state.status !== 'ready' && this.#isUnlocked(state.id);
  }

  #isUnlocked(id: string): boolean {
    if (!existsSync(this.#pathOf(id, 'lock'))) return true;
    const lock = tryLock(this.#lockPath(id), 'exclusive');
    lock?.[Symbol.dispose]();
    return lock !== undefined;
  }

  // Its state last but for the folder itself: without one, nobody knows what the rest is.
  async #removeFolder(id: string): Promise<void> {
    const folder = join(this.#folder, id);
    removeTree(plainRoot(bytesFromText(folder)), bytesFromText('root'));
    await rm(fsPath(bytesFromText(folder)), { recursive: true, force: true });
  }

  // One that a command uses stays, and so do locks, which somebody may be waiting for.
  #removeCache(name: string): void {
    using alone = tryLock(bytesFromText(join(this.cacheFolder, `${name}.lock`)), 'exclusive');
    if (alone !== undefined) removeTree(plainRoot(bytesFromText(this.cacheFolder)), bytesFromText(name));
  }

  #pathOf(id: string, name: string): string {
    return join(this.#folder, id, name);
  }

  #lockPath(id: string): ReturnType<typeof bytesFromText> {
    return bytesFromText(this.#pathOf(id, 'lock'));
  }
}

function freeName(base: string, taken: ReadonlySet<string>): string {
  for (let number = 0; ; number++) {
    const name = number === 0 ? base : `${base}-${number}`;
    if (!taken.has(name)) return name;
  }
}

/** @throws ERR_USAGE for a name that no container can have */
function checkName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) return;
  throw new BuilderError('ERR_USAGE', `Cannot call a container ${JSON.stringify(name)}: only letters, digits, "_", "." and "-" are taken`);
}

function nameTaken(name: string): BuilderError {
  return new BuilderError('ERR_USAGE', `Cannot call a container ${JSON.stringify(name)}: there is one of that name`);
}
