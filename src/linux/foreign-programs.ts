// Whether the kernel starts programs of another architecture (binfmt_misc with an emulator), asked of the kernel itself.
import { closeSync, openSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { bytesFromText } from '../bytes.ts';
import { attempt, cString } from './libc.ts';
import { spawnProgram } from './spawn.ts';

/** ELF's class, byte order and machine (e_machine), by the names of image platforms. */
const headers: Readonly<Record<string, { readonly bits: 32 | 64; readonly machine: number; readonly isBig?: boolean }>> = {
  '386': { bits: 32, machine: 3 },
  amd64: { bits: 64, machine: 62 },
  arm: { bits: 32, machine: 40 },
  arm64: { bits: 64, machine: 183 },
  loong64: { bits: 64, machine: 258 },
  mips64le: { bits: 64, machine: 8 },
  ppc64le: { bits: 64, machine: 21 },
  riscv64: { bits: 64, machine: 243 },
  s390x: { bits: 64, machine: 22, isBig: true },
};

/** Kernels that start another architecture's programs by themselves, mostly. */
const alsoOwn: Readonly<Record<string, string>> = { amd64: '386', arm64: 'arm' };

/**
 * False where the kernel refuses a program of that architecture. The program is a header with nothing behind it: whoever takes it on, an
 * emulator that is registered for it, finds nothing to run. Where it can't be asked, true.
 */
export function mayStartPrograms(architecture: string): boolean {
  const own = process.arch === 'x64' ? 'amd64' : process.arch;
  const header = headers[architecture];
  if (header === undefined || architecture === own || alsoOwn[own] === architecture) return true;
  const fd = attempt('memfd_create', cString(bytesFromText('yadokari-probe')), 0);
  if (fd < 0) return true;
  const nowhere = openSync('/dev/null', 'r+');
  try {
    writeSync(fd, elfHeader(header));
    // As its own standard input: nobody else may look into what this process has open.
    const path = '/proc/self/fd/0';
    const pid = spawnProgram({ path, argv: [path], env: [], stdio: [fd, nowhere, nowhere] });
    if (pid > 0) attempt('waitid', processById, pid, Buffer.alloc(siginfoBytes), exited, null);
    // An emulator that is registered by a path is looked for in this root.
    return ![-constants.errno.ENOEXEC, -constants.errno.ENOENT].includes(pid);
  } finally {
    closeSync(nowhere);
    closeSync(fd);
  }
}

const processById = 1; // P_PID
const exited = 4; // WEXITED
const siginfoBytes = 128;

function elfHeader({ bits, machine, isBig = false }: (typeof headers)[string]): Buffer {
  const header = Buffer.alloc(bits === 64 ? 64 : 52);
  header.write('\x7fELF', 0, 'latin1');
  header[4] = bits === 64 ? 2 : 1;
  header[5] = isBig ? 2 : 1;
  header[6] = 1;
  const executable = 2;
  for (const [at, value] of [
    [16, executable],
    [18, machine],
  ] as const) {
    if (isBig) header.writeUInt16BE(value, at);
    else header.writeUInt16LE(value, at);
  }
  header.writeUInt8(1, isBig ? 23 : 20);
  return header;
}
