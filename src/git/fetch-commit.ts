// From what is wanted to a commit in a pack on disk: with no history where the server allows, with all of it where not.
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { BuilderError, systemCode } from '../errors.ts';
import { type GitLocation, isCommit } from './location.ts';
import { parseTag } from './objects.ts';
import { Pack } from './pack.ts';
import { type GitServer, type Ref, fetchPack, listRefs } from './protocol.ts';

export interface FetchedCommit {
  /** The receiver closes it. */
  readonly pack: Pack;
  readonly commit: string;
  /** The full name that was asked for; undefined where a commit was. */
  readonly ref: Ref | undefined;
  /** Commits whose parents are not here. */
  readonly shallow: readonly string[];
}

export type Wish = Pick<GitLocation, 'ref' | 'checksum' | 'fetchesByCommit'>;

/**
 * Fetches a commit into the file `packPath`. A `depth` of 0 is the whole history. `connect` may be called twice: a server that
 * refuses a question hangs up.
 * @throws ERR_CONTEXT where it doesn't exist, ERR_DIGEST_MISMATCH where the ref is not at the checksum
 */
export async function fetchCommit(
  connect: () => Promise<GitServer>,
  wish: Wish,
  { packPath, depth }: { readonly packPath: string; readonly depth: number },
  signal: AbortSignal,
): Promise<FetchedCommit> {
  const server = await connect();
  const { name } = server.upload;
  const exact = exactCommit(wish);
  if (exact !== undefined && isCommit(exact)) {
    const fetched = await fetchInto(server, [exact], depth, packPath, signal);
    if (fetched.kind === 'pack') return finish(fetched, exact, undefined, wish, name);
    return await fromWholeHistory(await connect(), exact, wish, packPath, signal);
  }
  const ref = exact === undefined ? await findRef(server, wish.ref) : undefined;
  if (ref === undefined) {
    const commit = exact ?? wish.ref ?? '';
    if (/^[0-9a-f]{4,40}$/.test(commit)) return await fromWholeHistory(server, commit, wish, packPath, signal);
    const what = wish.ref === undefined ? 'it has no commits' : `it has no branch, tag or commit '${wish.ref}'`;
    throw new BuilderError('ERR_CONTEXT', `Cannot check out ${name}: ${what}`);
  }
  // Known before a byte is fetched, unless the checksum is that of another commit on the way.
  checkCommit(wish, [ref.id, ref.peeled ?? ref.id], name);
  const fetched = await fetchInto(server, [ref.id], depth, packPath, signal);
  if (fetched.kind === 'refused') throw new BuilderError('ERR_CONTEXT', `Cannot fetch '${ref.name}' from ${name}: ${fetched.reason}`);
  return finish(fetched, ref.id, ref, wish, name);
}

function exactCommit({ ref, checksum, fetchesByCommit }: Wish): string | undefined {
  if (fetchesByCommit && checksum !== undefined) return checksum;
  return ref !== undefined && isCommit(ref) ? ref : undefined;
}

// A branch before a tag of the same name, as `git checkout` has it.
async function findRef(server: GitServer, wanted: string | undefined): Promise<Ref | undefined> {
  const names = wanted === undefined ? ['HEAD'] : [`refs/heads/${wanted}`, `refs/tags/${wanted}`, wanted, `refs/${wanted}`];
  const refs = await listRefs(server, names);
  return names.map((name) => refs.find((ref) => ref.name === name)).find((ref) => ref !== undefined);
}

type Stored =
  | { readonly kind: 'pack'; readonly pack: Pack; readonly shallow: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: string };

