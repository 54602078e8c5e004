// Why the kernel would not execute a file, in words; the kernel has one number for many mistakes.
import { systemError, errnoOf } from './libc.ts';

const longestArgument = 131_072; // MAX_ARG_STRLEN of the kernel

/** Machines of ELF headers (e_machine) by the architecture names of image platforms. */
const machines: Readonly<Record<number, string>> = {
  3: '386',
  8: 'mips',
  20: 'ppc',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  62: 'amd64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
};

const ownMachine = process.arch === 'x64' ? 'amd64' : process.arch;

/** A refused execve(2): its errno, the path tried last, and the first bytes of that file if it could be read. */
export interface Refusal {
  readonly errno: number;
  readonly path: string;
  readonly head: Buffer | undefined;
}

/** The exit code that a shell would give, and the reason in words. */
export function explainRefusal(
  { errno, path, head }: Refusal,
  argv: readonly string[],
): { readonly exitCode: number; readonly refusal: string } {
  const name = argv[0] ?? '';
  switch (errno) {
    case errnoOf('ENOENT'):
    case errnoOf('ENOTDIR'):
      return {
        exitCode: 127,
        refusal:
          head === undefined ? `${shown(name)} is not in this image` : `${path} needs ${interpreter(head)}, which is not in this image`,
      };
    case errnoOf('EACCES'):
      return {
        exitCode: 126,
        refusal: `${path} can't be executed: ${head === undefined ? 'it is a directory or' : 'it'} lacks the permission for this user`,
      };
    case errnoOf('ENOEXEC'):
      return { exitCode: 126, refusal: `${path} can't be executed: ${wrongFormat(head)}` };
    case errnoOf('E2BIG'):
      return { exitCode: 126, refusal: tooLong(argv) };
    default:
      return { exitCode: 126, refusal: `${path} can't be executed: ${systemError(errno, 'execve').message}` };
  }
}

function shown(name: string): string {
  return name === '' ? 'a program without a name' : name;
}

function wrongFormat(head: Buffer | undefined): string {
  if (head === undefined) return 'its format is unknown';
  if (head.length === 0) return 'it is an empty file';
  const machine = machineOf(head);
  if (machine !== undefined) return forMachine(machine);
  return 'it is neither a program for this machine nor a script that begins with #!';
}

function forMachine(machine: string): string {
  return `it is for ${machine}, and this machine is ${ownMachine}`;
}

/** What is wrong with a program for another machine; undefined for one for this machine, and for what is no program. */
export function wrongMachine(head: Buffer): string | undefined {
  const machine = machineOf(head);
  return machine === undefined || machine === ownMachine ? undefined : forMachine(machine);
}

/** The word after `#!`, or a dynamic program's loader, as a path and in words; undefined where there is none. */
export function interpreterOf(head: Buffer): { readonly path: string; readonly shown: string } | undefined {
  const text = head.toString('latin1');
  const [, script, carriageReturn = ''] = /^#![ \t]*([^ \t\r\n\0]+)(\r?)/.exec(text) ?? [];
  if (script !== undefined)
    return { path: script + carriageReturn, shown: carriageReturn === '' ? script : `"${script}\\r" (its lines end in CR LF)` };
  const [loader] = (isElf(head) ? /\/[\x21-\x7e]*ld[\x21-\x7e]*\.so[\x21-\x7e]*/.exec(text) : null) ?? [];
  return loader === undefined ? undefined : { path: loader, shown: `the loader ${loader}` };
}

function machineOf(head: Buffer): string | undefined {
  if (!isElf(head)) return undefined;
  const machine = head[5] === 2 ? head.readUInt16BE(18) : head.readUInt16LE(18);
  return machines[machine] ?? `machine ${machine}`;
}

function isElf(head: Buffer): boolean {
  return head.length >= 20 && head.toString('latin1', 0, 4) === '\x7fELF';
}

/** What the kernel looks for first in order to execute a file. */
function interpreter(head: Buffer): string {
  return interpreterOf(head)?.shown ?? (isElf(head) ? 'a dynamic loader' : 'an interpreter');
}

function tooLong(argv: readonly string[]): string {
  const longest = Math.max(...argv.map((word) => Buffer.byteLength(word)));
  if (longest >= longestArgument)
    return `the command is ${longest} bytes long, and the kernel takes ${longestArgument - 1} in one argument`;
  return 'the arguments and the environment are together larger than the kernel takes';
}
