// A mirror as it is written: `host[:port][/prefix]`. Unlike in an image name, what comes first is always a host.
import { BuilderError } from '../errors.ts';
import { type Reference, parseReference } from '../oci/reference.ts';

/** @throws ERR_REFERENCE when the text names no host, or what follows is no path of repositories */
export function checkMirror(text: string): void {
  mirrorOf({ registry: '', repository: 'any' }, text);
}

/** Where the mirror has a repository. @throws as `checkMirror` */
export function mirrorOf(reference: Reference, text: string): Pick<Reference, 'registry' | 'repository'> {
  const bare = text.replace(/\/+$/, '');
  const slash = bare.indexOf('/');
  const host = slash === -1 ? bare : bare.slice(0, slash);
  const prefix = slash === -1 ? '' : bare.slice(slash);
  try {
    // A port makes a host of any name; Docker Hub's own names stay what they are.
    const isNamed = /[.:]/.test(host) || host === 'localhost';
    const { registry, repository } = parseReference(`${isNamed ? host : `${host}:443`}${prefix}/${reference.repository}`);
    return { registry: isNamed ? registry : host, repository };
  } catch (error) {
    if (!(error instanceof BuilderError)) throw error;
    // It may be a password that stands before an @.
    const shown = text.includes('@') ? 'with a user in it' : JSON.stringify(text);
    throw new BuilderError('ERR_REFERENCE', `Cannot use mirror ${shown}: it is not HOST[:PORT][/PREFIX]`, {
      cause: error,
      hint: 'for example mirror.example:5000/docker-hub, without https://',
    });
  }
}
