// Times as Go's programs write and compare them: what one of them reads and writes again stays the same bytes.

/** RFC 3339, with a fraction of the second as long as it has to be; of milliseconds since 1970. Go's `time.RFC3339Nano`. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.?0+Z$/, 'Z');
}
