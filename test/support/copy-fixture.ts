// A context folder and a root folder, and COPY, ADD or WORKDIR between them. What is in the root is the image before the instruction;
// the instruction's layer is unpacked onto it, and the root then read back as lines of text.
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Effect, StageState, StepScope } from '../../src/build/effect.ts';
import { executeCopy } from '../../src/build/instructions/copy.ts';
import { executeWorkdir } from '../../src/build/instructions/workdir.ts';
import { bytesFromText } from '../../src/bytes.ts';
import { parseIgnoreFile } from '../../src/context/ignore.ts';
import type { SourceTree } from '../../src/context/tree.ts';
import type { CopyInstruction, Flag, Heredoc } from '../../src/dockerfile/instruction.ts';
import type { BuildEvent } from '../../src/events.ts';
import { diskView } from '../../src/files/disk-view.ts';
import { openEntries } from '../../src/layer/open-entries.ts';
import { StageBench, draftFolder } from './stage-bench.ts';
import { stepLabel } from './step-label.ts';

const range = { start: { line: 1, column: 1 }, end: { line: 1, column: 2 } };

export interface CopyOptions {
  readonly heredocs?: readonly Heredoc[];
  readonly ignore?: string;
  readonly workingDir?: string;
  readonly user?: string;
  readonly protect?: readonly string[];
  readonly sourceDateEpoch?: number;
  readonly variables?: Readonly<Record<string, string>>;
}

export type FixtureScope = StepScope & { readonly expand: (word: string) => string };

/** Two folders that go away with the test. */
export class CopyFixture {
  readonly folder = mkdtempSync(join(tmpdir(), 'yadokari-copy-'));
  readonly context = join(this.folder, 'context');
  readonly root = join(this.folder, 'root');
  readonly stage = join(this.folder, 'stage');
  readonly events: BuildEvent[] = [];
  /** The paths that the last instruction says it has touched. */
  touched: readonly string[] = [];
  /** The paths in its layer, whether the root could take them or not. */
  layer: string[] = [];
  #benches = 0;

