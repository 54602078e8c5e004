// FROM a --build-context that is a folder: its content, ignore rules honoured, becomes the root.
import { type ByteString, bytesFromText } from '../bytes.ts';
import { selectSources } from '../context/select.ts';
import type { SourceTree } from '../context/tree.ts';
import type { Emit } from '../events.ts';
import type { Root } from '../rootfs/root.ts';
import { CopyTarget } from './instructions/copy-target.ts';
import { copySelection, type CopyJob } from './instructions/copy-tree.ts';

/** Copies the folder into an empty root, and gives the paths that were made. @throws BuilderError as COPY does */
export async function copyFolder(
  root: Root,
  folder: SourceTree,
  options: { readonly sourceDateEpoch?: number; readonly emit: Emit; readonly signal: AbortSignal },
): Promise<readonly ByteString[]> {
  const { sourceDateEpoch, emit, signal } = options;
  const epoch = sourceDateEpoch === undefined ? {} : { mtimeSeconds: sourceDateEpoch };
  const target = new CopyTarget(root, { instruction: `FROM ${folder.label}`, replaces: false });
  const job: CopyJob = {
    target,
    policy: { parents: { mode: 0o755, ...epoch }, ...epoch },
    destination: { path: target.resolve(bytesFromText('/')), isDirectory: true },
    written: [],
    warn: (code, message) => emit({ kind: 'warning', code, message }),
    signal,
  };
  for (const selection of selectSources(folder, '/')) await copySelection(job, folder, selection);
  target.finish();
  return target.touched;
}
