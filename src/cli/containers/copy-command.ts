// `yadokari copy CONTAINER SOURCE… DESTINATION` and `add`: files of this machine, of another container or an image, or of the web.
import { mkdtempDisposableSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bytesFromText } from '../../bytes.ts';
import type { ContainerStore } from '../../containers/container-store.ts';
import { copyIntoContainer } from '../../containers/copy.ts';
import { removeMountPoints } from '../../containers/run.ts';
import { imageFiles } from '../../containers/image-files.ts';
import { applyIgnoreFile } from '../../context/ignore-file.ts';
import { isUrlSource } from '../../context/source-word.ts';
import type { SourceTree } from '../../context/tree.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { diskView } from '../../files/disk-view.ts';
import { Spool } from '../../files/spool.ts';
import { realPlace } from '../../files/real-place.ts';
import { obtainImage, platformOf, pullingOf, readStored } from '../images/obtain-image.ts';
import type { CommandInput } from '../command.ts';
import { containersOf, waiting } from './from-command.ts';
import { addHistory } from './run-command.ts';
import { storeOf } from '../requests/store-request.ts';
import { openMeans, temporaryFolderOf } from '../requests/transport-request.ts';

/** Copies and prints a digest of what was copied. */
export async function runCopyIntoCommand(input: CommandInput, verb: 'COPY' | 'ADD'): Promise<void> {
  const { settings, positionals, report, stdout, signal } = input;
  const [name, ...words] = positionals;
  if (name === undefined || words.length === 0)
    throw new BuilderError('ERR_USAGE', `Cannot copy: ${name === undefined ? 'no container' : 'no source'} is named`, {
      hint: `yadokari ${verb.toLowerCase()} CONTAINER SOURCE DESTINATION`,
    });
  const sources = words.length > 1 ? words.slice(0, -1) : words;
  const containers = containersOf(input);
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(mkdtempDisposableSync(join(temporaryFolderOf(settings, input.env), 'yadokari-')));
  const spool = stack.use(new Spool(folder.path));
  const tree = await sourceTree(input, containers, spool, stack);
  using container = await containers.open(name, 'exclusive', signal, () => waiting(input, name));
  await removeMountPoints(container, containers);
  const [chown, chmod] = [settings.text('chown'), settings.text('chmod')];
  const { kind, digest } = await copyIntoContainer(
    container,
    {
      sources: sources.map((word) => wordIn(input, word)),
      destination: words.length > 1 ? (words.at(-1) ?? '') : '',
      tree,
      ...given({ chown, chmod }),
      excludes: settings.list('exclude'),
      unpacks: verb === 'ADD',
    },
    {
      spool,
      now: () => ({ seconds: Math.floor(Date.now() / 1000), nanoseconds: 0 }),
      download: async (url, downloading) => {
        const means = stack.use(await openMeans(settings, '', { env: input.env, emit: report.emit }));
        return await means.registry.download(url, { signal: downloading });
      },
      emit: report.emit,
      signal,
    },
  );
  if (!settings.boolean('quiet')) stdout.write(`${digest}\n`);
  if (settings.boolean('add-history')) await addHistory(input, container.state.id, `/bin/sh -c #(nop) ${verb} ${kind}:${digest}`);
}

/** A word as a path in the tree that it is read from; in a folder that is named, its path of this machine does as well. */
function wordIn({ settings }: CommandInput, word: string): string {
  const folder = settings.text('contextdir');
  if (isUrlSource(word) || settings.has('from')) return word;
  if (folder === undefined) return resolve(word);
  const above = resolve(folder);
  return word === above || word.startsWith(`${above}/`) ? word.slice(above.length) || '/' : word;
}

/** Where sources are: a container or an image, a folder, or this machine. */
async function sourceTree(input: CommandInput, containers: ContainerStore, spool: Spool, stack: AsyncDisposableStack): Promise<SourceTree> {
  const { settings, signal } = input;
  const from = settings.text('from');
  const folder = settings.text('contextdir');
  if (from !== undefined && folder !== undefined) throw new BuilderError('ERR_USAGE', 'Cannot use --from with --contextdir: choose one');
  if (from !== undefined) {
    // Of a beginning as short as an image's name can be, nobody knows which of the two is meant.
    if (!containers.has(from) && !containers.list().some(({ id }) => /^[0-9a-f]{12}/.test(from) && id.startsWith(from)))
      return await imageTree(input, from, spool, stack);
    const container = containers.find(from);
    // What is copied within one container is read under the lock by which it is written.
    if (container.id !== containers.find(input.positionals[0] ?? '').id)
      stack.use(await containers.open(container.id, 'shared', signal, () => waiting(input, from)));
    return folderTree(containers.rootFolder(container), `container ${container.name}`, { keepsOwners: !settings.has('chown') });
  }
  if (folder === undefined) return folderTree('/', 'this machine', { keepsOwners: false });
  const tree = folderTree(realPlace(resolve(folder)), folder, { keepsOwners: false });
  const ignoreFile = settings.text('ignorefile');
  return ignoreFile === undefined ? tree : applyIgnoreFile(tree, { ignoreFile: resolve(ignoreFile) });
}

function folderTree(folder: string, label: string, { keepsOwners }: Pick<SourceTree, 'keepsOwners'>): SourceTree {
  return { files: diskView(bytesFromText(folder)), label, keepsOwners };
}

async function imageTree(input: CommandInput, name: string, spool: Spool, stack: AsyncDisposableStack): Promise<SourceTree> {
  const store = storeOf(input.settings, input.env);
  const { image } = await obtainImage(input, store, name, pullingOf(input.settings));
  const { stored } = stack.use(await readStored(store, image, platformOf(input.settings), input.signal));
  return { files: await imageFiles(stored.image, spool, input.signal), label: `image ${name}`, keepsOwners: !input.settings.has('chown') };
}
