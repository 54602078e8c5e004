// A command where everything that its caller owns looks like root's: user and mount namespaces, and nothing else.
import { spawn } from 'node:child_process';
import { BuilderError } from '../errors.ts';
import { readCaller, readIdSources, requireProgram, whyNamespacesFail } from './host.ts';
import { type Caller, type IdMapping, chooseMapping, mappingFlags, rangesHint } from './ids.ts';
import { exitStatus } from './root-removal.ts';

/** Who calls, and which ids there will be, ranges where there are some unless told otherwise. @throws ERR_UNSUPPORTED where there must be some */
export function planIds(mapsRanges: boolean | undefined): { readonly caller: Caller; readonly mapping: IdMapping } {
  // Whoever may mount needs no namespace for a build, and is here for one all the same.
  const caller: Caller = { ...readCaller(), mayMount: false };
  if (mapsRanges === false) return { caller, mapping: { kind: 'own' } };
  const sources = readIdSources();
  const { mapping, missing } = chooseMapping(caller, sources);
  if (missing === undefined || mapsRanges === undefined) return { caller, mapping };
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot map id ranges: ${missing}`, {
    hint: `${rangesHint(caller, sources)}; or leave --map-ids out`,
  });
}

/** Which ids inside are which outside, and what becomes of all others; lines for a person. */
export function explainIds({ caller, mapping }: { readonly caller: Caller; readonly mapping: IdMapping }): readonly string[] {
  const who = caller.name === undefined ? 'you' : `you, ${caller.name}`;
  const row = (kind: string, inside: string, outside: string, why: string): string =>
    `${kind}  ${inside.padEnd(12)}  ${outside.padEnd(16)}  ${why}`;
  const ranges =
    mapping.kind === 'ranges'
      ? [['uid', mapping.uids, '/etc/subuid'] as const, ['gid', mapping.gids, '/etc/subgid'] as const].map(
          ([kind, { start, count }, file]) => row(kind, `1 to ${count}`, `${start} to ${start + count - 1}`, `yours by ${file}`),
        )
      : [];
  return [
    row('id ', 'inside', 'outside', ''),
    row('uid', '0', String(caller.uid), who),
    ...ranges,
    'Files of every other owner look like those of 65534 (nobody), and can not be given away.',
    mapping.kind === 'ranges'
      ? 'A file of 1000 in here is one of your range outside, where it seems to have the wrong owner: look at it from in here.'
      : 'Without ranges every file is root\'s or nobody\'s: chown to anybody else fails with "Invalid argument".',
  ];
}

/**
 * Runs a command with these ids and gives its exit status. `onSignal` is given a function that passes a signal on.
 * @throws ERR_UNSUPPORTED where the machine allows no namespaces
 */
export async function runUnshared(
  mapping: IdMapping,
  command: readonly string[],
  around: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly onSignal: (send: (name: NodeJS.Signals) => void) => Disposable;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  around.signal.throwIfAborted();
  const program = requireProgram('unshare', 'util-linux');
  await tryNamespaces(program, mapping);
  const child = spawn(program, [...mappingFlags(mapping), '--mount', '--', ...command], { stdio: 'inherit', env: around.env });
  using _signals = around.onSignal((name) => void child.kill(name));
  return await exitStatus(child);
}

/** A refusal of the machine is told apart from a failure of the command. */
async function tryNamespaces(program: string, mapping: IdMapping): Promise<void> {
  const child = spawn(program, [...mappingFlags(mapping), '--mount', '--', program, '--version'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => (said = `${said}${String(chunk)}`.slice(0, 400)));
  const status = await exitStatus(child);
  if (status === 0) return;
  const hint = whyNamespacesFail();
  throw new BuilderError('ERR_UNSUPPORTED', `Cannot make namespaces: ${said.trim() || `unshare ended with status ${status}`}`, { hint });
}
