// Numbers as people read them.

/** `812 B`, `3.4 MB`, `1.2 GB` (powers of 1000). */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit] ?? ''}`;
}

/** The number of `812`, `3.4MB`, `20 GB`, `1GiB`; undefined for what is no size. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,3})?) ?(?:([kmgt])(i?)b?|b)?$/i.exec(text);
  if (match === null) return undefined;
  const [, number = '', unit = '', isBinary] = match;
  const power = ' kmgt'.indexOf(unit.toLowerCase() || ' ');
  return Math.floor(Number(number) * (isBinary === 'i' || isBinary === 'I' ? 1024 : 1000) ** power);
}

/** `0.3s`, `12.4s`, `3m05s`, `1h02m`. */
export function formatDuration(ms: number): string {
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)}s`;
  const whole = Math.round(ms / 1000);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m${String(whole % 60).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`;
}

/** `1 file`, `2 files`. */
export function formatCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** How long ago something was, as engines tell it: `2 minutes ago`, `About an hour ago`, `3 weeks ago`. */
export function formatAge(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  const [minutes, hours] = [Math.floor(seconds / 60), Math.round(seconds / 3600)];
  const days = Math.floor(hours / 24);
  if (seconds < 1) return 'Less than a second ago';
  if (seconds < 60) return `${formatCount(seconds, 'second')} ago`;
  if (minutes === 1) return 'About a minute ago';
  if (minutes < 60) return `${minutes} minutes ago`;
  if (hours === 1) return 'About an hour ago';
  if (hours < 48) return `${hours} hours ago`;
  if (days < 14) return `${days} days ago`;
  if (days < 60) return `${Math.floor(days / 7)} weeks ago`;
  return days < 730 ? `${Math.floor(days / 30)} months ago` : `${Math.floor(days / 365)} years ago`;
}
