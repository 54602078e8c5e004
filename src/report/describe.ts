// What an event says in one line.
import type { BuildEvent, StepLabel } from '../events.ts';
import { lastState } from './text.ts';
import { formatBytes, formatCount, formatDuration } from './units.ts';

/** What a cache saved is worth a word from here on. */
const toldFromMs = 1000;

/** One line for an event, or undefined where text says nothing. */
export function describe(event: BuildEvent): string | undefined {
  switch (event.kind) {
    case 'phase':
      return event.detail === undefined ? event.phase : `${event.phase}: ${event.detail}`;
    case 'build.started':
      return describeStart(event);
    case 'build.finished':
      return describeFinish(event);
    case 'image.resolved':
      return `${event.name} is ${event.digest}, ${formatCount(event.layers, 'layer')}, ${formatBytes(event.sizeBytes)}`;
    case 'stage.started':
      return `FROM ${event.base}${asName(event.stage)}`;
    case 'stage.finished':
      return `stage ${event.stage}: done in ${formatDuration(event.durationMs)}`;
    case 'step.started':
      return `${stepPrefix(event.step)} ${event.step.text}`;
    case 'step.finished':
      return `${stepPrefix(event.step)} ${describeEnd(event)}`;
    case 'output':
      return `  | ${lastState(event.line)}`;
    case 'blob.progress':
      return `${event.direction} ${event.descriptor.digest}: ${formatBytes(event.doneBytes)} of ${formatBytes(event.descriptor.size)}`;
    case 'blob.finished':
      return `${transferVerb(event)} ${event.descriptor.digest.slice(0, 19)} ${formatBytes(event.descriptor.size)} (${event.repository})`;
    case 'unpack.finished':
      return `unpacked ${formatEntries(event.entries)} in ${formatDuration(event.durationMs)}`;
    case 'snapshot.finished':
      return `snapshot: ${event.changed} of ${event.scanned} changed, ${formatDuration(event.durationMs)}`;
    case 'image.written':
      return describeWritten(event);
    case 'sample':
    case 'image.contents':
      return undefined;
    case 'heartbeat':
      return `  … ${event.doing}, ${formatDuration(event.sinceMs)}`;
    case 'warning': {
      const where = event.range === undefined ? '' : ` (line ${event.range.start.line})`;
      return `warning: ${event.message}${where}`;
    }
    case 'plan':
    case 'note':
      return describeNote(event);
    default:
      event satisfies never;
      return undefined;
  }
}

/** `digest sha256:…, built in 67.0s (2m10s saved by the cache), 412 MB of memory at most` */
function describeFinish(event: Extract<BuildEvent, { readonly kind: 'build.finished' }>): string | undefined {
  const { digest, durationMs, savedMs = 0, peakMemoryBytes } = event;
  if (digest === undefined) return undefined;
  const saved = savedMs < toldFromMs ? '' : ` (${formatDuration(savedMs)} saved by the cache)`;
  const memory = peakMemoryBytes === undefined ? '' : `, ${formatBytes(peakMemoryBytes)} of memory at most`;
  return `digest ${digest}, built in ${formatDuration(durationMs)}${saved}${memory}`;
}

function describeWritten({ destination, digest }: Extract<BuildEvent, { readonly kind: 'image.written' }>): string {
  const told = destination.includes('@') ? destination : `${destination} ${digest}`;
  if (destination.startsWith('store:')) return `Stored ${told.slice('store:'.length)}`;
  return `${/^(?:oci|oci-archive|docker-archive|tar|files):\//.test(destination) ? 'Wrote' : 'Pushed'} ${told}`;
}

function describeNote(event: Extract<BuildEvent, { readonly kind: 'plan' | 'note' }>): string {
  const isOfStep = event.kind === 'note' && event.step !== undefined;
  return isOfStep ? `${stepPrefix(event.step)} ${event.message}` : event.message;
}

function describeStart({ dockerfile, platform, destinations }: Extract<BuildEvent, { readonly kind: 'build.started' }>): string {
  return `${dockerfile} for ${platform}${destinations.length === 0 ? '' : ` → ${destinations.join(', ')}`}`;
}

/** `done in 3.2s, layer of 12 entries, 1.4 MB`; or `from the cache, layer of 1.4 MB, 33.4s saved`. */
export function describeEnd(event: Extract<BuildEvent, { readonly kind: 'step.finished' }>): string {
  if (event.recalled !== undefined) {
    const { sizeBytes, savedMs = 0 } = event.recalled;
    return `from the cache, layer of ${formatBytes(sizeBytes)}${savedMs < toldFromMs ? '' : `, ${formatDuration(savedMs)} saved`}`;
  }
  const { layer } = event;
  const what = layer === undefined ? '' : `, layer of ${formatEntries(layer.entries)}, ${formatBytes(layer.sizeBytes)}`;
  return `done in ${formatDuration(event.durationMs)}${what}`;
}

/** `[build 2/5]`: the step's place in its stage. */
export function stepPrefix(step: StepLabel): string {
  return `[${stepPlace(step)}]`;
}

/** `build 2/5`, or `2/5` in a stage that is the only one. */
export function stepPlace(step: StepLabel): string {
  return `${step.stage === '' ? '' : `${step.stage} `}${step.number}/${step.total}`;
}

/** ` AS name`, where the stage has one. */
export function asName(stage: string): string {
  return stage === '' ? '' : ` AS ${stage}`;
}

function formatEntries(count: number): string {
  return `${count} ${count === 1 ? 'entry' : 'entries'}`;
}

function transferVerb({ how, direction }: Extract<BuildEvent, { readonly kind: 'blob.finished' }>): string {
  if (how === 'transferred') return direction === 'pull' ? 'pulled' : 'pushed';
  return how === 'mounted' ? 'mounted' : 'already there:';
}
