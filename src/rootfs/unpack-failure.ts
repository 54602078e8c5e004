// What unpacking says when it fails.
import { type ByteString, textFromBytes } from '../bytes.ts';
import { BuilderError, systemCode } from '../errors.ts';

/** Runs `apply`, and adds the path to what the filesystem refuses. @throws ERR_ROOTFS, or the failure as it is */
export async function within(path: ByteString, apply: () => Promise<void>): Promise<void> {
  try {
    await apply();
  } catch (error) {
    const code = systemCode(error);
    if (error instanceof BuilderError || code === undefined || code === 'ABORT_ERR') throw error;
    const reason = error instanceof Error ? error.message : code;
    throw new BuilderError('ERR_ROOTFS', `Cannot unpack ${JSON.stringify(textFromBytes(path))}: ${reason}`, { cause: error });
  }
}

/** What makes no sense in an archive. */
export function malformed(path: ByteString, state: string): BuilderError {
  return new BuilderError('ERR_LAYER', `Cannot unpack entry ${show(path)}: it ${state}`);
}

/** What would reach out of the image. */
export function unsafe(path: ByteString, state: string): BuilderError {
  return new BuilderError('ERR_UNSAFE_PATH', `Cannot unpack entry ${show(path)}: it ${state}`);
}

/** A path for a message. */
export function show(path: ByteString): string {
  return JSON.stringify(textFromBytes(path).slice(0, 300));
}
