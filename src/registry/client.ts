// The registry client as the builder sees it: pull, push, probe, download. Amber: the contract suite watches it.
import { RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import type { Digest } from '../oci/digest.ts';
import type { GrowingLayer, Layer } from '../oci/image.ts';
import type { Platform } from '../oci/platform.ts';
import { type Reference, formatReference } from '../oci/reference.ts';
import type { ImageSink, ImageSource } from '../oci/source-and-sink.ts';
import type { StoredImage } from '../oci/stored-image.ts';
import type { Credentials } from './credentials.ts';
import { type Download, fetchFile } from './download.ts';
import { towards } from './destination-error.ts';
import { type Answer, type Question, exchange } from './exchange.ts';
import { createLimit } from './limit.ts';
import { mirrorOf } from './mirror.ts';
import { exchangeNotes } from './notes.ts';
import type { RegistriesConf } from './registries-conf.ts';
import { type Candidate, type PulledImage, fromFirst, pullFrom } from './pull.ts';
import type { PushContext, PushOptions, PushedImage } from './push-blob.ts';
import { pushAhead, pushGrowing } from './push-ahead.ts';
import { probePush, pushTo, repositorySink } from './push.ts';
import { Repository } from './repository.ts';
import { JointWork } from './joint-work.ts';
import { checkLogin } from './login.ts';
import { deleteImage, listTags } from './tags.ts';
import { type Transport, type TransportOptions, createTransport } from './transport.ts';

/** Where else to look for the images of a registry. */
interface MirrorRules {
  /** By registry: `host[/prefix]`, tried in order before the registry itself. */
  readonly mirrors: ReadonlyMap<string, readonly string[]>;
  /** The registry itself is not asked where it has mirrors. */
  readonly onlyMirrors?: boolean;
}

export interface RegistryClientOptions extends Omit<TransportOptions, 'onExchange' | 'onRetry'> {
  readonly credentials: Credentials;
  readonly emit: Emit;
  readonly mirrors?: MirrorRules;
  /** Where else images are by registries.conf; the mirrors above are asked first. */
  readonly conf?: RegistriesConf;
  /** Blobs that are sent at once; 4 where left out. */
  readonly parallel?: number;
  /** What is larger is sent in chunks of so many bytes; left out: whole, and in chunks where that is not taken. */
  readonly chunkBytes?: number;
}

export interface RegistryClient {
  /** @throws RegistryError with status 404 when there is no such image. */
  readonly pullImage: (reference: Reference, platform: Platform, signal: AbortSignal) => Promise<PulledImage>;
  /** Like `pullImage`, but undefined when there is no such image: for caches, which nobody waits for where they refuse connections. */
  readonly findImage: (reference: Reference, platform: Platform, signal: AbortSignal) => Promise<PulledImage | undefined>;
  /** The digest that a name points to now, undefined when there is none. Asks the registry itself, not its mirrors. */
  readonly resolve: (reference: Reference, signal: AbortSignal) => Promise<Digest | undefined>;
  /** Pushes the manifest and the config as they are, byte for byte. */
  readonly pushImage: (
    image: StoredImage,
    destinations: readonly Reference[],
    options: PushOptions,
    signal: AbortSignal,
  ) => Promise<readonly PushedImage[]>;
  /** Sends a layer ahead of its image, while other things go on; `pushImage` won't send it again. */
  readonly pushLayer: (layer: Layer, destinations: readonly Reference[], signal: AbortSignal) => Promise<void>;
  /** The same of a layer that is still being written; nothing is lost where a registry doesn't take it like that. */
  readonly pushGrowing: (growing: GrowingLayer, destinations: readonly Reference[], signal: AbortSignal) => Promise<void>;
  /** What a name stands for, to be copied. @throws RegistryError with status 404 when there is no such image. */
  readonly openSource: (reference: Reference, signal: AbortSignal) => Promise<ImageSource>;
  /** The same of the registry itself, whatever mirrors there are; undefined where there is none. */
  readonly findOwn: (reference: Reference, signal: AbortSignal) => Promise<ImageSource | undefined>;
  /** Where a copy may go: one or more names in one repository. */
  readonly openSink: (names: readonly Reference[], options: PushOptions) => ImageSink;
  /** The tags of a repository, in the registry's order. @throws RegistryError when there is no such repository */
  readonly listTags: (reference: Reference, signal: AbortSignal) => Promise<readonly string[]>;
  /** Deletes what a name stands for, and with it every tag that stands for the same. @throws RegistryError when there is no such image */
  readonly deleteImage: (reference: Reference, signal: AbortSignal) => Promise<Digest>;
  /** Asks whether a registry knows us. @throws ERR_AUTH where it does not, RegistryError where it does not answer */
  readonly checkLogin: (registry: string, signal: AbortSignal) => Promise<void>;
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

/** The connections of a client, or of several that talk to hosts in the same way. */
export function createConnections(options: RegistryClientOptions): Transport {
  const { emit } = options;
  return createTransport({
    ...options,
    onExchange: exchangeNotes(emit),
    onRetry: (message) => emit({ kind: 'note', level: 'info', message }),
  });
}

/** A client, by default with its own connections; close it when done. */
export function createRegistryClient(options: RegistryClientOptions, transport = createConnections(options)): RegistryClient {
  const { emit, parallel = 4, chunkBytes } = options;
  const open = createOpener(transport, options);
  const push: PushContext = {
    open,
    uploads: new JointWork(),
    limit: createLimit(parallel),
    emit,
    ...given({ chunkBytes }),
  };
  const helping: PushContext = { ...push, open: async (at, signal) => await open(at, signal, true) };
  const find = async <Value>(
    reference: Reference,
    { use, isHelp = false }: { readonly use: (source: ImageSource) => Promise<Value>; readonly isHelp?: boolean },
    signal: AbortSignal,
  ): Promise<Value | undefined> =>
    await fromFirst(candidatesFor(placesOf(reference, options), open, isHelp), { reference, emit, use }, signal);
  const pullAs =
    (isHelp: boolean): RegistryClient['findImage'] =>
    async (reference, platform, signal) => {
      const use = async (source: ImageSource): Promise<PulledImage> => await pullFrom(source, { reference, platform, emit }, signal);
      return await find(reference, { use, isHelp }, signal);
    };
  const pull = pullAs(false);
  return {
    findImage: pullAs(true),
    pullImage: async (reference, platform, signal) =>
      (await pull(reference, platform, signal)) ?? missing(reference, placesOf(reference, options)),
    openSource: async (reference, signal) =>
      (await find(reference, { use: async (source) => source }, signal)) ?? missing(reference, placesOf(reference, options)),
    findOwn: async (reference, signal) => {
      const itself = candidatesFor([{ ...reference, name: reference.registry }], open, false);
      return await fromFirst(itself, { reference, emit, use: async (source) => source }, signal);
    },
    openSink: (names, pushOptions) => {
      const onNamed = (reference: Reference, digest: Digest): void => pushOptions.onPushed?.({ reference, digest });
      return repositorySink(push, { names, onNamed }, pushOptions);
    },
    listTags: async (reference, signal) => await listTags(await open(reference, signal), signal),
    deleteImage: async (reference, signal) => await deleteImage(await open(reference, signal), targetOf(reference), signal),
    resolve: async (reference, signal) =>
      await (await open(options.conf?.places(reference).at(-1) ?? reference, signal)).resolve(targetOf(reference), signal),
    pushImage: async (image, destinations, pushOptions, signal) =>
      await towards(
        destinations,
        async () => await pushTo(pushOptions.isHelp === true ? helping : push, image, destinations, pushOptions, signal),
      ),
    pushLayer: async (layer, destinations, signal) => await pushAhead(push, layer, destinations, signal),
    pushGrowing: async (growing, destinations, signal) => await pushGrowing(push, growing, destinations, signal),
    checkPush: async (reference, signal) => {
      await towards([reference], async () => await probePush(await open(reference, signal), signal));
    },
    checkLogin: async (registry, signal) => await checkLogin(registry, { transport, credentials: options.credentials }, signal),
    download: async (url, { headers = {}, signal }) => await fetchFile(transport, url, headers, signal),
    exchange: async (question, signal) => await exchange(transport, question, signal),
    close: transport.close,
  };
}

type Opener = (at: Pick<Reference, 'registry' | 'repository'>, signal: AbortSignal, isElsewhere?: boolean) => Promise<Repository>;

/** One Repository for each name, so that tokens are shared. */
function createOpener(transport: Transport, { credentials, conf }: Pick<RegistryClientOptions, 'credentials' | 'conf'>): Opener {
  const opened = new Map<string, Repository>();
  return async (at, signal, isElsewhere = false) => {
    const reference = { registry: at.registry, repository: at.repository };
    const key = `${reference.registry}/${reference.repository}${isElsewhere ? ' elsewhere' : ''}`;
    const known = opened.get(key);
    if (known !== undefined) return known;
    conf?.refuseBlocked(reference);
    const retry = { ...transport.retry, isElsewhere };
    const base = await transport.baseUrl(reference.registry, signal, retry);
    return opened.getOrInsertComputed(key, () => new Repository({ reference, base, transport, credentials, retry }));
  };
}

function targetOf({ digest, tag }: Reference): string {
  return digest ?? tag ?? 'latest';
}

function missing(reference: Reference, asked: readonly Place[]): never {
  const name = formatReference(reference);
  const where = asked.length === 1 ? '' : ` in ${asked.map(({ name: each }) => each).join(', nor in ')}`;
  throw new RegistryError(
    `Cannot pull ${name}: there is no such image${where}`,
    { method: 'GET', url: name, status: 404, errors: [{ code: 'MANIFEST_UNKNOWN', message: 'there is no such image' }] },
    { hint: 'check the name and the tag' },
  );
}

interface Place extends Pick<Reference, 'registry' | 'repository'> {
  /** As it was written. */
  readonly name: string;
}

/** Mirrors first. */
function placesOf(reference: Reference, { mirrors: rules, conf }: Pick<RegistryClientOptions, 'mirrors' | 'conf'>): readonly Place[] {
  const named = (rules?.mirrors.get(reference.registry) ?? []).map((text) => ({ ...mirrorOf(reference, text), name: text }));
  const others = conf?.places(reference) ?? [{ registry: reference.registry, repository: reference.repository }];
  const all = [...named, ...others.map((at) => ({ ...at, name: at.registry }))];
  return rules?.onlyMirrors === true && all.length > 1 ? all.slice(0, -1) : all;
}

/** One that refuses connections is not waited for where there is another candidate, or the image is but a help. */
function candidatesFor(places: readonly Place[], open: Opener, isHelp: boolean): readonly Candidate[] {
  return places.map((at, position) => ({ ...at, open: async (signal) => await open(at, signal, isHelp || position + 1 < places.length) }));
}
