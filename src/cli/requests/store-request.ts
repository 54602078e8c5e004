// Which image store a command works with.
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { type ImageStore, imageStore } from '../../store/image-store.ts';
import type { Environment, Settings } from '../settings.ts';

/** By `--root`, `YADOKARI_ROOT`, or who it is. */
export function storeOf(settings: Settings, env: Environment): ImageStore {
  return imageStore(resolve(settings.text('root') ?? defaultRoot(env)));
}

/** Root's or the user's own. */
function defaultRoot(env: Environment): string {
  if (process.getuid?.() === 0) return '/var/lib/yadokari';
  const data = env['XDG_DATA_HOME'] ?? '';
  // XDG Base Directory Specification: a relative path is invalid, and to be ignored.
  return join(isAbsolute(data) ? data : join(env['HOME'] || homedir(), '.local/share'), 'yadokari');
}
