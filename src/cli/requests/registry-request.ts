// The registry flags → RegistryRequest.
import { resolve } from 'node:path';
import type { HostSettings, RegistryRequest } from '../../build/request.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import { dockerHub, isHost, parseReference } from '../../oci/reference.ts';
import { type BuiltInHelper, builtInHelpers } from '../../registry/credentials.ts';
import { normalizeKey } from '../../registry/docker-config.ts';
import { checkMirror } from '../../registry/mirror.ts';
import { parseBytes } from '../../report/units.ts';
import { pushedNames } from './output-request.ts';
import type { Environment, Settings } from '../settings.ts';
import { version } from '../version.ts';

/** Smaller chunks are a round trip for next to nothing. */
const leastChunkBytes = 64 * 1024;

/** @throws ERR_USAGE for a malformed item */
export function makeRegistryRequest(settings: Settings, env: Environment, workingDirectory: string): RegistryRequest {
  const suffix = env['UPSTREAM_CLIENT_TYPE'];
  const mirrors = new Map<string, readonly string[]>();
  const hub = settings.list('registry-mirror');
  if (hub.length > 0) mirrors.set(dockerHub, hub);
  for (const item of settings
    .list('registry-map')
    .flatMap((value) => value.split(';'))
    .filter((value) => value !== '')) {
    const [host = '', mirror = ''] = item.split('=', 2);
    if (host === '' || mirror === '') throw new BuilderError('ERR_USAGE', `Cannot use --registry-map ${item}: expected HOST=MIRROR`);
    const registry = hostOf('registry-map', host);
    if (/[^/]\/+(?!v[12]\/?$)[^/]/.test(host))
      throw new BuilderError(
        'ERR_USAGE',
        `Cannot use --registry-map ${item}: ${host} is a part of a registry, and whole ones have mirrors`,
      );
    mirrors.set(registry, [...new Set([...(mirrors.get(registry) ?? []), mirror])]);
  }
  for (const mirror of [...mirrors.values()].flat()) checkMirror(mirror);
  const hosts = hostSettingsOf(settings, workingDirectory);
  const isLenient = !settings.boolean('tls-verify', true);
  return {
    insecurePush: isLenient || settings.boolean('insecure'),
    insecurePull: isLenient || settings.boolean('insecure-pull'),
    skipTlsVerifyPush: isLenient || settings.boolean('skip-tls-verify'),
    skipTlsVerifyPull: isLenient || settings.boolean('skip-tls-verify-pull'),
    ...hosts,
    skipTlsVerifyRegistries: settings.boolean('skip-tls-verify')
      ? hosts.skipTlsVerifyRegistries.union(new Set(registriesPushedTo(settings)))
      : hosts.skipTlsVerifyRegistries,
    mirrors,
    onlyMirrors: settings.boolean('skip-default-registry-fallback'),
    ...(settings.has('credential-helpers') ? { credentialHelpers: credentialHelpers(settings) } : {}),
    ...given({ chunkBytes: chunkBytesOf(settings) }),
    userAgent: `yadokari/${version}${suffix === undefined || suffix === '' ? '' : ` (${suffix.replace(/[^\x20-\x7e]|[()]/g, '')})`}`,
  };
}

/** kaniko's --skip-tls-verify holds for pulling, too: a base comes from where the image goes more often than not. */
function registriesPushedTo(settings: Settings): readonly string[] {
  const names = [...pushedNames(settings), ...settings.list('cache-repo').filter((place) => !place.startsWith('oci:'))];
  return names.map((name) => parseReference(name).registry);
}

/** What is larger is sent in chunks of so many bytes; undefined where nothing is said of it. @throws ERR_USAGE */
export function chunkBytesOf(settings: Settings): number | undefined {
  const text = settings.text('chunk-size');
  if (text === undefined) return undefined;
  const bytes = parseBytes(text);
  if (bytes !== undefined && bytes >= leastChunkBytes) return bytes;
  throw new BuilderError('ERR_USAGE', `Cannot use --chunk-size=${text}: expected a size such as 20MB or 50MiB, and 64 KiB at least`);
}

/** What is said of single registries. @throws ERR_USAGE for a malformed item */
export function hostSettingsOf(settings: Settings, workingDirectory: string): HostSettings {
  const path = (file: string): string => resolve(workingDirectory, file);
  const clientCertificates = new Map<string, { readonly certificate: string; readonly key: string }>();
  for (const [host, files] of settings.pairs('registry-client-cert')) {
    const [certificate = '', key = ''] = files.split(',');
    if (certificate === '' || key === '') {
      throw new BuilderError('ERR_USAGE', `Cannot use --registry-client-cert ${host}=${files}: expected HOST=CERTIFICATE,KEY`);
    }
    clientCertificates.set(hostOf('registry-client-cert', host), { certificate: path(certificate), key: path(key) });
  }
  // No host has a comma, so that is what is meant.
  const hosts = (flag: string): ReadonlySet<string> =>
    new Set(settings.list(flag).flatMap((text) => text.split(',').flatMap((item) => (item === '' ? [] : [hostOf(flag, item)]))));
  return {
    insecureRegistries: hosts('insecure-registry'),
    skipTlsVerifyRegistries: hosts('skip-tls-verify-registry'),
    certificates: new Map(
      [...settings.pairs('registry-certificate')].map(([host, file]) => [
        hostOf('registry-certificate', host),
        path(certificateFile(host, file)),
      ]),
    ),
    clientCertificates,
  };
}

/** `HOST[:PORT]`, also of what is written as a URL; Docker Hub by any of its names. @throws ERR_USAGE for what is no host */
function hostOf(flag: string, text: string): string {
  const host = text.replace(/^https?:\/\//i, '').replace(/\/.*$/, '');
  if (isHost(host)) return normalizeKey(host) === dockerHub ? dockerHub : host;
  throw new BuilderError('ERR_USAGE', `Cannot use --${flag} ${text.replace(/^.*@/s, '…@')}: expected HOST[:PORT]`);
}

function certificateFile(host: string, file: string): string {
  if (file === '') throw new BuilderError('ERR_USAGE', `Cannot use --registry-certificate ${host}=: expected HOST=FILE`);
  return file;
}

/** An empty list switches all of them off. */
function credentialHelpers(settings: Settings): ReadonlySet<BuiltInHelper> {
  return new Set(
    settings.list('credential-helpers').map((name) => {
      const known = builtInHelpers.find((each) => each === name);
      if (known !== undefined) return known;
      throw new BuilderError('ERR_USAGE', `Cannot use --credential-helpers=${name}: there is no such helper`, {
        hint: `${builtInHelpers.join(', ')} are built in; others are programs that config.json names in credHelpers`,
      });
    }),
  );
}
