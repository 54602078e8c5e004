// Cases whose images are known to differ from BuildKit's. One that matches fails its test until it is taken out, so that the
// list only gets shorter.

export const knownToDiffer: ReadonlySet<string> = new Set([
  // Until a context is out of a RUN's sight, and out of the way where the image works in its very folder.
  'pod-context-below-workdir',
  'pod-context-where-image-works',
]);
