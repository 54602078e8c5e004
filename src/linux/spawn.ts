// posix_spawn(3): starts a program from the calling thread, with that thread's ids, root, directory and bounds. Node's own spawn
// will not do: it hands out sockets for output (so /dev/stdout can't be opened), runs a foreign binary as a shell script, and
// copies the page tables of the whole builder.
import { constants } from 'node:os';
import { addressOf, bind, systemError } from './libc.ts';

/** What to start; strings hold one byte a character. */
export interface Program {
  readonly path: string;
  readonly argv: readonly string[];
  /** `NAME=value` each. */
  readonly env: readonly string[];
  /** What becomes of descriptors 0, 1 and 2; nothing else stays open. */
  readonly stdio: readonly [input: number, output: number, error: number];
  /** Stays in our session; else it gets one of its own. */
  readonly sharesSession?: boolean;
}

const setSignalDefaults = 0x04;
const setSignalMask = 0x08;
const setSession = 0x80;
// Larger than the opaque structures of any glibc (336 and 80 bytes on 64 bits).
const opaqueBytes = 1024;
const signalSetBytes = 128;

const initActions = bind('posix_spawn_file_actions_init', ['address']);
const destroyActions = bind('posix_spawn_file_actions_destroy', ['address']);
const addDup = bind('posix_spawn_file_actions_adddup2', ['address', 'int', 'int']);
const addCloseFrom = bind('posix_spawn_file_actions_addclosefrom_np', ['address', 'int']);
const initAttributes = bind('posix_spawnattr_init', ['address']);
const destroyAttributes = bind('posix_spawnattr_destroy', ['address']);
const setDefaults = bind('posix_spawnattr_setsigdefault', ['address', 'address']);
const setMask = bind('posix_spawnattr_setsigmask', ['address', 'address']);
const setFlags = bind('posix_spawnattr_setflags', ['address', 'int']);
const start = bind('posix_spawn', ['address', 'address', 'address', 'address', 'address', 'address']);

/**
 * Starts `program` with every signal at its default and none blocked. Gives its pid, or a negated
 * errno when the kernel refused to execute it.
 */
export function spawnProgram(program: Program): number {
  const actions = Buffer.alloc(opaqueBytes);
  const attributes = Buffer.alloc(opaqueBytes);
  expectZero(initActions(actions), 'posix_spawn_file_actions_init');
  expectZero(initAttributes(attributes), 'posix_spawnattr_init');
  try {
    for (const [wanted, fd] of program.stdio.entries()) expectZero(addDup(actions, fd, wanted), 'posix_spawn_file_actions_adddup2');
    expectZero(addCloseFrom(actions, 3), 'posix_spawn_file_actions_addclosefrom_np');
    expectZero(setDefaults(attributes, Buffer.alloc(signalSetBytes, 0xff)), 'posix_spawnattr_setsigdefault');
    expectZero(setMask(attributes, Buffer.alloc(signalSetBytes)), 'posix_spawnattr_setsigmask');
    expectZero(
      setFlags(attributes, setSignalDefaults | setSignalMask | (program.sharesSession === true ? 0 : setSession)),
      'posix_spawnattr_setflags',
    );
    const argv = pointers(program.argv);
    const env = pointers(program.env);
    const pid = Buffer.alloc(4);
    const refused = start(pid, Buffer.from(`${program.path}\0`, 'latin1'), actions, attributes, argv.table, env.table);
    // The tables hold bare addresses: this keeps the text alive until the call is over.
    return argv.text.length + env.text.length > 0 && refused === 0 ? pid.readInt32LE() : -refused;
  } finally {
    destroyActions(actions);
    destroyAttributes(attributes);
  }
}

/** True when an errno says that this path is not it, so the next folder of PATH is tried (execvp(3)). */
export function isAbsent(errno: number): boolean {
  const { ENOENT, ENOTDIR, EACCES, ENAMETOOLONG, ELOOP } = constants.errno;
  return [ENOENT, ENOTDIR, EACCES, ENAMETOOLONG, ELOOP].includes(errno);
}

function pointers(strings: readonly string[]): { readonly table: Buffer; readonly text: Buffer } {
  const text = Buffer.from(`${strings.join('\0')}\0`, 'latin1');
  const table = Buffer.alloc((strings.length + 1) * 8);
  let at = addressOf(text);
  for (const [index, string] of strings.entries()) {
    table.writeBigUInt64LE(at, index * 8);
    at += BigInt(string.length + 1);
  }
  return { table, text };
}

function expectZero(result: number, name: string): void {
  if (result !== 0) throw systemError(result, name);
}
