// One event of each kind, with every field that it can have.
import type { BuildEvent } from '../../src/events.ts';
import { parseDigest } from '../../src/oci/digest.ts';
import { stepLabel } from './step-label.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 2_500_000 } as const;
const range = { start: { line: 7, column: 1 }, end: { line: 7, column: 9 } };
const step = stepLabel({ number: 2, total: 5, stage: 'make', range });

const byKind: { readonly [Kind in BuildEvent['kind']]: Extract<BuildEvent, { readonly kind: Kind }> } = {
  'build.started': {
    kind: 'build.started',
    dockerfile: 'Dockerfile',
    text: 'FROM scratch\n',
    platform: 'linux/amd64',
    destinations: ['r.example/a:1'],
  },
  'build.finished': { kind: 'build.finished', durationMs: 1234.5, digest, failure: 'no', savedMs: 90_000, peakMemoryBytes: 412_000_000 },
  'image.resolved': { kind: 'image.resolved', name: 'debian:12', digest, layers: 1, sizeBytes: 48_000_000 },
  phase: { kind: 'phase', phase: 'pulling', detail: 'layer 1 of 2' },
  'stage.started': { kind: 'stage.started', stage: 'make', base: 'debian:12' },
  'stage.finished': { kind: 'stage.finished', stage: 'make', durationMs: 3 },
  'step.started': { kind: 'step.started', step },
  'step.finished': {
    kind: 'step.finished',
    step,
    durationMs: 3,
    layer: { entries: 1, sizeBytes: 2, digest: digest },
    recalled: { sizeBytes: 2, digest: digest, savedMs: 33_400 },
  },
  output: { kind: 'output', step, stream: 'stderr', line: 'cc -c a.c' },
  'blob.progress': { kind: 'blob.progress', direction: 'pull', descriptor, repository: 'r.example/a', doneBytes: 7 },
  'blob.finished': { kind: 'blob.finished', direction: 'push', descriptor, repository: 'r.example/a', how: 'mounted' },
  'unpack.finished': { kind: 'unpack.finished', entries: 3, durationMs: 3 },
  'snapshot.finished': { kind: 'snapshot.finished', scanned: 3, changed: 1, durationMs: 3 },
  'image.written': { kind: 'image.written', destination: 'oci:/out', digest, sizeBytes: 1 },
  plan: { kind: 'plan', message: 'build: FROM debian:12' },
  'image.contents': {
    kind: 'image.contents',
    platform: 'linux/amd64',
    baseLayers: 1,
    storedBytes: 30,
    idealBytes: 20,
    layers: [
      { digest, sizeBytes: 5, createdBy: 'base' },
      {
        digest,
        sizeBytes: 7,
        createdBy: 'RUN /bin/sh -c make # buildkit',
        contents: {
          files: 2,
          bytes: 20,
          folders: [{ path: 'out/', bytes: 20, files: 2 }],
          hidden: [{ layer: 0, how: 'again', bytes: 10, files: 1, places: [{ path: 'out/a', bytes: 10, files: 1 }] }],
        },
      },
    ],
  },
  sample: { kind: 'sample', cpuMs: 12.5, memoryBytes: 7_000_000 },
  heartbeat: { kind: 'heartbeat', doing: 'pulling', sinceMs: 1000 },
  warning: { kind: 'warning', code: 'c', message: 'it is late', range },
  note: { kind: 'note', message: 'a detail', level: 'debug' },
};

export const everyEvent: readonly BuildEvent[] = Object.values(byKind);
