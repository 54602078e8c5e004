// Image names: `[registry/]repository[:tag][@digest]`, with Docker Hub's defaults. distribution/reference's grammar.
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';
import { type Digest, parseDigest } from './digest.ts';

export interface Reference {
  /** Host, with port where one was given; Docker Hub is `index.docker.io`. */
  readonly registry: string;
  /** Path without the registry, `library/` added for Docker Hub's own images. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

export const dockerHub = 'index.docker.io';
const dockerHubNames: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']);

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const repositoryPattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const hostPattern = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::\d{1,5})?$/;

/**
 * Reads an image name. Neither tag nor digest means no default here: see `withDefaultTag`.
 * @throws ERR_REFERENCE with what is wrong and a hint.
 */
export function parseReference(text: string): Reference {
  const fail = (why: string, hint?: string): never => {
    throw new BuilderError('ERR_REFERENCE', `Cannot use image name ${JSON.stringify(text)}: ${why}`, { hint: strayHint(text) ?? hint });
  };
  if (text === '') return fail('it is empty');
  refuseUser(text);
  if (/^(?!oci-layout)[a-z]+:\/\//i.test(text))
    return fail('an image name has no scheme', `leave out "${text.slice(0, text.indexOf('://') + 3)}"`);
  if (/^(?:oci|oci-layout|oci-archive|docker-archive|docker-daemon|containers-storage|dir):(?!\d+\/)/.test(text))
    return fail(
      'an image name has no transport',
      'a layout is a base by --build-context NAME=oci-layout://FOLDER, and written by --oci-layout-path FOLDER',
    );
  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : parseDigest(text.slice(at + 1));
  const named = at === -1 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  const path = hasTag ? named.slice(0, colon) : named;
  if (tag !== undefined && !tagPattern.test(tag)) {
    return fail(`${JSON.stringify(tag)} is not a tag`, 'a tag has letters, digits, ".", "_" and "-", 128 at most');
  }
  const slash = path.indexOf('/');
  const isWhole = hasRegistry(path);
  const host = isWhole ? path.slice(0, slash) : 'docker.io';
  const rest = isWhole ? path.slice(slash + 1) : path;
  if (!isHost(host)) return fail(`${JSON.stringify(host)} is not a registry host`);
  const onHub = dockerHubNames.has(host.toLowerCase());
  if (rest !== rest.toLowerCase()) return fail('a repository name must be lower case', `write ${rest.toLowerCase()}`);
  if (!repositoryPattern.test(rest)) return fail(`${JSON.stringify(rest)} is not a repository name`);
  return {
    registry: onHub ? dockerHub : host,
    repository: onHub && !rest.includes('/') ? `library/${rest}` : rest,
    ...given({ tag, digest }),
  };
}

/** What a character says of how it came into a name. */
function strayHint(text: string): string | undefined {
  if (/\s/.test(text)) return 'a name has no blanks: are there several arguments in one pair of quotes?';
  if (text.includes('$')) return 'a variable in it was not replaced: single quotes and YAML keep "$" as it is';
  if (text.includes(',')) return 'this is one name: repeat the flag for several';
  return /^[:@/]|[:@/]$|[^:]\/[:@/]/.test(text) ? 'a part of it is empty: a variable may be unset where this name was made' : undefined;
}

/** `HOST[:PORT]`, with a port that there can be, and no more numbers than an address has. */
export function isHost(text: string): boolean {
  return hostPattern.test(text) && URL.canParse(`https://${text}/`);
}

/** It may be a password that stands there, so it is not repeated. */
function refuseUser(text: string): void {
  if (!/^(?:[a-z]+:\/\/)?[^/@]+@(?!sha\d+:)[^/@]+\//i.test(text)) return;
  throw new BuilderError('ERR_REFERENCE', 'Cannot use an image name with a user in it: what stands before the "@" is not part of a name', {
    hint: '`yadokari login` writes credentials to config.json, and DOCKER_AUTH_CONFIG holds them in the environment',
  });
}

/** Whether the first part of a name is a host, by distribution/reference's rule; else the name is a short one. */
export function hasRegistry(text: string): boolean {
  const first = text.includes('/') ? text.slice(0, text.indexOf('/')) : '';
  return /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
}

/** True for what may be a tag. */
export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/** The reference with tag `latest` where it has neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: 'latest' } : reference;
}

/** `registry/repository`, as in a credential key or a log line. */
export function formatRepository(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`;
}

/** The whole name; parsing it again gives the same value. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${formatRepository(reference)}${tag}${digest}`;
}

/** The name as other tools write it: Docker Hub is `docker.io`. */
export function formatCommonName(reference: Reference): string {
  return formatReference({ ...reference, registry: reference.registry === dockerHub ? 'docker.io' : reference.registry });
}
