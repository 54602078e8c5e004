// What the result of one instruction depends on besides the steps before it.
import { isGitSource, isUrlSource } from '../../context/source-word.ts';
import { compileExcludes } from '../../context/ignore.ts';
import { type Selection, selectSources, selectWithParents } from '../../context/select.ts';
import type { SourceTree } from '../../context/tree.ts';
import type { CopyInstruction, Flag, Instruction, RunInstruction } from '../../dockerfile/instruction.ts';
import { expandHeredoc, expandWord } from '../../dockerfile/words.ts';
import type { SourceRange } from '../../errors.ts';
import { type Digest, isDigest } from '../../oci/digest.ts';
import type { StageState } from '../effect.ts';
import { type ExpandedCopy, expandCopy, expandFlag } from '../instructions/copy.ts';
import { shellOf } from '../instructions/metadata.ts';
import { findSource } from '../instructions/mount-source.ts';
import { type Mount, parseMount } from '../instructions/mount.ts';
import { commandOf } from '../instructions/run.ts';
import { workingDirAfter } from '../instructions/workdir.ts';
import { type KeyPart, digestOfTexts } from './key.ts';
import { sourceParts } from './source-parts.ts';

/** What an instruction reads from: files that can be looked at now, or an image or a stage that one text stands for. */
export type KeySource =
  | { readonly kind: 'tree'; readonly tree: SourceTree }
  | { readonly kind: 'known'; readonly digest: string; readonly stage?: number };

export interface PartsScope {
  readonly escape: '\\' | '`';
  /** Undefined where nothing stands for it yet. @throws BuilderError where there is none */
  readonly sourceOf: (from: string | undefined, allowsNumbers: boolean, range: SourceRange) => Promise<KeySource | undefined>;
  /** Gets what need not be fetched to be known. */
  readonly onDownload?: (url: string, digest: Digest) => void;
  /** The network of commands that name none. */
  readonly network: string;
  readonly signal: AbortSignal;
}

export interface StepParts {
  readonly parts: readonly KeyPart[];
  /** It does not even depend on the steps before (`COPY --link`). */
  readonly isDetached: boolean;
  /** Stages that it reads from. */
  readonly reads: readonly number[];
}

/**
 * The parts of an instruction that makes a layer; undefined where they can't be known before it is executed.
 * @throws what executing it would throw for what it says and reads
 */
export async function stepParts(instruction: Instruction, state: StageState, scope: PartsScope): Promise<StepParts | undefined> {
  switch (instruction.kind) {
    case 'run':
      return await runParts(instruction, state, scope);
    case 'copy':
    case 'add':
      return await copyParts(instruction, state, scope);
    case 'workdir': {
      const folder = workingDirAfter(expander(state, scope, instruction.range)(instruction.word), state.config.workingDir);
      const parts = [
        { name: 'working directory', value: folder },
        { name: 'user', value: state.config.user ?? '' },
      ];
      return { parts, isDetached: false, reads: [] };
    }
    default:
      return undefined;
  }
}

type Expand = (word: string) => string;

function expander({ environment }: StageState, { escape }: PartsScope, range: SourceRange): Expand {
  return (word) => expandWord(word, environment, { escape, range }).value;
}

async function runParts(instruction: RunInstruction, state: StageState, scope: PartsScope): Promise<StepParts | undefined> {
  const { argv, script } = commandOf(instruction.command, shellOf(state.config));
  const workingDir = state.config.workingDir ?? '/';
  const parts: KeyPart[] = [
    { name: 'command', value: digestOfTexts([...argv, ...(script === undefined ? [] : [script.path, script.body])]) },
    { name: 'user', value: state.config.user ?? '' },
    { name: 'working directory', value: workingDir },
    { name: 'network', value: instruction.network ?? scope.network },
    { name: 'security', value: instruction.security ?? 'sandbox' },
    ...instruction.devices.map(({ value = '' }) => ({ name: 'device', value })),
    ...variableParts(state),
  ];
  const reads: number[] = [];
  for (const flag of instruction.mounts) {
    const mount = parseMount(flag, expander(state, scope, flag.range), workingDir);
    const found = await mountParts(flag, mount, scope, reads);
    if (found === undefined) return undefined;
    parts.push(...found);
  }
  return { parts, isDetached: false, reads };
}

