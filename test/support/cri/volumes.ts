// Volumes of a pod as a kubelet lays them out on its node before it asks for containers.
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Containerd } from './containerd.ts';

export type PodVolume =
  | { readonly kind: 'emptyDir'; readonly medium?: 'Memory' }
  | { readonly kind: 'hostPath'; readonly path: string }
  /** `path → content`; a Secret's files lie in memory, a ConfigMap's on disk, a projected volume's in memory. */
  | { readonly kind: 'secret' | 'configMap' | 'projected'; readonly files: Readonly<Record<string, string>>; readonly mode?: number };

/** What every pod of a cluster has, unless it says automountServiceAccountToken: false. */
export const serviceAccountToken: PodVolume = {
  kind: 'projected',
  files: { 'ca.crt': 'a certificate of the cluster\n', namespace: 'default', token: 'token-of-the-service-account' },
};

export interface MadeVolume {
  /** On the node. */
  readonly path: string;
  /** Whatever the container asks for: nobody writes to a Secret, a ConfigMap or a projected volume. */
  readonly isReadOnly: boolean;
  /** It is a mount of the node's. */
  readonly isMounted: boolean;
}

/** Makes the volume below the pod's folder. */
export async function makeVolume(containerd: Containerd, pod: string, name: string, volume: PodVolume): Promise<MadeVolume> {
  if (volume.kind === 'hostPath') return { path: volume.path, isReadOnly: false, isMounted: false };
  const plugin = { emptyDir: 'empty-dir', secret: 'secret', configMap: 'configmap', projected: 'projected' }[volume.kind];
  const path = join(pod, 'volumes', `kubernetes.io~${plugin}`, name);
  await mkdir(path, { recursive: true });
  const isMounted = volume.kind === 'emptyDir' ? volume.medium === 'Memory' : volume.kind !== 'configMap';
  if (isMounted) await containerd.inside(['mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', path]);
  const seen = containerd.outside(path);
  await chmod(seen, 0o777);
  if (volume.kind !== 'emptyDir') await writeAtomically(seen, volume.files, volume.mode ?? 0o644);
  return { path, isReadOnly: volume.kind !== 'emptyDir', isMounted };
}

/** The path on the node of `subPath` in a volume: what a kubelet mounts is what links there lead to. */
export async function pathInVolume(containerd: Containerd, volume: string, subPath: string): Promise<string> {
  return (await containerd.inside(['realpath', '-e', join(volume, subPath)])).trimEnd();
}

/** Files in a folder named by the time, `..data` as a link to it, and their names as links through that (AtomicWriter). */
async function writeAtomically(folder: string, files: Readonly<Record<string, string>>, mode: number): Promise<void> {
  await chmod(folder, 0o1777);
  const written = '..2026_03_04_05_06_07.1234567890';
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, written, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    await chmod(file, mode);
  }
  await symlink(written, join(folder, '..data'));
  const names = new Set(Object.keys(files).map((path) => path.split('/', 1).join('')));
  for (const name of names) await symlink(`..data/${name}`, join(folder, name));
}
