// A file that a report goes to, held open from before the build to its end.
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeFolder } from '../folders.ts';
import { BuilderError, systemReason } from '../errors.ts';
import { openSink } from '../report/sink.ts';

export interface ReportFile extends Disposable {
  /** Takes away what stands in it: a report is of one build. */
  readonly empty: () => void;
  /** Adds at the end. A disk that is full or a reader that left never stops a build. */
  readonly write: (text: string) => void;
}

const windowBytes = 64 * 1024;

/**
 * Opens or makes the file, its folder too; a pipe or a device is written to as it is.
 * @throws ERR_USAGE naming what it is for (`--events-file`)
 */
export function openReportFile(path: string, name: string): ReportFile {
  const fd = openFile(path, name);
  const isPlain = fstatSync(fd).isFile();
  const sink = openSink(fd, false, { columns: () => 80, rows: () => 24 });
  return {
    empty: () => {
      if (isPlain) ftruncateSync(fd);
    },
    write: sink.write,
    [Symbol.dispose]: () => {
      // The root was emptied for an image, and the file with it: it is put back as it is.
      if (isPlain && fstatSync(fd).nlink === 0) putBack(fd, path);
      closeSync(fd);
    },
  };
}

function openFile(path: string, name: string): number {
  const { O_RDWR, O_WRONLY, O_CREAT, O_APPEND, O_NOCTTY, O_NONBLOCK } = constants;
  try {
    makeFolder(dirname(path));
    const found = statSync(path, { throwIfNoEntry: false });
    // A pipe that nobody reads is refused rather than waited for.
    const access = found === undefined || found.isFile() ? O_RDWR : O_WRONLY;
    return openSync(path, access | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK, 0o644);
  } catch (error) {
    const reason = systemReason(error);
    throw new BuilderError('ERR_USAGE', `Cannot write ${name} ${path}: ${reason}`, { cause: error });
  }
}

/** Nothing that stands there by now is written through or replaced. */
function putBack(from: number, path: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.yadokari`);
  try {
    makeFolder(dirname(path));
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
    const to = openSync(temporary, 'wx', 0o644);
    try {
      const window = Buffer.allocUnsafe(windowBytes);
      for (let at = 0, count = 0; (count = readSync(from, window, 0, window.length, at)) > 0; at += count) writeSync(to, window, 0, count);
    } finally {
      closeSync(to);
    }
    renameSync(temporary, path);
  } catch {
    rmSync(temporary, { force: true });
  }
}
