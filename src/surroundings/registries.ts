// The registry clients of a build: one that pulls and one that pushes, because their rules differ (`--insecure-pull`).
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { isMissing, orElse, systemCode, systemReason } from '../errors.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import { type Clouds, openClouds } from '../cloud/clouds.ts';
import { type RegistryClient, createConnections, createRegistryClient } from '../registry/client.ts';
import { type CredentialOptions, type Credentials, loadCredentials } from '../registry/credentials.ts';
import type { HostRules } from '../registry/http-client.ts';
import { exchangeNotes } from '../registry/notes.ts';
import { type Names, loadNames } from '../registry/names.ts';
import { proxiesFrom } from '../registry/proxy.ts';
import type { RegistriesConf } from '../registry/registries-conf.ts';
import type { HostSettings, RegistryRequest } from '../build/request.ts';
import type { AttachmentRules } from '../trust/attachment-rules.ts';
import type { Policy } from '../trust/policy.ts';
import { readContainersConf } from './containers-conf.ts';
import { readAuthorities, readClientCertificate } from './pem-files.ts';

export interface RegistrySurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly names: Names;
  readonly credentials: Credentials;
  readonly conf?: RegistriesConf;
  readonly emit: Emit;
}

/** The two clients, with what they were made of. */
export interface RegistryAccess extends AsyncDisposable {
  readonly clients: { readonly pull: RegistryClient; readonly push: RegistryClient };
  readonly names: Names;
  readonly credentials: Credentials;
  readonly clouds: Clouds;
  readonly conf: RegistriesConf;
  readonly policy: Policy;
  readonly rules: AttachmentRules;
}

/** What a command needs to speak to registries; `folders` may hold a config.json. @throws ERR_USAGE for a file that can't be read */
export async function accessRegistries(
  request: RegistryRequest,
  { env, folders, emit }: Around & Pick<CredentialOptions, 'folders'>,
): Promise<RegistryAccess> {
  const basis = await openBasis(request, { env, emit }, async (common) => {
    return await loadCredentials({ ...common, env, ...given({ folders, builtIn: request.credentialHelpers }) });
  });
  const clients = openRegistries(request, { ...basis, env, emit });
  const close = async (): Promise<void> => {
    await clients.pull.close();
    await clients.push.close();
    await basis.clouds.close();
  };
  return { ...basis, clients, [Symbol.asyncDispose]: close };
}

type Around = Pick<RegistrySurroundings, 'env' | 'emit'>;

/** What every client of registries is made with; `load` reads the credentials. @throws ERR_USAGE for a file that can't be read */
export async function openBasis(
  request: HostSettings & Pick<RegistryRequest, 'userAgent'>,
  { env, emit }: Around,
  load: (common: Pick<CredentialOptions, 'native' | 'onWarning' | 'onFound'>) => Promise<Credentials>,
): Promise<Omit<RegistryAccess, 'clients' | keyof AsyncDisposable>> {
  trustCertificates(env, emit);
  const { registries: conf, policy, rules } = readContainersConf(env, emit);
  const names = await loadNames();
  const onWarning = (message: string): void => emit({ kind: 'warning', code: `credentials ${message}`, message });
  const onFound = (message: string): void => emit({ kind: 'note', level: 'debug', message });
  const clouds = openClouds({
    env,
    names,
    // What loosens the rules for registries in general is not meant for who gets our keys.
    hostRules: readHostRules(request)(false, false),
    proxies: proxiesFrom(env),
    userAgent: request.userAgent,
    onRetry: (message) => emit({ kind: 'note', level: 'info', message }),
    onExchange: exchangeNotes(emit),
    onWarning,
  });
  return { names, clouds, conf, policy, rules, credentials: await load({ native: clouds.helpers, onWarning, onFound }) };
}

