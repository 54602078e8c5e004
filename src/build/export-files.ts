// An image's files without the image: as an archive with the owners they have in it, or in a folder of whoever builds.
import { makeFolder } from '../folders.ts';
import { bytesFromText } from '../bytes.ts';
import type { Emit } from '../events.ts';
import { EntryWriter } from '../files/entry-writer.ts';
import { plainRoot } from '../files/root.ts';
import type { Entry } from '../layer/entry.ts';
import { writeArchive } from '../layer/write.ts';
import type { FileExports } from '../outputs/publish.ts';
import type { StageFiles } from '../rootfs/stage-files.ts';
import { createUnpackReport, tellUnpackReport } from '../rootfs/unpack-report.ts';

/** The files as they can be given away. Where the build has a time of its own, all of them get it, as with BuildKit. */
export function exportsOf(
  files: StageFiles,
  { epoch, emit, signal }: { readonly epoch?: number; readonly emit: Emit; readonly signal: AbortSignal },
): FileExports {
  const mtime = epoch === undefined ? {} : { mtime: { seconds: epoch, nanoseconds: 0 } };
  const entries = async function* (): AsyncGenerator<Entry> {
    for (const entry of await files.entries()) yield { ...entry, ...mtime };
  };
  return {
    archive: () => writeArchive(entries()),
    copyTo: async (folder) => {
      makeFolder(folder);
      const report = createUnpackReport();
      const writer = new EntryWriter(plainRoot(bytesFromText(folder)), {
        kind: 'layer',
        keepsOwners: false,
        refuseXattr: (path, name) => void (report.xattrs.has(name) || report.xattrs.set(name, path)),
        refuseDevice: (path) => void report.nodes.add(path),
      });
      await writer.writeAll(entries(), signal);
      tellUnpackReport(report, emit);
    },
  };
}
