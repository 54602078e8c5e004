// Libraries that the image takes along for our own code: those of this machine, or Debian's packages where apt can fetch them. Needs
// no root.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One that the builder can do without, in part. */
interface Wanted {
  /** As the builder asks the loader for it. */
  readonly name: string;
  readonly debianPackage: string;
  /** What an image is told to lack without it. */
  readonly without: string;
  /** Of Node; all where it is left out. */
  readonly architecture?: string;
}

const wanted: readonly Wanted[] = [
  { name: 'libisal.so.2', debianPackage: 'libisal2', without: 'ISA-L and compresses by zlib', architecture: 'x64' }, // elsewhere its bytes are not known
  { name: 'liblzma.so.5', debianPackage: 'liblzma5', without: 'liblzma and reads no xz' },
  { name: 'libbz2.so.1.0', debianPackage: 'libbz2-1.0', without: 'libbz2 and reads no bzip2' },
];

/** A library with the licence that must go with it. */
export interface NativeLibrary {
  readonly name: string;
  readonly library: Buffer;
  readonly licence: Buffer;
}

const downloadTimeoutMs = 30_000;
const folders = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' } as const;

/** Those that are installed below `installed` or can be fetched; for each other one `tell` gets one line why. */
export function findLibraries(tell: (line: string) => void, installed = '/'): readonly NativeLibrary[] {
  const possible = wanted.filter(({ architecture = process.arch }) => architecture === process.arch);
  return possible.flatMap((each) => read(each, installed) ?? fetch(each, tell) ?? []);
}

function fetch(each: Wanted, tell: (line: string) => void): NativeLibrary | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'library-'));
  try {
    const options = { cwd: folder, stdio: 'pipe', timeout: downloadTimeoutMs } as const;
    const quick = ['-qq', '-o', 'Acquire::Retries=0', '-o', 'Acquire::http::Timeout=10'];
    execFileSync('apt-get', [...quick, 'download', each.debianPackage], options);
    for (const name of globSync('*.deb', { cwd: folder })) execFileSync('dpkg', ['-x', name, folder], options);
    const fetched = read(each, folder);
    if (fetched === undefined) throw new Error('the package has other files than expected');
    return fetched;
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    tell(`The image goes without ${each.without}: ${each.debianPackage} is not installed, and apt gives none (${reason})`);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// Debian 12 has some of them in /lib alone, which is the same folder on an installed system, but not in a package.
function read({ name, debianPackage }: Wanted, root: string): NativeLibrary | undefined {
  const folder = folders[process.arch === 'arm64' ? 'arm64' : 'x64'];
  const library = ['usr/lib', 'lib'].map((lib) => join(root, lib, folder, name)).find((path) => existsSync(path));
  const licence = join(root, 'usr/share/doc', debianPackage, 'copyright');
  if (library === undefined || !existsSync(licence)) return undefined;
  return { name, library: readFileSync(library), licence: readFileSync(licence) };
}
