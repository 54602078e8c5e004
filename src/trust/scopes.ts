// Parts of names that files say something of. containers-policy.json(5), "docker:"; containers-registries.d(5)
import { type Reference, formatCommonName, withDefaultTag } from '../oci/reference.ts';

/** From the narrowest to the widest: the name, its repository, what that is in, the host, and domains as `*.example`. */
export function* scopesOfReference(reference: Reference): Generator<string> {
  const { registry, repository, digest } = reference;
  const whole = formatCommonName({ registry, repository });
  const { tag = '' } = withDefaultTag(reference);
  yield digest === undefined ? `${whole}:${tag}` : `${whole}@${digest}`;
  for (let end = whole.length; end > 0; end = whole.lastIndexOf('/', end - 1)) yield whole.slice(0, end);
  const host = whole.slice(0, whole.indexOf('/')).replace(/:\d+$/, '');
  for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) yield `*${host.slice(dot)}`;
}
