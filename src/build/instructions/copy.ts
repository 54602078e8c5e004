// COPY: words to sources, sources to files, files into the root. dockerfile reference, "COPY"; what BuildKit does decides.
import { bytesFromText } from '../../bytes.ts';
import { compileExcludes } from '../../context/ignore.ts';
import { isGitSource, isUrlSource } from '../../context/source-word.ts';
import { type Selection, selectSources, selectWithParents } from '../../context/select.ts';
import type { SourceTree } from '../../context/tree.ts';
import type { CopyInstruction, Flag, Heredoc } from '../../dockerfile/instruction.ts';
import { BuilderError, DockerfileError, hideCredentials, pinnedTo, type SourceRange } from '../../errors.ts';
import { given } from '../../given.ts';
import { lookupOwner } from '../../linux/accounts.ts';
import type { Effect, StageState, StepScope } from '../effect.ts';
import { parseModeChange } from './copy-mode.ts';
import { CopyTarget, type Owner, absoluteIn } from './copy-target.ts';
import { type CopyJob, copyLooseFile, type CopyPolicy, copySelection, type Destination } from './copy-tree.ts';
import { readAccounts } from './read-accounts.ts';

/** What COPY needs besides the step: words expanded by the state before it, and the places it may read from. */
export interface CopyScope extends StepScope {
  readonly expand: (word: string) => string;
  readonly expandHeredoc: (body: string) => string;
  /**
   * The tree that `--from` names: a stage by name or number, a named context, or an image; undefined is the build context.
   * @throws BuilderError where there is none
   */
  readonly sources: (from: Flag | undefined) => Promise<SourceTree>;
}

/** An instruction after expansion: words as they will be used and shown in the history. */
export interface ExpandedCopy {
  readonly instruction: CopyInstruction;
  readonly words: readonly string[];
  readonly heredocs: readonly Heredoc[];
  readonly destination: string;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
}

/**
 * Executes COPY. Contents are read when the layer is written.
 * @throws DockerfileError, BuilderError ERR_CONTEXT for a source, ERR_ROOTFS for a destination
 */
export async function executeCopy(instruction: CopyInstruction, state: StageState, scope: CopyScope): Promise<Effect> {
  const copy = expandCopy(instruction, scope);
  for (const word of copy.words) refuseRemote(word, instruction);
  const tree =
    copy.words.length === 0
      ? undefined
      : await scope.sources(instruction.from).catch((error: unknown) => {
          // A stage's files may be those of a broken cache, which is told by the error as it is.
          throw error instanceof BuilderError && error.hint !== undefined ? pinnedTo(instruction.from?.range, error) : error;
        });
  const selected = tree === undefined ? [] : selectAll(copy, tree, scope);
  const job = await startJob(copy, state, scope);
  for (const { selection } of selected) if (tree !== undefined) await copySelection(job, tree, selection);
  await copyHeredocs(copy, job, scope);
  return finishJob(copy, state, job);
}

/** Expands the words of COPY or ADD and refuses what can't be honoured. @throws DockerfileError */
export function expandCopy(instruction: CopyInstruction, scope: Pick<CopyScope, 'expand'>): ExpandedCopy {
  const { sources, destination, chown, chmod, from } = instruction;
  if (from?.value?.includes('$') === true) {
    throw new DockerfileError(`Cannot use --from=${from.value}: variables are not expanded there`, from.range, {
      hint: 'Give the stage a fixed name: FROM ${IMAGE} AS name, then --from=name.',
    });
  }
  return {
    instruction,
    words: sources.flatMap((source) => (source.kind === 'word' ? [scope.expand(source.word)] : [])),
    heredocs: sources.flatMap((source) => (source.kind === 'heredoc' ? [source.heredoc] : [])),
    destination: scope.expand(destination),
    chown: expandFlag(chown, scope),
    chmod: expandFlag(chmod, scope),
  };
}

/** The value of a flag after expansion; one that comes out empty counts as absent. */
export function expandFlag(flag: Flag | undefined, { expand }: Pick<CopyScope, 'expand'>): string | undefined {
  return flag?.value === undefined ? undefined : expand(flag.value) || undefined;
}

/** A source word with what it selected. */
export interface SelectedWord {
  readonly word: string;
  readonly selection: Selection;
}

/** Everything that the words select, in their order; `offset` is the first one's among the sources. @throws BuilderError ERR_CONTEXT */
export function selectAll({ words, instruction }: ExpandedCopy, tree: SourceTree, scope: CopyScope, offset = 0): SelectedWord[] {
  const places = instruction.sources.filter((source) => source.kind === 'word');
  return words.flatMap((word, position) => {
    if (word === '') warn(scope, instruction, 'copy-empty-source', `A source is empty after expansion, and so means all of ${tree.label}`);
    const selections = at(places[offset + position]?.range, () =>
      instruction.parents ? selectWithParents(tree, word) : selectSources(tree, word),
    );
    if (selections.length === 0)
      warn(scope, instruction, 'copy-no-match', `'${word}' matches nothing in ${tree.label}: nothing is copied for it`);
    return selections.map((selection) => ({ word, selection }));
  });
}

