// Users and groups as the image's tree has them, whether it is on disk or not.
import { bytesFromText } from '../../bytes.ts';
import { locate } from '../../context/tree.ts';
import { BuilderError } from '../../errors.ts';
import type { FileView } from '../../files/file-view.ts';
import type { AccountFiles } from '../../linux/accounts.ts';

const largestFile = 10 * 1024 * 1024;

/** Both files, empty where the image has none. Reading one of them throws ERR_ROOTFS when it is not a regular file of up to 10 MiB. */
export async function readAccounts(files: FileView, signal: AbortSignal): Promise<AccountFiles> {
  const read = async (path: string): Promise<() => string> => {
    const located = locate(files, bytesFromText(path));
    if (located.kind !== 'found') return () => '';
    if (located.stat.type !== 'file' || located.stat.size > largestFile) {
      const state = located.stat.type === 'file' ? 'it is larger than 10 MiB' : 'it is not a regular file';
      return () => {
        throw new BuilderError('ERR_ROOTFS', `Cannot read ${path} of the image: ${state}`);
      };
    }
    await files.gather([located.path], signal);
    const { chunks, close } = files.open(located.path);
    try {
      const text = Buffer.concat(Array.from(chunks, (chunk) => Buffer.from(chunk))).toString();
      return () => text;
    } finally {
      close();
    }
  };
  return { passwd: await read('/etc/passwd'), group: await read('/etc/group') };
}
