// Why a command could not replace or remove a file: the pod has something mounted there, and what the kernel says of it names neither
// the mount nor the pod.
import { posix } from 'node:path';
import { type ByteString, textFromBytes } from '../../bytes.ts';
import { engineOwn } from '../../tree/pod-map.ts';

const mostNamed = 3;

/** Those of the container's own `places` that a line of output may complain of: it has the name of one, or of a file beside it. */
export function refusedMounts(line: string, places: readonly ByteString[]): readonly string[] {
  if (!/Device or resource busy|Read-only file system/.test(line)) return [];
  const words = line.split(/[\s'"`:\u2018\u2019]+/);
  const names = new Set(words.map((word) => posix.basename(word)));
  const folders = new Set(words.filter((word) => word.startsWith('/')).map((word) => posix.dirname(word)));
  folders.delete('/');
  const all = places.map((place) => `/${textFromBytes(place)}`);
  const isNamed = (place: string): boolean => names.has(posix.basename(place)) || words.some((word) => word.startsWith(`${place}/`));
  const named = all.filter(isNamed);
  return named.length > 0 ? named : all.filter((place) => folders.has(posix.dirname(place)));
}

/** What to try where a command that failed had complained of such places. */
export function refusalHint(places: readonly string[]): string | undefined {
  if (places.length === 0) return undefined;
  const what = `${places.slice(0, mostNamed).join(', ')}${places.length > mostNamed ? ', …' : ''}`;
  return `where the command could not change or replace ${what}: that is mounted into this container; ${insteadOf(places)}`;
}

function insteadOf(places: readonly string[]): string {
  if (places.some((place) => place.startsWith('/run/secrets/'))) return 'automountServiceAccountToken: false in the pod takes a token away';
  const isEngines = places.every((place) => engineOwn.test(place.slice(1)));
  return isEngines ? 'every container has its own there, which can only be written to' : 'mount it elsewhere in the pod';
}
