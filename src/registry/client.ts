// The registry client as the builder sees it: pull, push, probe, download. Amber: the contract suite watches it.
import { RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Digest } from '../oci/digest.ts';
import type { Image, Layer } from '../oci/image.ts';
import type { Platform } from '../oci/platform.ts';
import { type Reference, formatReference, parseReference } from '../oci/reference.ts';
import type { Credentials } from './credentials.ts';
import { type Download, fetchFile } from './download.ts';
import { type Answer, type Question, exchange } from './exchange.ts';
import { createLimit } from './limit.ts';
import { type Place, type PulledImage, pullFrom } from './pull.ts';
import { type PushContext, type PushOptions, type PushedImage, probePush, pushAhead, pushTo } from './push.ts';
import { Repository } from './repository.ts';
import { type Transport, type TransportOptions, createTransport } from './transport.ts';

/** Where else to look for the images of a registry. */
export interface MirrorRules {
  /** By registry: `host[/prefix]`, tried in order before the registry itself. */
  readonly mirrors: ReadonlyMap<string, readonly string[]>;
  /** The registry itself is not asked where it has mirrors. */
  readonly onlyMirrors?: boolean;
}

export interface RegistryClientOptions extends Omit<TransportOptions, 'onWarning'> {
  readonly credentials: Credentials;
  readonly emit: Emit;
  readonly mirrors?: MirrorRules;
  /** Blobs that are sent at once; 4 where left out. */
  readonly parallel?: number;
}

export interface RegistryClient {
  /** @throws RegistryError with status 404 when there is no such image. */
  readonly pullImage: (reference: Reference, platform: Platform, signal: AbortSignal) => Promise<PulledImage>;
  /** Like `pullImage`, but undefined when there is no such image: for caches. */
  readonly findImage: (reference: Reference, platform: Platform, signal: AbortSignal) => Promise<PulledImage | undefined>;
  /** The digest that a name points to now, undefined when there is none. Asks the registry itself, not its mirrors. */
  readonly resolve: (reference: Reference, signal: AbortSignal) => Promise<Digest | undefined>;
  readonly pushImage: (
    image: Image,
    destinations: readonly Reference[],
    options: PushOptions,
    signal: AbortSignal,
  ) => Promise<readonly PushedImage[]>;
  /** Sends a layer ahead of its image, while other things go on; `pushImage` won't send it again. */
  readonly pushLayer: (layer: Layer, destinations: readonly Reference[], signal: AbortSignal) => Promise<void>;
  /** @throws RegistryError when we may not push there. */
  readonly checkPush: (reference: Reference, signal: AbortSignal) => Promise<void>;
  /** A file from the web, for ADD. */
  readonly download: (
    url: URL,
    options: { readonly headers?: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  ) => Promise<Download>;
  /** Any request, for git over HTTP. */
  readonly exchange: (question: Question, signal: AbortSignal) => Promise<Answer>;
  readonly close: () => Promise<void>;
}

/** A client with its own connections; close it when done. */
export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { emit, parallel = 4 } = options;
  const transport = createTransport({ ...options, onWarning: warnOnce(emit) });
  const open = createOpener(transport, options.credentials);
  const push: PushContext = { open, uploads: new Map(), limit: createLimit(parallel), emit };
  const findImage: RegistryClient['findImage'] = async (reference, platform, signal) =>
    await pullFrom(await placesOf(reference, options, open, signal), reference, platform, emit, signal);
  return {
    findImage,
    pullImage: async (reference, platform, signal) => {
      const found = await findImage(reference, platform, signal);
      if (found !== undefined) return found;
      const name = formatReference(reference);
      throw new RegistryError(
        `Cannot pull ${name}: there is no such image`,
        { method: 'GET', url: name, status: 404 },
        { hint: 'check the name and the tag' },
      );
    },
    resolve: async (reference, signal) =>
      await (await open(reference, signal)).resolve(reference.digest ?? reference.tag ?? 'latest', signal),
    pushImage: async (image, destinations, pushOptions, signal) => await pushTo(push, image, destinations, pushOptions, signal),
    pushLayer: async (layer, destinations, signal) => await pushAhead(push, layer, destinations, signal),
    checkPush: async (reference, signal) => {
      await probePush(await open(reference, signal), signal);
    },
    download: async (url, { headers = {}, signal }) => await fetchFile(transport, url, headers, signal),
    exchange: async (question, signal) => await exchange(transport, question, signal),
    close: transport.close,
  };
}

/** One Repository for each name, so that tokens are shared. */
function createOpener(transport: Transport, credentials: Credentials): PushContext['open'] {
  const opened = new Map<string, Repository>();
  return async (reference, signal) => {
    const key = `${reference.registry}/${reference.repository}`;
    const known = opened.get(key);
    if (known !== undefined) return known;
    const base = await transport.baseUrl(reference.registry, signal);
    const made = opened.get(key) ?? new Repository({ reference, base, transport, credentials });
    opened.set(key, made);
    return made;
  };
}

async function placesOf(
  reference: Reference,
  options: Pick<RegistryClientOptions, 'mirrors' | 'emit'>,
  open: PushContext['open'],
  signal: AbortSignal,
): Promise<readonly Place[]> {
  const mirrors = options.mirrors?.mirrors.get(reference.registry) ?? [];
  const places: Place[] = [];
  const failures: RegistryError[] = [];
  for (const mirror of mirrors) {
    const at = parseReference(`${mirror.replace(/\/+$/, '')}/${reference.repository}`);
    try {
      places.push({ repository: await open(at, signal), isMirror: true });
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      failures.push(error);
      options.emit({ kind: 'warning', code: 'mirror', message: `${error.message}; trying the next place` });
    }
  }
  if (mirrors.length === 0 || options.mirrors?.onlyMirrors !== true)
    places.push({ repository: await open(reference, signal), isMirror: false });
  const [failure] = failures;
  if (places.length === 0 && failure !== undefined) throw failure;
  return places;
}

/** distribution-spec, Warnings: told once, never acted upon. */
function warnOnce(emit: Emit): (host: string, text: string) => void {
  const seen = new Set<string>();
  return (host, text) => {
    const quoted = /^299 - "(.*)"/s.exec(text.slice(0, 4096))?.[1];
    if (quoted === undefined) return;
    const message = `${host} says: ${quoted.replace(/\\(.)/gs, '$1').replace(/\p{Cc}+/gu, ' ')}`;
    if (seen.has(message) || seen.size > 100) return;
    seen.add(message);
    emit({ kind: 'warning', code: 'registry', message });
  };
}
