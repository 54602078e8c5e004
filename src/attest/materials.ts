// What came into a build from outside, each with the digest that it had. SLSA calls these materials, or resolved dependencies.
import type { Digest } from '../oci/digest.ts';
import { type Platform, formatPlatform } from '../oci/platform.ts';
import { type Reference, dockerHub } from '../oci/reference.ts';

export interface Material {
  /** A package URL for an image, else the place without a user, a password and the values of a query. */
  readonly uri: string;
  readonly algorithm: 'sha1' | 'sha256' | 'sha512';
  readonly hex: string;
}

/** Collects the materials of one build, from whoever fetches them. */
export class Materials {
  readonly #all = new Map<string, Material>();
  #source: Material | undefined;

  noteImage(name: Reference, platform: Platform, digest: Digest): void {
    this.noteContent(imageUri(name, platform), digest);
  }

  noteContent(uri: string, digest: Digest): void {
    const [algorithm, hex = ''] = digest.split(':');
    this.#note({ uri, algorithm: algorithm === 'sha512' ? 'sha512' : 'sha256', hex });
  }

  /** `hex` is a commit's name; `ref` is what was asked for, where that was not all. */
  noteCommit(remote: string, ref: string | undefined, hex: string): void {
    this.#note({ uri: ref === undefined ? remote : `${remote}#${ref}`, algorithm: 'sha1', hex });
  }

  /** What the context was made of; undefined for a folder of this machine. */
  get source(): Material | undefined {
    return this.#source;
  }

  /** The context has been fetched, before anything else. */
  endSource(): void {
    [this.#source] = this.#all.values();
  }

  /** By their URIs: the order in which they came says nothing. */
  list(): readonly Material[] {
    return [...this.#all.values()].toSorted((a, b) => (a.uri + a.hex < b.uri + b.hex ? -1 : 1));
  }

  #note(material: Material): void {
    this.#all.set(`${material.uri} ${material.hex}`, material);
  }
}

/**
 * The package URL of an image: `pkg:docker/team/app@1.0?platform=linux%2Famd64`, as BuildKit writes it (util/purl).
 * A platform belongs to it where the name stands for several.
 */
export function imageUri({ registry, repository, tag, digest }: Reference, platform: Platform): string {
  const name = registry === dockerHub ? repository.replace(/^library\//, '') : `${registry}/${repository}`;
  const version = digest === undefined ? `@${escape(tag ?? 'latest')}` : tag === undefined ? '' : `@${escape(tag)}`;
  const byDigest = digest === undefined ? '' : `digest=${digest}&`;
  return `pkg:docker/${name.split('/').map(escape).join('/')}${version}?${byDigest}platform=${escape(formatPlatform(platform))}`;
}

/** package-url's specification leaves a colon as it is. */
function escape(text: string): string {
  return encodeURIComponent(text).replaceAll('%3A', ':');
}
