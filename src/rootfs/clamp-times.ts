// SOURCE_DATE_EPOCH: nothing in a layer is younger.
import type { Entry } from '../layer/entry.ts';

/** The entries, of which those that are later get `latestTime`, in seconds since 1970. */
export async function* clampTimes(entries: AsyncIterable<Entry>, latestTime: number): AsyncGenerator<Entry> {
  for await (const entry of entries) {
    const { seconds, nanoseconds } = entry.mtime;
    const isLater = seconds > latestTime || (seconds === latestTime && nanoseconds > 0);
    yield isLater ? { ...entry, mtime: { seconds: latestTime, nanoseconds: 0 } } : entry;
  }
}