async function fetchInto(server: GitServer, wants: readonly string[], depth: number, path: string, signal: AbortSignal): Promise<Stored> {
  const { name } = server.upload;
  const fd = openSync(path, 'w', 0o600);
  const hash = createHash('sha1');
  let tail = Buffer.alloc(0);
  let fetched;
  try {
    fetched = await fetchPack(server, wants, depth, async (bytes) => {
      signal.throwIfAborted();
      writePiece(fd, bytes, name, path);
      // The last 20 bytes are the hash of all before them.
      const both = Buffer.concat([tail, bytes]);
      const cut = Math.max(both.length - 20, 0);
      hash.update(both.subarray(0, cut));
      tail = Buffer.from(both.subarray(cut));
    });
  } finally {
    closeSync(fd);
  }
  if (fetched.kind === 'refused') return fetched;
  if (hash.digest('hex') !== tail.toString('hex'))
    throw new BuilderError('ERR_DIGEST_MISMATCH', `Cannot fetch from ${name}: the pack is cut off or damaged`);
  return { kind: 'pack', pack: await Pack.open(path, name, signal), shallow: fetched.shallow };
}

// A pack may be as large as the disk, and no larger: nobody knows before how large it is.
function writePiece(fd: number, bytes: Buffer, name: string, path: string): void {
  try {
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
  } catch (error) {
    const state = systemCode(error) === 'ENOSPC' ? 'there is no room for its pack' : 'its pack can not be written';
    throw new BuilderError('ERR_CONTEXT', `Cannot fetch from ${name}: ${state} in ${dirname(path)}`, { cause: error });
  }
}

// For servers that give out no commit by its name, and for commits of which only the beginning is known.
async function fromWholeHistory(
  server: GitServer,
  commit: string,
  wish: Wish,
  packPath: string,
  signal: AbortSignal,
): Promise<FetchedCommit> {
  const { name } = server.upload;
  const refs = await listRefs(server, ['refs/heads/', 'refs/tags/', 'HEAD', ...(wish.ref?.startsWith('refs/') === true ? [wish.ref] : [])]);
  const wants = [...new Set(refs.map((ref) => ref.id))];
  const missing = new BuilderError('ERR_CONTEXT', `Cannot check out ${name}: it has no branch, tag or commit '${wish.ref ?? commit}'`);
  if (wants.length === 0) throw missing;
  const fetched = await fetchInto(server, wants, 0, packPath, signal);
  if (fetched.kind === 'refused') throw new BuilderError('ERR_CONTEXT', `Cannot fetch from ${name}: ${fetched.reason}`);
  const { pack } = fetched;
  const found = pack.list().filter(([id]) => id.startsWith(commit) && ['commit', 'tag'].includes(pack.read(id).type));
  const [first, second] = found;
  if (first === undefined || second !== undefined) {
    pack.close();
    throw first === undefined
      ? missing
      : new BuilderError('ERR_CONTEXT', `Cannot check out ${name}: '${commit}' is the beginning of several commits`);
  }
  return finish(fetched, first[0], undefined, wish, name);
}

function finish(
  { pack, shallow }: { readonly pack: Pack; readonly shallow: readonly string[] },
  id: string,
  ref: Ref | undefined,
  wish: Wish,
  name: string,
): FetchedCommit {
  try {
    let commit = id;
    for (let object = pack.read(commit); object.type !== 'commit'; object = pack.read(commit)) {
      const next = object.type === 'tag' ? parseTag(object.bytes) : undefined;
      if (next === undefined) throw new BuilderError('ERR_CONTEXT', `Cannot check out ${name}: ${id} is a ${object.type}, not a commit`);
      commit = next;
    }
    checkCommit(wish, [id, commit], name);
    return { pack, commit, ref, shallow };
  } catch (error) {
    pack.close();
    throw error;
  }
}

function checkCommit({ checksum, ref }: Wish, ids: readonly string[], name: string): void {
  if (checksum === undefined || ids.some((id) => id.startsWith(checksum))) return;
  throw new BuilderError('ERR_DIGEST_MISMATCH', `Cannot check out ${name}: ${ref ?? 'HEAD'} is ${ids.at(-1)}, not ${checksum}`);
}