function at<Value>(range: SourceRange | undefined, task: () => Value): Value {
  try {
    return task();
  } catch (error) {
    throw pinnedTo(range, error);
  }
}

/** Resolves the destination and what copies get there. @throws DockerfileError, BuilderError */
export async function startJob(copy: ExpandedCopy, state: StageState, scope: StepScope): Promise<CopyJob> {
  const { instruction } = copy;
  const chmod = copy.chmod === undefined ? undefined : parseModeChange(copy.chmod);
  // With --chmod, BuildKit copies as if there were no --link.
  const replaces = instruction.link && copy.chmod === undefined;
  const owner = copy.chown === undefined ? undefined : await readOwner(copy.chown, instruction, replaces, scope);
  const target = new CopyTarget(replaces ? scope.files.detachedDraft() : await scope.files.draft(), {
    instruction: scope.step.text,
    replaces,
  });
  const destination = readDestination(copy, state, target);
  const epoch = given({ mtimeSeconds: scope.sourceDateEpoch });
  const policy: CopyPolicy = {
    parents: { mode: chmod?.octal ?? 0o755, ...given({ owner }), ...epoch },
    ...given({ owner, chmod }),
    ...epoch,
  };
  const patterns = instruction.excludes.flatMap((flag) => (flag.value === undefined ? [] : [flag.value]));
  const excludes = patterns.length === 0 ? {} : { excludes: compileExcludes(patterns) };
  const seen = new Set<string>();
  return {
    target,
    policy,
    destination,
    written: [],
    spool: scope.files.spool,
    ...excludes,
    warn: (code, message) => {
      if (seen.has(code)) return;
      seen.add(code);
      warn(scope, instruction, code, message);
    },
    signal: scope.signal,
  };
}

/** Writes the heredocs of an instruction as files named after their words. */
export async function copyHeredocs({ heredocs }: ExpandedCopy, job: CopyJob, scope: Pick<CopyScope, 'expandHeredoc'>): Promise<void> {
  for (const { name, body, expand } of heredocs) {
    const content = Buffer.from(expand ? scope.expandHeredoc(body) : body);
    await copyLooseFile(job, { name: bytesFromText(name), content: [content], mode: 0o644 });
  }
}

/** The effect of a finished copy. */
export function finishJob(copy: ExpandedCopy, state: StageState, job: CopyJob): Effect {
  job.target.finish();
  const last = job.written.at(-1);
  const overwritten = job.written.slice(0, -1).map((name) => `'${name}'`);
  if (last !== undefined && overwritten.length > 0) {
    const names = overwritten.length > 5 ? [...overwritten.slice(0, 5), `${overwritten.length - 5} more`] : overwritten;
    const place = copy.destination;
    job.warn('copy-overwritten', `'${last}' overwrote ${names.join(', ')}: '${place}' is one file; write '${place}/' for a directory`);
  }
  return { state, touched: { kind: 'drafted', draft: job.target.draft }, history: { createdBy: describeCopy(copy) } };
}

/** `created_by` as BuildKit words it: expanded, without --from, --link and --exclude. */
export function describeCopy({ instruction, words, heredocs, destination, chown, chmod }: ExpandedCopy): string {
  const flags = [
    instruction.parents ? '--parents' : '',
    chown === undefined ? '' : `--chown=${chown}`,
    chmod === undefined ? '' : `--chmod=${chmod}`,
  ];
  const sources = [...words.map(hideCredentials), ...heredocs.map((heredoc) => `<<${heredoc.name}`)];
  return [instruction.kind.toUpperCase(), ...flags.filter((flag) => flag !== ''), ...sources, destination, '# buildkit'].join(' ');
}

function readDestination({ destination }: ExpandedCopy, state: StageState, target: CopyTarget): Destination {
  const isDirectory = destination === '' || destination === '.' || destination.endsWith('/') || destination.endsWith('/.');
  const workingDir = state.config.workingDir ?? '/';
  return { path: target.follow(absoluteIn(workingDir, destination)), isDirectory };
}

async function readOwner(spec: string, { chown, range }: CopyInstruction, isLink: boolean, scope: StepScope): Promise<Owner> {
  if (isLink && !/^\d+(?::\d*)?$/.test(spec)) {
    const message = `Cannot use --chown=${spec} with --link: a linked layer has no /etc/passwd to look names up in`;
    const hint = 'Give numbers, such as --chown=1000:1000, or leave --link out.';
    throw new DockerfileError(message, chown?.range ?? range, { hint });
  }
  return lookupOwner(spec, await readAccounts(await scope.files.view(), scope.signal));
}

function refuseRemote(word: string, { range }: CopyInstruction): void {
  if (isUrlSource(word)) throw new DockerfileError(`Cannot copy '${word}': COPY takes no URLs`, range, { hint: 'Use ADD for a URL.' });
  if (isGitSource(word)) {
    throw new DockerfileError(`Cannot copy '${word}': COPY takes no git repositories`, range, { hint: 'Use ADD for a repository.' });
  }
}

function warn(scope: StepScope, { range }: CopyInstruction, code: string, message: string): void {
  scope.emit({ kind: 'warning', code, message, range });
}
