// Notices a secret in a layer: a step that copies one into a file has published it.
import type { LocalEntry } from './entry.ts';

/** Reads a stream piece by piece and remembers which secrets were in it. */
export interface SecretScan {
  readonly push: (chunk: Buffer) => void;
  /** Another file begins: a secret does not run on from one into the next. */
  readonly nextFile: () => void;
  /** Ids of the secrets that were seen, in the order of the given map. */
  readonly found: () => readonly string[];
}

// A shorter one would be found by chance.
const shortestSecret = 8;

/** A scan for `secrets`; undefined where none of them is long enough to be told from other bytes. */
export function createSecretScan(secrets: ReadonlyMap<string, Buffer>): SecretScan | undefined {
  const wanted = [...secrets].flatMap(([id, bytes]) => {
    // The line end of the file that the secret came from is no part of it.
    const needle = Buffer.from(bytes.toString('latin1').trim(), 'latin1');
    return needle.length < shortestSecret ? [] : [{ id, needle }];
  });
  if (wanted.length === 0) return undefined;
  const overlap = Math.max(...wanted.map(({ needle }) => needle.length)) - 1;
  const seen = new Set<string>();
  let tail = Buffer.alloc(0);
  return {
    push: (chunk) => {
      const joint = Buffer.concat([tail, chunk.subarray(0, overlap)]);
      for (const { id, needle } of wanted) if (!seen.has(id) && (chunk.includes(needle) || joint.includes(needle))) seen.add(id);
      const kept = chunk.length >= overlap ? chunk : Buffer.concat([tail, chunk]);
      tail = Buffer.from(kept.subarray(Math.max(0, kept.length - overlap)));
    },
    nextFile: () => {
      tail = Buffer.alloc(0);
    },
    found: () => wanted.filter(({ id }) => seen.has(id)).map(({ id }) => id),
  };
}

/** The same entries, looked through as they pass where there is something to look for. */
export function watchEntries(entries: Iterable<LocalEntry>, scan: SecretScan | undefined): Iterable<LocalEntry> {
  return scan === undefined ? entries : watched(entries, scan);
}

function* watched(entries: Iterable<LocalEntry>, scan: SecretScan): Generator<LocalEntry> {
  for (const entry of entries) {
    scan.nextFile();
    yield entry.content === undefined ? entry : { ...entry, content: watchChunks(entry.content, scan) };
  }
}

function* watchChunks(chunks: Iterable<Buffer>, scan: SecretScan): Generator<Buffer> {
  for (const chunk of chunks) {
    scan.push(chunk);
    yield chunk;
  }
}