/** What a command finds in its environment; the order means nothing. Proxies that no ARG declares do not count, as with BuildKit. */
function variableParts({ environment, args }: StageState): KeyPart[] {
  return [...environment]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name: `${args.has(name) ? 'argument' : 'variable'} ${name}`, value }));
}

/** A mount is what it is, not what is in it; but for what it binds. A secret is a name, since its value is nobody's to keep. */
async function mountParts(flag: Flag, mount: Mount, scope: PartsScope, reads: number[]): Promise<KeyPart[] | undefined> {
  const part = { name: `mount ${mount.target ?? mount.type}`, value: JSON.stringify(mount) };
  const from = 'from' in mount ? mount.from : undefined;
  if (mount.type !== 'bind' && from === undefined) return [part];
  const source = await scope.sourceOf(from, false, flag.range);
  if (source === undefined) return undefined;
  if (source.kind === 'known') {
    if (source.stage !== undefined) reads.push(source.stage);
    return [part, { name: `source ${from ?? ''}`, value: source.digest }];
  }
  const { path, isDirectory } = findSource(flag, source.tree, 'source' in mount ? mount.source : '/');
  const stat = source.tree.files.stat(path);
  if (stat === undefined) return undefined;
  const mode = { name: `mount ${mount.target ?? ''} mode`, value: isDirectory ? stat.mode.toString(8) : '' };
  const { signal } = scope;
  return [part, mode, ...(await sourceParts(source.tree, [{ path, name: path, stat }], { hasOwner: false, signal }))];
}

async function copyParts(instruction: CopyInstruction, state: StageState, scope: PartsScope): Promise<StepParts | undefined> {
  const expand = expander(state, scope, instruction.range);
  const copy = expandCopy(instruction, { expand });
  const workingDir = copy.destination.startsWith('/') ? '' : (state.config.workingDir ?? '/');
  const parts: KeyPart[] = [
    { name: 'kind', value: instruction.kind },
    { name: 'destination', value: digestOfTexts([workingDir, copy.destination]) },
    { name: 'owner', value: copy.chown ?? '' },
    { name: 'mode', value: copy.chmod ?? '' },
    { name: 'flags', value: digestOfTexts([instruction.link, instruction.parents, instruction.unpack ?? 'absent'].map(String)) },
    ...instruction.excludes.map(({ value = '' }) => ({ name: 'exclude', value })),
    ...copy.heredocs.map(({ name, body, expand: expands }) => {
      const content = expands ? expandHeredoc(body, state.environment, { range: instruction.range }).value : body;
      return { name: `file <<${name}`, value: digestOfTexts([name, content]) };
    }),
  ];
  const reads: number[] = [];
  for (const word of copy.words) {
    const found = await wordParts(word, copy, { ...scope, expand }, reads);
    if (found === undefined) return undefined;
    parts.push(...found);
  }
  return { parts, isDetached: instruction.link && copy.chmod === undefined, reads };
}

async function wordParts(
  word: string,
  { instruction, chown }: ExpandedCopy,
  scope: PartsScope & { readonly expand: Expand },
  reads: number[],
): Promise<KeyPart[] | undefined> {
  if (isGitSource(word) || isUrlSource(word)) {
    // Only who says what will come need not fetch it to know.
    const checksum = expandFlag(instruction.checksum, scope);
    if (checksum === undefined || !isUrlSource(word) || !isDigest(checksum)) return undefined;
    scope.onDownload?.(word, checksum);
    return [{ name: `download ${word}`, value: checksum }];
  }
  const from = instruction.kind === 'copy' ? instruction.from?.value : undefined;
  const source = await scope.sourceOf(from, true, instruction.range);
  if (source === undefined) return undefined;
  if (source.kind === 'known') {
    if (source.stage !== undefined) reads.push(source.stage);
    return [{ name: `source ${word}`, value: source.digest }];
  }
  const { tree } = source;
  const selections: readonly Selection[] = instruction.parents ? selectWithParents(tree, word) : selectSources(tree, word);
  const patterns = instruction.excludes.flatMap(({ value }) => (value === undefined ? [] : [value]));
  const excludes = patterns.length === 0 ? {} : { excludes: compileExcludes(patterns) };
  const found = await sourceParts(tree, selections, { ...excludes, hasOwner: chown !== undefined, signal: scope.signal });
  return [{ name: 'sources', value: String(selections.length) }, ...found];
}
