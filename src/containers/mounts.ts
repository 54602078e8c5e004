// `--volume` and `--mount` of buildah and docker, as values. What can't be honoured is refused by its name.
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CacheMount } from '../build/instructions/cache-mounts.ts';
import { parseMount as parseRunMount } from '../build/instructions/mount.ts';
import { BuilderError, orElse } from '../errors.ts';

/** Something to be seen in the container at `target`, which is absolute there. */
export type WantedMount =
  | { readonly kind: 'bind'; readonly source: string; readonly target: string; readonly mode: 'ro' | 'rw'; readonly isFolder: boolean }
  | { readonly kind: 'tmpfs'; readonly target: string; readonly options: string }
  | { readonly kind: 'cache'; readonly target: string; readonly flag: Parameters<typeof parseRunMount>[0]; readonly mount: CacheMount };

/** `SOURCE:TARGET[:OPTIONS]`. @throws ERR_USAGE, ERR_UNSUPPORTED */
export function parseVolume(text: string): WantedMount {
  const [source = '', target, options = '', ...more] = text.split(':');
  const fail = (why: string): BuilderError => new BuilderError('ERR_USAGE', `Cannot use --volume ${text}: ${why}`);
  if (target === undefined || more.length > 0) throw fail('expected SOURCE:TARGET[:OPTIONS]');
  let mode: 'ro' | 'rw' = 'rw';
  for (const option of options.split(',')) {
    if (option === 'ro' || option === 'rw') mode = option;
    // Labels are SELinux's, which nothing here sets; a mount of a namespace of its own is private anyway.
    else if (!['', 'z', 'Z', 'bind', 'rbind', 'private', 'rprivate'].includes(option))
      throw new BuilderError('ERR_UNSUPPORTED', `Cannot honour --volume ${text}: the option "${option}" is not for here`);
  }
  return bindOf(source, target, mode, fail);
}

/** `type=bind,source=…,target=…[,ro]`, `type=tmpfs,target=…[,tmpfs-size=…]` or a cache, as RUN of a Dockerfile has it. @throws ERR_USAGE, ERR_UNSUPPORTED */
export function parseMount(text: string): WantedMount {
  const fail = (why: string): BuilderError => new BuilderError('ERR_USAGE', `Cannot use --mount ${text}: ${why}`);
  const members = new Map<string, string>();
  for (const part of text.split(',')) {
    const equals = part.indexOf('=');
    members.set(nameOf(equals === -1 ? part : part.slice(0, equals)), equals === -1 ? 'true' : part.slice(equals + 1));
  }
  const type = members.get('type') ?? 'bind';
  const target = members.get('target') ?? '';
  if (type === 'cache') return cacheOf(text, target, members, fail);
  const known = type === 'bind' ? ['type', 'target', 'source', 'readonly', 'rw'] : ['type', 'target', 'tmpfs-size', 'tmpfs-mode'];
  if (type !== 'bind' && type !== 'tmpfs')
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot honour --mount ${text}: type=${type} is for RUN in a Dockerfile`, {
      hint: 'type=bind, type=cache and type=tmpfs are there; a secret is --volume FILE:TARGET:ro, an agent its socket and --env SSH_AUTH_SOCK',
    });
  const odd = [...members.keys()].find((name) => !known.includes(name));
  if (odd !== undefined) throw new BuilderError('ERR_UNSUPPORTED', `Cannot honour --mount ${text}: "${odd}" is not for here`);
  if (type === 'tmpfs') {
    const size = members.get('tmpfs-size');
    const options = [`mode=${members.get('tmpfs-mode') ?? '1777'}`, ...(size === undefined ? [] : [`size=${size}`])].join(',');
    return { kind: 'tmpfs', target: absoluteTarget(target, fail), options };
  }
  const isReadOnly = members.get('readonly') === 'true' || members.get('rw') === 'false';
  return bindOf(members.get('source') ?? '', target, isReadOnly ? 'ro' : 'rw', fail);
}

function cacheOf(text: string, target: string, members: ReadonlyMap<string, string>, fail: (why: string) => BuilderError): WantedMount {
  if (members.has('from')) throw fail('"from" is for RUN in a Dockerfile');
  const start = { line: 1, column: 1 };
  const flag = { name: 'mount', value: text, range: { start, end: start } };
  const mount = orElse(
    () => parseRunMount(flag, (word) => word, '/'),
    (error) => {
      throw error instanceof BuilderError ? new BuilderError('ERR_USAGE', error.message, { cause: error, hint: error.hint }) : error;
    },
  );
  if (mount.type !== 'cache') throw fail('it is no cache');
  return { kind: 'cache', target: absoluteTarget(target, fail), flag, mount };
}

function nameOf(word: string): string {
  const names: Readonly<Record<string, string>> = { src: 'source', dst: 'target', destination: 'target', ro: 'readonly', readwrite: 'rw' };
  return names[word] ?? word;
}

function bindOf(source: string, target: string, mode: 'ro' | 'rw', fail: (why: string) => BuilderError): WantedMount {
  if (source === '') throw fail('it names no source');
  const path = resolve(source);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw fail(`${path} does not exist`);
  return { kind: 'bind', source: path, target: absoluteTarget(target, fail), mode, isFolder: stat.isDirectory() };
}

function absoluteTarget(target: string, fail: (why: string) => BuilderError): string {
  if (!target.startsWith('/')) throw fail('the target is not an absolute path in the container');
  if (/^\/(?:dev|proc|sys)?\/*$|^\/(?:dev|proc|sys)\//.test(target)) throw fail(`${target} is the container's own`);
  return target;
}
