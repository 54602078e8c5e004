// The one flag of every command that knows the store of this machine.
import type { FlagSpec } from '../flags.ts';
import { inert, text } from './flag.ts';

export const storeFlags: readonly FlagSpec[] = [
  text('root', 'DIR', 'the folder of images and containers', {
    environment: 'YADOKARI_ROOT',
    details:
      'the folder of images and containers: /var/lib/yadokari for root, $XDG_DATA_HOME/yadokari or ~/.local/share/yadokari for others',
  }),
  ...['storage-driver', 'storage-opt', 'runroot'].map((name): FlagSpec => inert('list', name, 'images are kept as an OCI layout')),
];
