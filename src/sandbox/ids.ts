// Which ids the inside of a user namespace gets: the caller's own as root, and the caller's ranges after it.
import { given } from '../given.ts';

/** A range that /etc/subuid or /etc/subgid gives to someone. */
export interface IdRange {
  readonly start: number;
  readonly count: number;
}

/** Who calls: the name is undefined where the uid has no account. */
export interface Caller {
  readonly uid: number;
  readonly name: string | undefined;
  /** Whether mounting is allowed as things are; then no user namespace is needed. */
  readonly mayMount: boolean;
}

/** How the namespaces come to their ids. */
export type IdMapping =
  | { readonly kind: 'all' } // the machine's own ids: no user namespace
  | { readonly kind: 'ranges'; readonly uids: IdRange; readonly gids: IdRange }
  | { readonly kind: 'own' }; // only the caller's id, as root

/** The texts of the two files and the program that may use them; undefined where something is missing. */
export interface IdSources {
  readonly subuid: string;
  readonly subgid: string;
  readonly newuidmap: string | undefined;
  readonly newgidmap: string | undefined;
}

/** The widest possible mapping; where it is narrower than an image may need, what is missing, and a sentence for the person. */
export function chooseMapping(
  caller: Caller,
  sources: IdSources,
): { readonly mapping: IdMapping; readonly note?: string; readonly missing?: string } {
  if (caller.mayMount) return { mapping: { kind: 'all' } };
  const uids = findRange(sources.subuid, caller);
  const gids = findRange(sources.subgid, caller);
  const missing = missingPart(caller, uids, gids, sources);
  if (uids !== undefined && gids !== undefined && missing === undefined) return { mapping: { kind: 'ranges', uids, gids } };
  return {
    mapping: { kind: 'own' },
    ...given({ missing }),
    note: `${missing ?? ''}: files that do not belong to root will do so while building, and a RUN as another user will fail`,
  };
}

/** In the environment of the builder inside, where it has no id but its own: what would give it more. */
export const idHintVariable = 'YADOKARI_ID_HINT';

/** What gives an ordinary user ids to map that nobody else has. */
export function rangesHint({ name }: Caller, { subuid, subgid }: Pick<IdSources, 'subuid' | 'subgid'>): string {
  const ends = [...`${subuid}\n${subgid}`.matchAll(/:(\d{1,10}):(\d{1,10})$/gm)].map(([, start, count]) => Number(start) + Number(count));
  const start = Math.max(100_000, ...ends);
  const range = `${start}-${start + 65_535}`;
  return `as root: usermod --add-subuids ${range} --add-subgids ${range} ${name ?? 'NAME'}`;
}

/** Whose a file is inside, by whose it is outside: the other way round of the mapping. Undefined where it has nobody for it. */
export function idInside(id: number, own: number, range: IdRange | undefined): number | undefined {
  if (id === own) return 0;
  return range !== undefined && id >= range.start && id < range.start + range.count ? id - range.start + 1 : undefined;
}

/** The widest range of `caller` in the text of /etc/subuid or /etc/subgid (`name-or-uid:start:count` lines). */
export function findRange(text: string, caller: Caller): IdRange | undefined {
  let widest: IdRange | undefined;
  for (const line of text.split('\n')) {
    const match = /^([^:]+):(\d{1,10}):(\d{1,10})$/.exec(line.trim());
    if (match === null || (match[1] !== caller.name && match[1] !== String(caller.uid))) continue;
    const range = { start: Number(match[2]), count: Number(match[3]) };
    if (range.count > (widest?.count ?? 0)) widest = range;
  }
  return widest;
}

/** Flags of unshare(1) (util-linux 2.38 and later) that make the mapping. */
export function mappingFlags(mapping: IdMapping): readonly string[] {
  switch (mapping.kind) {
    case 'all':
      return [];
    case 'own':
      return ['--user', '--map-root-user'];
    case 'ranges': {
      // outer,inner,count: 2.39 prefers colons and another order, but still reads this one.
      const { uids, gids } = mapping;
      return ['--user', '--map-root-user', `--map-users=${uids.start},1,${uids.count}`, `--map-groups=${gids.start},1,${gids.count}`];
    }
    default:
      return mapping satisfies never;
  }
}

function missingPart(caller: Caller, uids: IdRange | undefined, gids: IdRange | undefined, sources: IdSources): string | undefined {
  if (caller.name === undefined) return `uid ${caller.uid} has no account, and so no id ranges`; // newuidmap asks for its name
  if (uids === undefined) return `there are no id ranges for ${caller.name} in /etc/subuid`;
  if (gids === undefined) return `there are no id ranges for ${caller.name} in /etc/subgid`;
  if (sources.newuidmap === undefined || sources.newgidmap === undefined)
    return 'newuidmap and newgidmap are not installed (package uidmap)';
  return undefined;
}
