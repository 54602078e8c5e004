// What an image is called that a build gives away.
import { type Reference, parseReference } from '../oci/reference.ts';
import type { OutputRequest } from './output-request.ts';

/** Where it is pushed to, then what it is called in the store of this machine. */
export function namesOf({ destinations, store }: OutputRequest): readonly Reference[] {
  return [...destinations, ...(store?.names ?? []).map(parseReference)];
}
