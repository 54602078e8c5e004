// podman's and skopeo's policy.json: from where images may be taken. Signatures are not verified here, so what asks for one is refused.
// containers-policy.json(5)
import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { BuilderError, ifCode, inWords, orElse } from '../errors.ts';
import { type Json, parseJson } from '../oci/json.ts';
import { type Reference, formatCommonName, withDefaultTag } from '../oci/reference.ts';

/** What is to be taken; a place of `transports/` is one. */
export interface PolicySubject {
  readonly name: string;
  readonly transport: { readonly name: string };
  readonly reference?: Reference;
  readonly path?: string;
  readonly imageName?: string;
}

export interface Policy {
  /** @throws ERR_UNSUPPORTED for what is rejected, and for what would have to be verified */
  readonly check: (subject: PolicySubject) => void;
}

/** Where nobody wrote one. */
export const anythingGoes: Policy = { check: () => undefined };

const requirementTypes = ['insecureAcceptAnything', 'reject', 'signedBy', 'signedBaseLayer', 'sigstoreSigned'];

/** Types of the requirements of each scope, by transport; '' is a whole transport, or all of them. */
type Scopes = ReadonlyMap<string, readonly string[]>;

/** @throws ERR_USAGE for a file that is no policy: half of one is none */
export function readPolicy(text: string, file: string): Policy {
  const fail = (why: string): BuilderError => new BuilderError('ERR_USAGE', `Cannot use ${file}: ${why}`);
  const objectOf = (value: Json | undefined, what: string): ReadonlyMap<string, Json> => {
    if (value instanceof Map) return value;
    throw fail(`${what} is no object`);
  };
  const requirements = (value: Json | undefined, what: string): readonly string[] => {
    if (!Array.isArray(value) || value.length === 0) throw fail(`${what} is no list of requirements`);
    return value.map((item: Json) => {
      const type = objectOf(item, `a requirement of ${what}`).get('type');
      if (typeof type === 'string' && requirementTypes.includes(type)) return type;
      throw fail(`a requirement of ${what} has the type ${JSON.stringify(type ?? null)}, which is unknown`);
    });
  };
  const root = objectOf(
    orElse(() => parseJson(text), inWords('ERR_USAGE', `Cannot use ${file}`)),
    'it',
  );
  for (const key of root.keys()) if (key !== 'default' && key !== 'transports') throw fail(`${key} is unknown`);
  const usual = requirements(root.get('default'), 'default');
  const transports = new Map<string, Scopes>(
    [...objectOf(root.get('transports') ?? new Map(), 'transports')].map(([name, scopes]) => [
      name,
      new Map([...objectOf(scopes, name)].map(([scope, value]) => [scope, requirements(value, `${name} ${JSON.stringify(scope)}`)])),
    ]),
  );
  return {
    check: (subject) => {
      const { name, transport } = subject;
      const scopes = transports.get(transport.name);
      const scope = [...scopesOf(subject), ''].find((each) => scopes?.has(each) === true);
      const asked = (scope === undefined ? undefined : scopes?.get(scope)) ?? usual;
      const stops = asked.find((type) => type !== 'insecureAcceptAnything');
      if (stops === undefined) return;
      const where = scope === undefined ? 'its default' : `${transport.name} ${JSON.stringify(scope)}`;
      const why = stops === 'reject' ? 'rejects it' : `asks for a signature (${stops}), and none can be verified here`;
      throw new BuilderError('ERR_UNSUPPORTED', `Cannot take ${name}: ${file} ${why} (${where})`, {
        hint: stops === 'reject' ? undefined : 'verify it by skopeo or cosign first, and have the policy accept where you keep it',
      });
    },
  };
}

/** From the narrowest to the widest. */
function* scopesOf({ transport, reference, path, imageName }: PolicySubject): Generator<string> {
  if (reference !== undefined) {
    const { registry, repository, digest } = reference;
    const whole = formatCommonName({ registry, repository });
    const { tag = '' } = withDefaultTag(reference);
    yield digest === undefined ? `${whole}:${tag}` : `${whole}@${digest}`;
    for (let end = whole.length; end > 0; end = whole.lastIndexOf('/', end - 1)) yield whole.slice(0, end);
    const host = whole.slice(0, whole.indexOf('/')).replace(/:\d+$/, '');
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) yield `*${host.slice(dot)}`;
    return;
  }
  // Nobody gets around a scope by a link.
  if (path === undefined || transport.name === 'docker-archive') return;
  const real = orElse(() => realpathSync(path), ifCode(['ENOENT'], resolve(path)));
  if (imageName !== undefined) yield `${real}:${imageName}`;
  for (let folder = real; folder !== '/'; folder = dirname(folder)) yield folder;
}
