// A request whose places outside the image are named as they are without the container's own links: see `files/real-place.ts`.
import type { BuildRequest, CacheRequest, NamedContextSpec } from '../build/request.ts';
import { realFolder, realPlace } from '../files/real-place.ts';
import type { CachePlace } from '../outputs/entry-place.ts';
import { type OutputRequest, isUrl, outputPlaces } from '../outputs/output-request.ts';

/** What is read or written once the root is an image's; the rest of a request is read before that. */
export function withRealPlaces(request: BuildRequest): BuildRequest {
  const { baseFolder, cache, store } = request;
  return {
    ...request,
    builderFolder: realFolder(request.builderFolder),
    ssh: new Map([...request.ssh].map(([id, path]) => [id, realPlace(path)])),
    ...(baseFolder === undefined ? {} : { baseFolder: { ...baseFolder, path: realPlace(baseFolder.path) } }),
    ...(cache === undefined ? {} : { cache: realCache(cache) }),
    ...(store === undefined ? {} : { store: { ...store, folder: realPlace(store.folder) } }),
    namedContexts: request.namedContexts.map(realContext),
    output: realOutput(request.output),
  };
}

// Of named contexts those that are images: a folder's is found when it is opened.
function realContext({ name, place }: NamedContextSpec): NamedContextSpec {
  const [, layout] = /^oci-layout:\/\/(\/.*)$/s.exec(place) ?? [];
  return { name, place: layout === undefined ? place : `oci-layout://${realPlace(layout)}` };
}

function realCache(cache: CacheRequest): CacheRequest {
  const real = (place: CachePlace): CachePlace => (place.kind === 'layout' ? { ...place, folder: realPlace(place.folder) } : place);
  return { ...cache, from: cache.from.map(real), ...(cache.to === undefined ? {} : { to: real(cache.to) }) };
}

function realOutput(output: OutputRequest): OutputRequest {
  const places = outputPlaces.flatMap((name) => {
    const place = output[name];
    return place === undefined || isUrl(place) ? [] : [[name, realPlace(place)] as const];
  });
  const exports = output.exports.map((each) => ({ ...each, path: realPlace(each.path) }));
  const store = output.store === undefined ? {} : { store: { ...output.store, folder: realPlace(output.store.folder) } };
  return { ...output, ...Object.fromEntries(places), exports, ...store };
}