  constructor() {
    for (const path of [this.context, this.root, this.stage, join(this.root, 'etc')]) mkdirSync(path);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Runs a shell script in the folder `where`. */
  sh(where: 'context' | 'root' | 'stage', script: string): void {
    execFileSync('/bin/sh', ['-ec', script], {
      cwd: this[where],
      env: { PATH: process.env['PATH'], TZ: 'UTC' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  /** Executes `COPY [--flags] sources destination`, words as they are (a blank separates). */
  async copy(text: string, options: CopyOptions = {}): Promise<Effect> {
    const tree = (from: string | undefined): SourceTree => ({
      files: diskView(bytesFromText(from === undefined ? this.context : this.stage)),
      label: from === undefined ? 'the build context' : `stage ${from}`,
      keepsOwners: from !== undefined,
      ...(options.ignore === undefined || from !== undefined ? {} : { ignore: parseIgnoreFile(options.ignore, '.dockerignore') }),
    });
    return await this.execute(text, options, (scope) =>
      executeCopy(instructionOf('copy', text, options.heredocs), stateOf(options), {
        ...scope,
        expandHeredoc: (body) => expand(body, options),
        sources: (from) => Promise.resolve(tree(from?.value)),
      }),
    );
  }

  async workdir(word: string, options: CopyOptions = {}): Promise<Effect> {
    const text = `WORKDIR ${word}`;
    return await this.execute(text, options, (scope) => executeWorkdir({ kind: 'workdir', word, text, range }, stateOf(options), scope));
  }

  /** Executes an instruction on an image that has what the root has (what is protected left out), and unpacks its layer there. */
  async execute(text: string, options: CopyOptions, action: (scope: FixtureScope) => Promise<Effect>): Promise<Effect> {
    const folder = join(this.folder, `bench-${this.#benches++}`);
    await using bench = new StageBench(folder, { root: this.root, protect: options.protect ?? [] }, this.events);
    const base = bench.stage([]);
    const before = await base.draft();
    draftFolder(before, this.root, bench.disk.root.protection.covers);
    const files = bench.stage([bench.counted('base', (await base.write(before)).layer)]);
    const effect = await action({
      files,
      step: stepLabel({ stage: 'test', instruction: 'copy', text, range }),
      platform: { os: 'linux', architecture: 'amd64' },
      emit: (event) => this.events.push(event),
      signal: bench.signal,
      expand: (word) => expand(word, options),
      ...(options.sourceDateEpoch === undefined ? {} : { sourceDateEpoch: options.sourceDateEpoch }),
    });
    this.touched = [];
    if (effect.touched.kind !== 'drafted') return effect;
    this.touched = effect.touched.draft.entries().map(({ path }) => path);
    const { layer } = await files.write(effect.touched.draft);
    await bench.unpack(layer);
    this.layer = [];
    for await (const { path } of openEntries(layer, bench.signal)) this.layer.push(path);
    return effect;
  }

  /** The root below `from`, sorted: `path mode owner` and what is inside; directories end in a slash. */
  lines(from = ''): string[] {
    return listTree(join(this.root, from), from === '' ? '' : `${from}/`).filter((line) => from !== '' || !line.startsWith('etc/ '));
  }
}

/** An instruction from its flags and words. */
export function instructionOf(kind: 'copy' | 'add', text: string, heredocs: readonly Heredoc[] = []): CopyInstruction {
  const words = text.split(' ').filter((word) => word !== '');
  const flags = words.filter((word) => word.startsWith('--'));
  const names = words.filter((word) => !word.startsWith('--'));
  const flag = (name: string): readonly Flag[] =>
    flags.filter((each) => each.startsWith(`--${name}=`)).map((each) => ({ name, value: each.slice(name.length + 3), range }));
  const one = (name: string): Readonly<Record<string, Flag>> => Object.fromEntries(flag(name).map((each) => [name, each]));
  return {
    kind,
    text,
    range,
    destination: names.at(-1) ?? '',
    sources: [
      ...names.slice(0, -1).map((word) => ({ kind: 'word', word, range }) as const),
      ...heredocs.map((heredoc) => ({ kind: 'heredoc', heredoc }) as const),
    ],
    ...one('from'),
    ...one('chown'),
    ...one('chmod'),
    ...one('checksum'),
    link: flags.includes('--link'),
    parents: flags.includes('--parents'),
    keepGitDir: flags.includes('--keep-git-dir'),
    excludes: flag('exclude'),
    ...(flags.includes('--unpack') ? { unpack: true } : {}),
    ...(flags.includes('--unpack=false') ? { unpack: false } : {}),
  };
}

export function stateOf({ workingDir, user }: CopyOptions): StageState {
  const config = { env: [], labels: new Map<string, string>(), unknown: new Map<string, never>() };
  return {
    config: { ...config, ...(workingDir === undefined ? {} : { workingDir }), ...(user === undefined ? {} : { user }) },
    args: new Map(),
    environment: new Map(),
    hasCmd: false,
  };
}

function expand(word: string, { variables = {} }: CopyOptions): string {
  return word.replaceAll(/\$(\w+)/g, (_, name: string) => variables[name] ?? '');
}

// Names and targets are read as bytes, since they need not be UTF-8.
function listTree(folder: string, prefix: string): string[] {
  return readdirSync(Buffer.from(folder, 'latin1'), { encoding: 'latin1' })
    .toSorted()
    .flatMap((name) => {
      const bytes = join(folder, name);
      const path = Buffer.from(bytes, 'latin1');
      const stats = lstatSync(path);
      const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
      const owner = `${stats.uid}:${stats.gid}`;
      const line = `${prefix}${Buffer.from(name, 'latin1').toString()}`;
      if (stats.isSymbolicLink()) return [`${line} -> ${readlinkSync(path)} ${owner}`];
      if (stats.isDirectory()) return [`${line}/ ${mode} ${owner}`, ...listTree(bytes, `${line}/`)];
      if (stats.isFile()) return [`${line} ${mode} ${owner} '${readFileSync(path, 'utf8').trim()}'`];
      return [`${line} ${mode} ${owner} special`];
    });
}
