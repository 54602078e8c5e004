// What is wanted of a repository, from the words that people write: `https://host/repo.git#ref:folder`, the query form, and
// kaniko's `#ref#commit`. Dockerfile reference, "ADD"; BuildKit's "Git URL queries".
import { BuilderError } from '../errors.ts';
import { type GitRemote, parseRemote, redact } from './remote.ts';

export interface GitLocation {
  readonly remote: GitRemote;
  /** A branch, a tag, a full name (`refs/…`) or a commit; undefined for the server's default. */
  readonly ref: string | undefined;
  /** Relative, without `..`; undefined for the whole. */
  readonly folder: string | undefined;
  /** The commit that it has to be, whole or its beginning. */
  readonly checksum: string | undefined;
  /** `checksum` is fetched as it is, wherever the ref points by now. */
  readonly fetchesByCommit: boolean;
  readonly keepsGitFolder: boolean | undefined;
  readonly submodules: boolean | undefined;
  /** Which time files get: that of the checkout, or of the commit. */
  readonly mtime: 'checkout' | 'commit';
}

/**
 * Reads a place of ADD.
 * @throws ERR_CONTEXT, ERR_UNSUPPORTED as parseRemote, and for refs, folders and queries that can't be
 */
export function parseLocation(place: string): GitLocation {
  const hash = place.indexOf('#');
  const [base, fragment] = hash === -1 ? [place, undefined] : [place.slice(0, hash), place.slice(hash + 1)];
  const question = base.indexOf('?');
  const remote = parseRemote(question === -1 ? base : base.slice(0, question));
  const query = readQuery(place, question === -1 ? '' : base.slice(question + 1));
  const said = readFragment(place, fragment ?? '');
  const once = (name: string, first: string | undefined, second: string | undefined): string | undefined => {
    if (first !== undefined && second !== undefined && first !== second) throw refusal(place, `it says twice which ${name}`);
    return first ?? second;
  };
  const ref = once('ref', said.ref, query.ref);
  const folder = once('folder', said.folder, query.folder);
  const checksum = once('commit', said.commit, query.checksum);
  return {
    remote,
    ref: ref === undefined ? undefined : checkRef(place, ref),
    folder: folder === undefined ? undefined : checkFolder(place, folder),
    checksum: checksum === undefined ? undefined : checkCommit(place, checksum),
    fetchesByCommit: said.commit !== undefined || query.fetchesByCommit,
    keepsGitFolder: query.keepsGitFolder,
    submodules: query.submodules,
    mtime: query.mtime,
  };
}

/**
 * Reads a place of a context. `github.com/owner/name` is one, and `git://` means what GIT_PULL_METHOD says, https as a rule:
 * that is what kaniko makes of it, and hosts have closed git's own port. With port 9418 written out, git's protocol is spoken.
 * @throws as parseLocation
 */
export function parseContextLocation(place: string, pullMethod: 'http' | 'https'): GitLocation {
  const location = parseLocation(place.startsWith('github.com/') ? `https://${place}` : place);
  const { remote } = location;
  if (remote.protocol !== 'git' || remote.port === 9418) return location;
  return { ...location, remote: { ...remote, protocol: pullMethod } };
}

/** True for a whole commit id. */
export function isCommit(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

interface Fragment {
  readonly ref: string | undefined;
  readonly folder: string | undefined;
  readonly commit: string | undefined;
}

function readFragment(place: string, fragment: string): Fragment {
  const [name = '', commit, ...more] = fragment.split('#');
  if (more.length > 0) throw refusal(place, 'it has more than two #');
  const colon = name.indexOf(':');
  const [ref, folder] = colon === -1 ? [name, ''] : [name.slice(0, colon), name.slice(colon + 1)];
  const given = (text: string | undefined): string | undefined => (text === '' ? undefined : text);
  return { ref: given(ref), folder: given(folder), commit: given(commit) };
}

type Query = Omit<GitLocation, 'remote'>;

function readQuery(place: string, text: string): Query {
  const values = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(text)) {
    if (!known.includes(name)) throw refusal(place, `it has no use for "${name}"`, `a query may have ${known.join(', ')}`);
    if (values.has(name)) throw refusal(place, `it says ${name} twice`);
    values.set(name, value);
  }
  const refs = ['ref', 'branch', 'tag'].filter((name) => values.has(name));
  if (refs.length > 1) throw refusal(place, `it has both ${refs.join(' and ')}`);
  if (values.has('commit') && values.has('checksum')) throw refusal(place, 'it has both commit and checksum');
  const full = (kind: string, value: string | undefined): string | undefined =>
    value === undefined ? undefined : `refs/${kind}/${value.replace(new RegExp(`^refs/${kind}/`), '')}`;
  const mtime = values.get('mtime') ?? 'checkout';
  if (mtime !== 'checkout' && mtime !== 'commit') throw refusal(place, 'mtime is neither checkout nor commit');
  return {
    ref: values.get('ref') ?? full('heads', values.get('branch')) ?? full('tags', values.get('tag')),
    folder: values.get('subdir'),
    checksum: values.get('checksum') ?? values.get('commit'),
    fetchesByCommit: readBoolean(place, 'fetch-by-commit', values) ?? false,
    keepsGitFolder: readBoolean(place, 'keep-git-dir', values),
    submodules: readBoolean(place, 'submodules', values),
    mtime,
  };
}

const known = ['ref', 'tag', 'branch', 'subdir', 'checksum', 'commit', 'keep-git-dir', 'submodules', 'mtime', 'fetch-by-commit'];

function readBoolean(place: string, name: string, values: ReadonlyMap<string, string>): boolean | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  if (['', '1', 't', 'true'].includes(value.toLowerCase())) return true;
  if (['0', 'f', 'false'].includes(value.toLowerCase())) return false;
  throw refusal(place, `${name} is neither true nor false`);
}

/** git-check-ref-format(1), and nothing that an option could look like. @throws ERR_CONTEXT */
export function checkRef(place: string, ref: string): string {
  const isBad =
    ref.startsWith('-') ||
    /[\p{Cc} ~^:?*[\\]|\.\.|@\{|\/\/|\.$|\/$|^\/|^@$/u.test(ref) ||
    ref.split('/').some((part) => part.startsWith('.') || part.endsWith('.lock'));
  if (isBad) throw refusal(place, `${JSON.stringify(ref)} is no name of a branch, tag or commit`);
  return ref;
}

function checkFolder(place: string, folder: string): string | undefined {
  const components = folder.split('/').filter((part) => part !== '' && part !== '.');
  if (folder.startsWith('/') || components.includes('..') || folder.includes('\0'))
    throw new BuilderError('ERR_UNSAFE_PATH', `Cannot use repository ${redact(place)}: folder ${JSON.stringify(folder)} leads out of it`);
  return components.length === 0 ? undefined : components.join('/');
}

/** A commit or its beginning; `sha1:` in front is fine. @throws ERR_CONTEXT */
export function checkCommit(place: string, text: string): string {
  const commit = text.replace(/^sha1:/, '').toLowerCase();
  if (!/^[0-9a-f]{4,40}$/.test(commit)) throw refusal(place, `${JSON.stringify(text)} is no commit`);
  return commit;
}

function refusal(place: string, state: string, hint?: string): BuilderError {
  return new BuilderError('ERR_CONTEXT', `Cannot use repository ${redact(place)}: ${state}`, { hint });
}
