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

/** What only one of several images is made of. */
interface OwnMaterials {
  /** Names of images that were asked for, with the platform. */
  readonly asked: Set<string>;
  readonly fetched: Map<string, Material>;
}

/** Collects the materials of one build, from whoever fetches them. */
export class Materials {
  readonly #common = new Map<string, Material>();
  /** By what they were asked for: what one image asks for, another one may have fetched. */
  readonly #images = new Map<string, Material>();
  readonly #own = new Map<string, OwnMaterials>();
  #current: OwnMaterials | undefined;
  #source: Material | undefined;

  /** What is asked for and fetched from here on belongs to the image for this platform. */
  turnTo(platform: Platform): void {
    this.#current = this.#own.getOrInsertComputed(formatPlatform(platform), () => ({ asked: new Set(), fetched: new Map() }));
  }

  /** An image is a material where it is asked for by this name; who fetched it tells by `noteImage` what it was. */
  askFor(name: string, platform: Platform): void {
    this.#current?.asked.add(keyOf(name, platform));
  }

  noteImage(name: string, platform: Platform, { uri, digest }: { readonly uri: string; readonly digest: Digest }): void {
    this.#images.set(keyOf(name, platform), ofDigest(uri, digest));
  }

  noteContent(uri: string, digest: Digest): void {
    this.#note(ofDigest(uri, digest));
  }

  /** `hex` is a commit's name; `ref` and `folder` are what was asked for, where that was not all. */
  noteCommit(
    remote: string,
    { ref, folder }: { readonly ref?: string | undefined; readonly folder?: string | undefined },
    hex: string,
  ): void {
    const fragment = `${ref ?? ''}${folder === undefined ? '' : `:${folder}`}`;
    this.#note({ uri: fragment === '' ? remote : `${remote}#${fragment}`, algorithm: 'sha1', hex });
  }

  /** What the context was made of; undefined for a folder of this machine. */
  get source(): Material | undefined {
    return this.#source;
  }

  /** The context has been fetched, before anything else. */
  endSource(): void {
    [this.#source] = this.#common.values();
  }

  /** Those of the image that was turned to. By their URIs: the order in which they came says nothing. */
  list(): readonly Material[] {
    const { asked = [], fetched = [] } = this.#current ?? {};
    const images = [...asked].flatMap((key) => this.#images.get(key) ?? []);
    const all = new Map([...this.#common, ...fetched, ...images.map((image) => [idOf(image), image] as const)]);
    return [...all.values()].toSorted((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
  }

  #note(material: Material): void {
    (this.#current?.fetched ?? this.#common).set(idOf(material), material);
  }
}

function keyOf(name: string, platform: Platform): string {
  return `${name} ${formatPlatform(platform)}`;
}

function idOf({ uri, hex }: Material): string {
  return `${uri} ${hex}`;
}

function ofDigest(uri: string, digest: Digest): Material {
  const [algorithm, hex = ''] = digest.split(':');
  return { uri, algorithm: algorithm === 'sha512' ? 'sha512' : 'sha256', hex };
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
