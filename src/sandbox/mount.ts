// Mounting with the attributes in one place. All of it acts on the calling process's own mount namespace.
import { bytesFromText } from '../bytes.ts';
import { call, cString } from '../linux/libc.ts';

const mountFlags = { nosuid: 2, nodev: 4, noexec: 8, bind: 4096, recursive: 16384 } as const;
const attributes = { readonly: 1, nosuid: 2, nodev: 4, noexec: 8 } as const;
const currentFolder = -100; // AT_FDCWD
const recursively = 0x8000; // AT_RECURSIVE
const detach = 2; // MNT_DETACH

/** What a mount forbids; each is only ever added, since a user namespace may not take one away. */
export type MountAttribute = keyof typeof attributes;

/** Shows `source` at `target`, with what is mounted below it, under `attributes`. @throws SystemError */
export function bindMount(source: string, target: string, forbidden: readonly MountAttribute[]): void {
  // A bind that left out what is mounted below would uncover it; a user namespace refuses that.
  mount(source, target, '', mountFlags.bind | mountFlags.recursive, '');
  forbid(target, forbidden);
}

/** Mounts a new file system of `type`. @throws SystemError */
export function mountNew(type: string, target: string, flags: readonly Exclude<MountAttribute, 'readonly'>[], options: string): void {
  mount(
    type,
    target,
    type,
    flags.reduce((sum, flag) => sum | mountFlags[flag], 0),
    options,
  );
}

/** Forbids things at a mount and all below it, whatever is allowed or forbidden already (Linux 5.12). @throws SystemError */
function forbid(target: string, forbidden: readonly MountAttribute[]): void {
  if (forbidden.length === 0) return;
  // struct mount_attr: attr_set, attr_clr, propagation, userns_fd; eight bytes each.
  const attr = Buffer.alloc(32);
  attr.writeBigUInt64LE(BigInt(forbidden.reduce((sum, flag) => sum | attributes[flag], 0)));
  call('mount_setattr', [currentFolder, cString(bytesFromText(target)), recursively, attr, attr.length], bytesFromText(target));
}

/** Makes the mount at `folder` the root and leaves no way back to the old one. @throws SystemError */
export function changeRoot(folder: string): void {
  process.chdir(folder);
  // The old root lands on top of the new one at `.`, so no folder for it is needed; then it is taken off.
  const here = cString(bytesFromText('.'));
  call('pivot_root', [here, here], bytesFromText(folder));
  call('umount2', [here, detach], bytesFromText('/'));
  process.chdir('/');
}

function mount(source: string, target: string, type: string, flags: number, options: string): void {
  const text = (value: string): Buffer => cString(bytesFromText(value));
  call('mount', [text(source), text(target), text(type), flags, text(options)], bytesFromText(target));
}