/** Both clients; certificates are read now, before the root belongs to an image. @throws ERR_USAGE for a file that can't be read */
export function openRegistries(
  request: RegistryRequest,
  around: RegistrySurroundings,
): { readonly pull: RegistryClient; readonly push: RegistryClient } {
  const { names, credentials, conf, emit } = around;
  const read = readHostRules(request, conf);
  const rules = (insecure: boolean, skipTlsVerify: boolean): ((host: string) => HostRules) => {
    const [strict, lenient] = [read(insecure, skipTlsVerify), read(true, skipTlsVerify)];
    return (host) => (isLocalRegistry(host) ? lenient(host) : strict(host));
  };
  const { userAgent, chunkBytes } = request;
  const common = {
    names,
    credentials,
    emit,
    userAgent,
    proxies: proxiesFrom(around.env),
    authorities: authoritiesOf(around.env),
    ...given({ chunkBytes, conf }),
  };
  const pull = {
    ...common,
    hostRules: rules(request.insecurePull, request.skipTlsVerifyPull),
    mirrors: { mirrors: request.mirrors, onlyMirrors: request.onlyMirrors },
  };
  const push = { ...common, hostRules: rules(request.insecurePush, request.skipTlsVerifyPush) };
  const isAlike = request.insecurePull === request.insecurePush && request.skipTlsVerifyPull === request.skipTlsVerifyPush;
  // One set-up of a connection, and one look for TLS, where both may do the same.
  const connections = createConnections(pull);
  return {
    pull: createRegistryClient(pull, connections),
    push: createRegistryClient(push, isAlike ? connections : createConnections(push)),
  };
}

/**
 * Where kaniko speaks HTTP unasked if there is no TLS: services of a cluster (`registry.ci.svc.cluster.local`) and addresses of
 * private networks. Who has TLS is never spoken to without.
 */
export function isLocalRegistry(host: string): boolean {
  return /\.local(?:host)?(?::\d+)?$/i.test(host) || /^(?:10\.\d+|172\.(?:1[6-9]|2\d|3[01])|192\.168)(?:\.\d+){2}(?::\d+)?$/.test(host);
}

/** How each host is talked to, for clients that are told these two things. @throws ERR_USAGE for a file that can't be used */
export function readHostRules(
  request: HostSettings,
  conf?: RegistriesConf,
): (insecure: boolean, skipTlsVerify: boolean) => (host: string) => HostRules {
  const own = new Map([...request.certificates].map(([host, path]) => [host, [readAuthorities(path)]]));
  const clients = new Map([...request.clientCertificates].map(([host, files]) => [host, readClientCertificate(files)]));
  return (insecure, skipTlsVerify) => (host) => {
    const certificates = own.get(host);
    const clientCertificate = clients.get(host);
    const isInsecure = conf?.isInsecure(host) === true;
    return {
      insecure: insecure || isInsecure || request.insecureRegistries.has(host),
      skipTlsVerify: skipTlsVerify || isInsecure || request.skipTlsVerifyRegistries.has(host),
      ...given({ certificates, clientCertificate }),
    };
  };
}

/**
 * Trusts the certificates of SSL_CERT_DIR and SSL_CERT_FILE besides Node's own: pipelines append theirs to files there, or
 * mount a folder over it.
 */
export function trustCertificates(env: Readonly<Record<string, string | undefined>>, emit: Emit): void {
  const files = [
    ...(env['SSL_CERT_DIR'] ?? '').split(':').flatMap((folder) => listFolder(folder, emit)),
    ...[env['SSL_CERT_FILE'] ?? ''].filter((file) => file !== ''),
  ];
  const found = new Set<string>();
  for (const file of files) {
    try {
      for (const [pem] of readFileSync(file, 'utf8').matchAll(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g))
        found.add(pem);
    } catch (error) {
      // A folder or a dangling link among the certificates is usual (ConfigMap volumes); what is unreadable is told.
      if (file !== env['SSL_CERT_FILE'] && ['EISDIR', 'ENOENT'].includes(systemCode(error) ?? '')) continue;
      tellUnreadable(file, error, emit);
    }
  }
  // Of NODE_EXTRA_CA_CERTS, which Node would read with the first connection.
  getCACertificates('extra');
  const bundled = new Set(getCACertificates('bundled').map((pem) => pem.trim()));
  // The image's own file has none but those, and to read them again takes 10 ms.
  if (!found.isSubsetOf(bundled)) setDefaultCACertificates([...bundled.union(found)]);
}

/** Where `trustCertificates` looks. */
function authoritiesOf(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const places = ['SSL_CERT_DIR', 'SSL_CERT_FILE'].flatMap((name) => (env[name] ? [`${env[name]} (${name})`] : []));
  return places.length === 0 ? undefined : `${places.join(' or ')}, where authorities are looked for`;
}

function listFolder(folder: string, emit: Emit): readonly string[] {
  if (folder === '') return [];
  return orElse(
    () => readdirSync(folder).map((name) => join(folder, name)),
    (error) => {
      if (!isMissing(error)) tellUnreadable(folder, error, emit);
      return [];
    },
  );
}

function tellUnreadable(place: string, error: unknown, emit: Emit): void {
  const message = `Cannot read the certificates of ${place}: ${systemReason(error)}`;
  emit({ kind: 'warning', code: `certificate ${place}`, message });
}
