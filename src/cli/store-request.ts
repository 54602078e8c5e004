// Which image store a command works with.
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type ImageStore, imageStore } from '../store/image-store.ts';
import type { FlagSpec } from './flags.ts';
import type { Environment, Settings } from './settings.ts';

/** For every command that knows the store. */
export const storeFlags: readonly FlagSpec[] = [
  {
    name: 'root',
    kind: 'text',
    environment: 'YADOKARI_ROOT',
    value: 'DIR',
    about: 'the folder of images and containers',
    details:
      'the folder of images and containers: /var/lib/yadokari for root, $XDG_DATA_HOME/yadokari or ~/.local/share/yadokari for others',
  },
];

export function storeOf(settings: Settings, env: Environment): ImageStore {
  return imageStore(resolve(settings.text('root') ?? defaultRoot(env)));
}

function defaultRoot(env: Environment): string {
  if (process.getuid?.() === 0) return '/var/lib/yadokari';
  return join(env['XDG_DATA_HOME'] || join(env['HOME'] || homedir(), '.local/share'), 'yadokari');
}
