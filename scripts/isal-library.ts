// The ISA-L that the image takes along: the one of this machine, or Debian's package where apt can fetch it. Needs no root.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A library with the licence that must go with it. */
export interface IsalLibrary {
  readonly library: Buffer;
  readonly licence: Buffer;
}

const downloadTimeoutMs = 30_000;

/** Undefined where there is none for this architecture, or neither installed nor to be fetched; `tell` gets one line why. */
export function findIsal(tell: (line: string) => void, installed = '/'): IsalLibrary | undefined {
  if (process.arch !== 'x64') return undefined; // elsewhere its bytes are not known
  const here = readIsal(installed);
  if (here !== undefined) return here;
  const folder = mkdtempSync(join(tmpdir(), 'isal-'));
  try {
    const options = { cwd: folder, stdio: 'pipe', timeout: downloadTimeoutMs } as const;
    execFileSync('apt-get', ['-qq', '-o', 'Acquire::Retries=0', '-o', 'Acquire::http::Timeout=10', 'download', 'libisal2'], options);
    for (const name of globSync('*.deb', { cwd: folder })) execFileSync('dpkg', ['-x', name, folder], options);
    const fetched = readIsal(folder);
    if (fetched === undefined) throw new Error('the package has other files than expected');
    return fetched;
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    tell(`The image goes without ISA-L and compresses by zlib: libisal2 is not installed, and apt gives none (${reason})`);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readIsal(root: string): IsalLibrary | undefined {
  const library = join(root, 'usr/lib/x86_64-linux-gnu/libisal.so.2');
  const licence = join(root, 'usr/share/doc/libisal2/copyright');
  return existsSync(library) && existsSync(licence) ? { library: readFileSync(library), licence: readFileSync(licence) } : undefined;
}
