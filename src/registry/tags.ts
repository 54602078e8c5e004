// What a repository holds by name, and taking it away: the distribution-spec's discovery and management.
import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Json } from '../oci/json.ts';
import { isTag } from '../oci/reference.ts';
import type { Repository } from './repository.ts';
import { type Response, discard, expect, header, readJson, redactUrl } from './response.ts';

/** What is read of one page of a list, in bytes. */
const pageLimitBytes = 8 * 1024 * 1024;
/** Of all pages, which are held; an empty one counts as some bytes, so that there is an end to those, too. */
const listLimitBytes = 64 * 1024 * 1024;
const pageCostBytes = 8 * 1024;

/** distribution-spec end-8, all pages. @throws RegistryError for a repository that is not there, and for names that are no tags */
export async function listTags(repository: Repository, signal: AbortSignal): Promise<readonly string[]> {
  const task = `list the tags of ${repository.name}`;
  const tags: string[] = [];
  await eachPage(repository, 'tags/list', { task, accept: 'application/json' }, signal, (root, response) => {
    const list = root instanceof Map ? (root.get('tags') ?? []) : undefined;
    if (!Array.isArray(list)) throw refusal(response, `Cannot ${task}: ${response.url.host} sent no list`);
    for (const tag of list) {
      // What is called so would be a path, a flag or a line of its own elsewhere.
      if (typeof tag !== 'string' || !isTag(tag)) throw refusal(response, `Cannot ${task}: ${JSON.stringify(tag).slice(0, 160)} is no tag`);
      tags.push(tag);
    }
  });
  return [...new Set(tags)];
}

/** distribution-spec end-9, for the digest that a name stands for. @throws RegistryError when there is none */
export async function deleteImage(repository: Repository, target: string, signal: AbortSignal): Promise<Digest> {
  const digest = await repository.resolve(target, signal);
  const name = `${repository.name}${target.includes(':') ? '@' : ':'}${target}`;
  if (digest === undefined) {
    const request = { method: 'HEAD', url: name, status: 404, errors: [{ code: 'MANIFEST_UNKNOWN', message: 'there is no such image' }] };
    throw new RegistryError(`Cannot delete ${name}: there is no such image`, request, { hint: 'check the name and the tag' });
  }
  const task = `delete ${name}`;
  const response = await repository.requests.send('DELETE', `manifests/${digest}`, { access: 'delete', task }, signal);
  if (response.status === 405) {
    await discard(response);
    const request = { method: 'DELETE', url: redactUrl(response.url), status: response.status };
    throw new RegistryError(`Cannot delete ${name}: ${response.url.host} lets nothing be deleted`, request);
  }
  await discard(await expect(response, [202, 200, 204], task));
  return digest;
}

/** Reads a list page by page, as the Link header leads. A page may lie at the same host only. */
export async function eachPage(
  repository: Repository,
  path: string,
  { task, accept, missing }: { readonly task: string; readonly accept: string; readonly missing?: readonly number[] },
  signal: AbortSignal,
  use: (root: Json, response: Response) => void,
): Promise<'read' | 'missing'> {
  let next: string | URL | undefined = path;
  // A page in a circle is met again after at most three turns of it; to remember all of them would be as much as the list.
  let mark: string | undefined;
  for (let [left, pages] = [listLimitBytes, 1]; next !== undefined; pages++) {
    const response: Response = await repository.requests.send('GET', next, { access: 'pull', headers: { accept }, task }, signal);
    if (missing?.includes(response.status) === true) {
      await discard(response);
      return 'missing';
    }
    await expect(response, [200], task);
    const { bytes, root } = await readJson(response, pageLimitBytes, `the answer to "${task}"`);
    use(root, response);
    next = nextPage(response, task);
    if (next !== undefined && next.href === mark)
      throw refusal(response, `Cannot ${task}: ${response.url.host} leads from page to page in a circle`);
    if ((pages & (pages - 1)) === 0) mark = next?.href;
    left -= bytes.length + pageCostBytes;
    if (left < 0) throw refusal(response, `Cannot ${task}: ${response.url.host} sends pages without end`);
  }
  return 'read';
}

// RFC 8288; ECR and others send it relative.
function nextPage(response: Response, task: string): URL | undefined {
  const link = header(response, 'link');
  const target = link === undefined ? undefined : /<([^>]*)>\s*;(?:[^,]*;)?\s*rel="?next"?/i.exec(link)?.[1];
  if (target === undefined) return undefined;
  const url = URL.parse(target, response.url);
  if (url !== null && url.origin === response.url.origin) return url;
  throw refusal(response, `Cannot ${task}: ${response.url.host} leads to another host for the next page`);
}

function refusal(response: Response, message: string): RegistryError {
  return new RegistryError(message, { method: response.method, url: redactUrl(response.url), status: response.status });
}
