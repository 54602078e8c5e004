// FROM a --build-context that is a folder: its content, ignore rules honoured, becomes the files of the stage.
import { selectSources } from '../context/select.ts';
import type { SourceTree } from '../context/tree.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import type { WrittenLayer } from '../layer/write.ts';
import { rootPath } from '../paths.ts';
import type { StageFiles } from '../rootfs/stage-files.ts';
import { CopyTarget } from './instructions/copy-target.ts';
import { copySelection, type CopyJob } from './instructions/copy-tree.ts';

/** Copies the folder into an empty stage as one layer. @throws BuilderError as COPY does */
export async function copyFolder(
  files: StageFiles,
  folder: SourceTree,
  options: { readonly sourceDateEpoch?: number; readonly emit: Emit; readonly signal: AbortSignal },
): Promise<WrittenLayer> {
  const { sourceDateEpoch, emit, signal } = options;
  const epoch = given({ mtimeSeconds: sourceDateEpoch });
  const draft = await files.draft();
  const target = new CopyTarget(draft, { instruction: `FROM ${folder.label}` });
  const job: CopyJob = {
    target,
    policy: { parents: { mode: 0o755, ...epoch }, ...epoch },
    destination: { path: rootPath, isDirectory: true },
    written: [],
    spool: files.spool,
    warn: (code, message) => emit({ kind: 'warning', code, message }),
    signal,
  };
  for (const selection of selectSources(folder, '/')) await copySelection(job, folder, selection);
  target.finish();
  return await files.write(draft);
}
