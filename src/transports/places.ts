// What a name stands for: a place, where it begins with a transport's word, as skopeo has it.
import { BuilderError } from '../errors.ts';
import { parseReference, withDefaultTag } from '../oci/reference.ts';
import type { Place } from './transport.ts';
import { registryPlace, transports } from './transports.ts';

/** Other tools' transports, and why they can't be had. */
const refused: ReadonlyMap<string, string> = new Map([
  ['containers-storage', "it is the private store of podman and buildah; use 'podman save' and docker-archive: or oci-archive:"],
  ['ostree', 'use oci: or dir:'],
  ['sif', 'use oci: or dir:'],
  ['tarball', 'make a layer of it: yadokari layer'],
  ['atomic', 'use docker://'],
]);

/**
 * The place that a name stands for.
 * @throws ERR_REFERENCE for a malformed name, ERR_UNSUPPORTED for a transport that is known and can't be had
 */
export function parsePlace(text: string): Place {
  const colon = text.indexOf(':');
  const word = colon === -1 ? '' : text.slice(0, colon);
  const transport = transports.find(({ name }) => name === word);
  if (transport !== undefined) return transport.parse(text.slice(colon + 1));
  const hint = refused.get(word);
  if (hint !== undefined)
    throw new BuilderError('ERR_UNSUPPORTED', `Cannot use ${text}: ${word}: is not a place for images here`, { hint });
  const names = transports.map(({ name }) => (name === 'docker' ? 'docker://' : `${name}:`)).join(', ');
  throw new BuilderError('ERR_REFERENCE', `Cannot use ${JSON.stringify(text)}: it does not begin with a transport`, {
    hint: `one of ${names}; an image in a registry is docker://${text}`,
  });
}

/** True for a word that names a place, known or refused: what else may stand in a command line is told from it. */
export function isPlaceName(text: string): boolean {
  const word = text.slice(0, Math.max(0, text.indexOf(':')));
  return refused.has(word) || transports.some(({ name }) => name === word);
}

/** The place of such a word, or else an image of a registry, by its name alone. @throws ERR_REFERENCE, ERR_UNSUPPORTED */
export function placeOrImage(text: string): Place {
  return isPlaceName(text) ? parsePlace(text) : registryPlace(withDefaultTag(parseReference(text)));
}
