// Cases whose images are known to differ from BuildKit's. One that matches fails its test until it is taken out, so that the
// list only gets shorter.

/** Until an image has a tree of its own beside what a pod mounts. */
export const knownToDiffer: ReadonlySet<string> = new Set([
  'add-rootfs-archive',
  'copy-to-engine-files',
  'copy-whole-stage',
  'pod-busybox-folder',
  'pod-context-below-workdir',
  'pod-context-where-image-works',
  'pod-mount-file-in-linked-sbin',
  'pod-token-below-linked-var-run',
  'pod-token-copied-from-stage',
]);
