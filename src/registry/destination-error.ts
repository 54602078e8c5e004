// What fails on the way to a destination, said as that: a host alone could as well be a base image's.
import { RegistryError } from '../errors.ts';
import { dockerHub, formatReference, type Reference } from '../oci/reference.ts';
import { changed } from './response.ts';

/** Runs `task`; a connection that fails is told with the destination, and Docker Hub with how it came to be one. */
export async function towards<Value>(destinations: readonly Reference[], task: () => Promise<Value>): Promise<Value> {
  try {
    return await task();
  } catch (error) {
    throw error instanceof RegistryError ? named(error, destinations) : error;
  }
}

function named(error: RegistryError, destinations: readonly Reference[]): RegistryError {
  const host = URL.canParse(error.url) ? new URL(error.url).host : '';
  const onHub = destinations.find(({ registry }) => registry === dockerHub && host.endsWith('docker.io'));
  const reference = onHub ?? destinations.find(({ registry }) => registry === host);
  if (reference === undefined) return error;
  const name = formatReference(reference);
  const message = error.message.replace(/^Cannot (?=(?:reach|resolve) )/, `Cannot push to ${name}: cannot `);
  const hints = [onHub === undefined ? undefined : hubHint(onHub), error.hint].filter((hint) => hint !== undefined);
  return changed(error, { message, ...(hints.length === 0 ? {} : { hint: hints.join('; ') }) });
}

function hubHint({ repository }: Reference): string {
  return `a destination without a registry's host is Docker Hub's: --destination=HOST/${repository.replace(/^library\//, '')} pushes elsewhere`;
}
