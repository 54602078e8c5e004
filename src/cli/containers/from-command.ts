// `yadokari from IMAGE`, `rename`, `rm`, `mount`, `umount`: containers made, called otherwise, reached and removed.
import { ContainerStore } from '../../containers/container-store.ts';
import { makeContainer } from '../../containers/make-container.ts';
import { parseVolume } from '../../containers/mounts.ts';
import type { ContainerState } from '../../containers/state.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { parseSize } from '../requests/size.ts';
import { splitDigest } from '../../oci/digest.ts';
import { jsonObject } from '../../oci/json.ts';
import { formatTime } from '../../oci/time.ts';
import { obtainImage, platformOf, pullingOf, readStored } from '../images/obtain-image.ts';
import { type CommandInput, onlyOperand } from '../command.ts';
import { printJson } from '../../go/json.ts';
import { openResultFile } from '../images/result-file.ts';
import { storeOf } from '../requests/store-request.ts';

/** The containers of the store that a command works with. */
export function containersOf({ settings, env }: Pick<CommandInput, 'settings' | 'env'>): ContainerStore {
  return new ContainerStore(storeOf(settings, env).folder);
}

/** Makes a container and prints its name. */
export async function runFromCommand(input: CommandInput): Promise<void> {
  const { settings, report, signal, stdout } = input;
  const text = onlyOperand(input.positionals, 'make a container', 'images', 'yadokari from debian, or scratch for an empty one');
  const store = storeOf(settings, input.env);
  const platform = platformOf(settings);
  for (const volume of settings.list('volume')) parseVolume(volume); // said now, not when a command runs
  const memory = settings.text('memory');
  if (memory !== undefined) parseSize('memory', memory);
  const pidsLimit = settings.number('pids-limit');
  const network = settings.text('network');
  const name = settings.text('name');
  const wanted = {
    ...given({ name }),
    platform,
    created: formatTime(Date.now()),
    run: {
      volumes: settings.list('volume'),
      hosts: settings.list('add-host').map(checkHost),
      ...given({ memory, pidsLimit, network }),
    },
  };
  await using file = await openResultFile(settings, 'cidfile');
  const containers = new ContainerStore(store.folder);
  let state: ContainerState;
  if (text === 'scratch') state = await makeContainer(containers, wanted, report.emit, signal);
  else {
    const found = await obtainImage(input, store, text, pullingOf(settings));
    await using base = await readStored(store, found.image, platform, signal);
    const imageName = found.name ?? found.image.names[0] ?? splitDigest(found.image.id).hex;
    state = await makeContainer(containers, { ...wanted, base: { stored: base.stored, name: imageName } }, report.emit, signal);
  }
  await file?.commit(state.id);
  stdout.write(`${state.name}\n`);
}

function checkHost(text: string): string {
  if (/^[^:\s]+:[0-9a-fA-F:.]+$/.test(text)) return text;
  throw new BuilderError('ERR_USAGE', `Cannot use --add-host ${text}: expected NAME:ADDRESS`);
}

/** Calls a container otherwise. */
export async function runRenameCommand(input: CommandInput): Promise<void> {
  const [from, to, ...others] = input.positionals;
  if (from === undefined || to === undefined || others.length > 0)
    throw new BuilderError('ERR_USAGE', 'Cannot rename: a container and its new name are needed');
  const containers = containersOf(input);
  await containers.update(containers.find(from).id, (state) => ({ ...state, name: to }), input.signal);
}

/** Removes containers and prints their ids. */
export async function runRemoveCommand(input: CommandInput): Promise<void> {
  const containers = containersOf(input);
  return await forEach(input, containers.list(), async (name) => {
    using container = await containers.open(name, 'exclusive', input.signal, () => waiting(input, name));
    await containers.remove(container, input.signal);
    return container.state.id;
  });
}

/** Prints where the files of containers are; without names those that are mounted. */
export async function runMountCommand(input: CommandInput): Promise<void> {
  const { positionals, settings, stdout, signal } = input;
  refuseOutsideNamespace();
  const containers = containersOf(input);
  const mounted: ContainerState[] = [];
  for (const name of positionals) {
    const { id } = containers.find(name);
    mounted.push(await containers.update(id, (state) => ({ ...state, isMounted: true }), signal));
  }
  const shown = positionals.length > 0 ? mounted : containers.list().filter(({ isMounted }) => isMounted);
  if (settings.boolean('json')) {
    const rows = shown.map((state) => jsonObject({ container: state.name, mountPoint: containers.rootFolder(state) }));
    stdout.write(`${shown.length === 0 ? 'null' : printJson(rows)}\n`);
    return;
  }
  const isAlone = positionals.length === 1;
  for (const state of shown) stdout.write(`${isAlone ? '' : `${state.name} `}${containers.rootFolder(state)}\n`);
}

/** Forgets that containers are mounted, and prints the ids of those that were. */
export async function runUnmountCommand(input: CommandInput): Promise<void> {
  const containers = containersOf(input);
  const mounted = containers.list().filter(({ isMounted }) => isMounted);
  return await forEach(input, mounted, async (name) => {
    const { id, isMounted } = containers.find(name);
    if (!isMounted) return undefined;
    await containers.update(id, (state) => ({ ...state, isMounted: false }), input.signal);
    return id;
  });
}

/** Says once that somebody else works in a container. */
export function waiting({ report }: Pick<CommandInput, 'report'>, name: string): void {
  report.emit({ kind: 'note', level: 'info', message: `waiting for another command that works in ${name}` });
}

/** Those that are named, or `all` with `--all`; goes on where one fails, as others may have nothing to do with it. */
async function forEach(
  input: CommandInput,
  all: readonly ContainerState[],
  act: (name: string) => Promise<string | undefined>,
): Promise<void> {
  const { positionals, settings, stdout, report } = input;
  const isAll = settings.boolean('all');
  if (isAll === positionals.length > 0) {
    const state = isAll ? 'containers are named besides --all' : 'no container is named';
    throw new BuilderError('ERR_USAGE', `Cannot go on: ${state}`, { hint: 'name containers, or give --all' });
  }
  const failures: unknown[] = [];
  for (const name of isAll ? all.map(({ id }) => id) : positionals) {
    try {
      const id = await act(name);
      if (id !== undefined) stdout.write(`${id}\n`);
    } catch (error) {
      failures.push(error);
    }
  }
  const [first, ...others] = failures.map((error) => (error instanceof Error ? error : new Error(String(error))));
  for (const { message } of others) report.line('error', `error: ${message}`);
  if (first !== undefined) throw first;
}

/** Files of an ordinary user's containers have owners that only his namespace knows. */
function refuseOutsideNamespace(): void {
  if (process.geteuid?.() === 0) return;
  throw new BuilderError('ERR_UNSUPPORTED', 'Cannot mount: only root, and you as root of a user namespace, can work with these files', {
    hint: 'first: yadokari unshare --map-ids',
  });
}
