// cosign, and a skopeo that knows sigstore's signatures: Debian's of bookworm has them switched off.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Where the two are, unpacked from a newer Debian; else those of the machine. */
const folder = process.env['SIGSTORE_TOOLS'] ?? '';

/** Undefined where there is none that does what the tests need. */
export const sigstoreSkopeo = found('skopeo', ['generate-sigstore-key', '--help'], /--output-prefix/);
export const cosign = found('cosign', ['version'], /GitVersion/);

/** One that does not know the command shows the help of all. */
function found(name: string, words: readonly string[], says: RegExp): string | undefined {
  const path = folder === '' ? name : join(folder, name);
  const { status, stdout } = spawnSync(path, words, { encoding: 'utf8' });
  return status === 0 && says.test(stdout) ? path : undefined;
}
