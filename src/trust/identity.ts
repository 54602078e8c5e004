// Whether what a signature calls an image is what it was asked for by. containers-policy.json(5), signedIdentity
import { BuilderError } from '../errors.ts';
import { type Json, type JsonObject } from '../oci/json.ts';
import { type Reference, formatCommonName, parseReference } from '../oci/reference.ts';

/** `asked` is what a place is called. */
export type AcceptsIdentity = (signed: string, asked: Reference) => boolean;

/** By the word in `type`, with the members that it needs besides. */
const kinds: Readonly<Record<string, readonly string[]>> = {
  matchExact: [],
  matchRepoDigestOrExact: [],
  matchRepository: [],
  exactReference: ['dockerReference'],
  exactRepository: ['dockerRepository'],
  remapIdentity: ['prefix', 'signedPrefix'],
};

/** @throws what `fail` makes of a reason */
export function readIdentity(value: JsonObject, fail: (why: string) => Error): AcceptsIdentity {
  const type = value.get('type');
  const names = typeof type === 'string' ? kinds[type] : undefined;
  if (names === undefined) throw fail(`signedIdentity has the type ${JSON.stringify(type ?? null)}, which is unknown`);
  const unknown = [...value.keys()].find((name) => name !== 'type' && !names.includes(name));
  if (unknown !== undefined) throw fail(`signedIdentity has ${unknown}, which is unknown there`);
  const [first = '', second = ''] = names.map((name): string => {
    const text: Json | undefined = value.get(name);
    if (typeof text !== 'string' || text === '') throw fail(`signedIdentity has no ${name}`);
    return text;
  });
  const wrong = mistakeIn(type, first, second);
  if (wrong !== undefined) throw fail(`signedIdentity has ${wrong}`);
  switch (type) {
    case 'matchRepository':
      return (signed, asked) => isSameRepository(parsed(signed), asked);
    case 'exactRepository':
      return (signed) => isSameRepository(parsed(signed), parsed(first));
    case 'exactReference':
      return (signed) => isSame(parsed(signed), parsed(first));
    case 'remapIdentity':
      return (signed, asked) => {
        const remapped = remap(asked, first, second);
        return remapped !== undefined && isSameOrOfDigest(signed, remapped);
      };
    case 'matchExact':
      return (signed, asked) => isSame(parsed(signed), asked);
    default:
      return isSameOrOfDigest;
  }
}

/** Where a policy says nothing: the very name, or for one by digest the same repository with any tag. */
export const isSameOrOfDigest: AcceptsIdentity = (signed, asked) => {
  const name = parsed(signed);
  return asked.digest === undefined ? isSame(name, asked) : isWhole(name) && isSameRepository(name, asked);
};

function isSame(signed: Reference | undefined, wanted: Reference | undefined): boolean {
  return isWhole(signed) && isWhole(wanted) && formatCommonName(signed) === formatCommonName(wanted);
}

/** A repository alone names no image. */
function isWhole(name: Reference | undefined): name is Reference {
  return name !== undefined && (name.tag ?? name.digest) !== undefined;
}

function isSameRepository(signed: Reference | undefined, wanted: Reference | undefined): boolean {
  return signed !== undefined && signed.registry === wanted?.registry && signed.repository === wanted.repository;
}

function remap(asked: Reference, prefix: string, signedPrefix: string): Reference | undefined {
  const { registry, repository, ...rest } = asked;
  const name = formatCommonName({ registry, repository });
  if (name !== prefix && !name.startsWith(`${prefix}/`)) return asked;
  const named = parsed(`${signedPrefix}${name.slice(prefix.length)}`);
  return named === undefined ? undefined : { ...rest, registry: named.registry, repository: named.repository };
}

/** What could match no name at all; undefined where it may. */
function mistakeIn(type: Json | undefined, first: string, second: string): string | undefined {
  if (type === 'exactReference' && !isWhole(parsed(first)))
    return `the dockerReference ${JSON.stringify(first)}, which is no name with a tag`;
  if (type === 'exactRepository' && parsed(first) === undefined) return `the dockerRepository ${JSON.stringify(first)}, which is no name`;
  if (type !== 'remapIdentity') return undefined;
  const isPrefix = (text: string): boolean => {
    const below = parsed(`${text}/x/x`);
    return below !== undefined && formatCommonName(below) === `${text}/x/x`;
  };
  const wrong = [first, second].find((text) => !isPrefix(text));
  return wrong === undefined ? undefined : `the prefix ${JSON.stringify(wrong)}, which is no host with what may follow`;
}

function parsed(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof BuilderError) return undefined;
    throw error;
  }
}
