// The one flag of every command that knows the store of this machine.
import type { FlagSpec } from '../flags.ts';

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
  ...['storage-driver', 'storage-opt', 'runroot'].map((name): FlagSpec => ({
    name,
    kind: 'list',
    about: '',
    inert: 'images are kept as an OCI layout',
  })),
];
