// What images of the store are called: whole references, as podman and buildah write them.
import { BuilderError } from '../errors.ts';
import { type Reference, formatCommonName, hasRegistry, parseReference, withDefaultTag } from '../oci/reference.ts';

/** The host of names that no registry was given for. */
const localHost = 'localhost';

/** What an image that is made or named here is called: `x` is `localhost/x:latest`. @throws ERR_REFERENCE, for a digest too */
export function localName(text: string): string {
  const reference = parseReference(text);
  if (reference.digest !== undefined)
    throw new BuilderError('ERR_REFERENCE', `Cannot name an image ${text}: its digest comes from its bytes`);
  return formatCommonName(withDefaultTag(hasRegistry(text) ? reference : localReference(text)));
}

/** What an image that comes from a registry is called: `x` is `docker.io/library/x:latest`. */
export function registryName(reference: Reference): string {
  return formatCommonName(withDefaultTag(reference));
}

/** The one of `names` that a person means; a short name is looked for here, then at Docker Hub, then as the end of any. @throws ERR_REFERENCE */
export function chooseName(text: string, names: readonly string[]): string | undefined {
  const wanted = hasRegistry(text)
    ? [registryName(parseReference(text))]
    : [registryName(localReference(text)), registryName(parseReference(text))];
  const exact = wanted.find((name) => names.includes(name));
  if (exact !== undefined || hasRegistry(text)) return exact;
  const [ending = ''] = wanted;
  const endings = names.filter((name) => name.endsWith(ending.slice(localHost.length)));
  if (endings.length < 2) return endings[0];
  throw new BuilderError('ERR_REFERENCE', `Cannot choose an image: ${text} may be ${endings.join(', ')}`, { hint: 'give the whole name' });
}

/** Name and tag, as tables show them; `<none>` where there is none. */
export function splitName(name: string | undefined): { readonly repository: string; readonly tag: string } {
  const none = '<none>';
  if (name === undefined) return { repository: none, tag: none };
  const { tag, digest: _, ...repository } = parseReference(name);
  return { repository: formatCommonName(repository), tag: tag ?? none };
}

function localReference(text: string): Reference {
  return parseReference(`${localHost}/${text}`);
}
