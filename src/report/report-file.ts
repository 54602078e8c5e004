// A file that a report goes to, held open from before the build to its end.
import { closeSync, constants, fstatSync, ftruncateSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeFolder } from '../folders.ts';
import { BuilderError, systemReason } from '../errors.ts';
import { openSink } from './sink.ts';

export interface ReportFile extends Disposable {
  /** Takes away what stands in it: a report is of one build. */
  readonly empty: () => void;
  /** Adds at the end. A disk that is full or a reader that left never stops a build. */
  readonly write: (text: string) => void;
}

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
    [Symbol.dispose]: () => closeSync(fd),
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
