// Flags of commands that move images → how each side is reached, and what is copied.
import { resolve } from 'node:path';
import { makeNamedFolder } from '../../folders.ts';
import { BuilderError } from '../../errors.ts';
import { given } from '../../given.ts';
import type { Emit } from '../../events.ts';
import { type Platform, hostPlatform, normalizePlatform, parsePlatform } from '../../oci/platform.ts';
import { type RegistrySide, openRegistrySide } from '../../surroundings/registry-side.ts';
import { attachmentsVariable, policyVariable } from '../../surroundings/containers-conf.ts';
import type { CopyOptions } from '../../transports/copy.ts';
import { type EngineAddress, usualEngine } from '../../transports/docker-engine.ts';
import type { Selection } from '../../transports/select.ts';
import type { Means } from '../../transports/transport.ts';
import { compressionLevel } from './compression-level.ts';
import { chunkBytesOf, hostSettingsOf } from './registry-request.ts';
import { signerOf } from './signing-request.ts';
import type { Environment, Settings } from '../settings.ts';
import { compressFormats, imageFormats } from '../tables/transports.ts';
import { version } from '../version.ts';

export type SidePrefix = '' | 'src-' | 'dest-';

/** One side's registries, opened. @throws ERR_USAGE, ERR_AUTH */
export async function openMeans(
  settings: Settings,
  prefix: SidePrefix,
  { env, emit }: { readonly env: Environment; readonly emit: Emit },
): Promise<Means & AsyncDisposable> {
  const { registry, policy, rules } = await openRegistrySide(sideOf(settings, prefix), { env: withPolicy(settings, env), emit });
  return {
    registry,
    policy,
    ...given({ signer: prefix === 'src-' ? undefined : signerOf(settings, env, rules) }),
    temporaryFolder: temporaryFolderOf(settings, env),
    platform: chosenPlatform(settings),
    engine: engineOf(env, settings.text(`${prefix}daemon-host`), settings.text(`${prefix}cert-dir`)),
    [Symbol.asyncDispose]: registry.close,
  };
}

/** With the policy, and the registries.d, that flags name in place of this machine's. @throws ERR_USAGE for two */
export function withPolicy(settings: Settings, before: Environment): Environment {
  const file = settings.text('signature-policy');
  const folder = settings.text('registries.d');
  const env = folder === undefined ? before : { ...before, [attachmentsVariable]: resolve(folder) };
  if (settings.boolean('insecure-policy')) {
    if (file === undefined) return { ...env, [policyVariable]: '' };
    throw new BuilderError('ERR_USAGE', `Cannot use --insecure-policy with the policy ${file}`);
  }
  return file === undefined ? env : { ...env, [policyVariable]: resolve(file) };
}

/** Where large files may wait: not in memory, where /tmp often is. The builder's image has none, so it is made. */
export function temporaryFolderOf(settings: Settings, env: Environment): string {
  const folder = settings.text('tmpdir') ?? (env['TMPDIR'] || '/var/tmp');
  makeNamedFolder(folder, 'the folder for temporary files');
  return folder;
}

/** The engine that docker's own variables name, unless a flag does. */
export function engineOf(env: Environment, host?: string, certificates?: string): EngineAddress {
  const folder = certificates ?? (env['DOCKER_TLS_VERIFY'] ? env['DOCKER_CERT_PATH'] : undefined);
  return { host: host ?? (env['DOCKER_HOST'] || usualEngine.host), ...given({ certificates: folder }) };
}

/** @throws ERR_USAGE for flags that contradict each other */
export function sideOf(settings: Settings, prefix: SidePrefix, credential = credentialOf(settings, prefix)): RegistrySide {
  const text = (name: string): string | undefined => settings.text(`${prefix}${name}`);
  const authFile = text('authfile') ?? settings.text('authfile');
  const folder = text('cert-dir');
  return {
    isLenient: !settings.boolean(`${prefix}tls-verify`, true),
    hosts: hostSettingsOf(settings, process.cwd()),
    ...(folder === undefined ? {} : { certificateFolder: resolve(folder) }),
    ...given({ credential, chunkBytes: chunkBytesOf(settings) }),
    ...(authFile === undefined ? {} : { authFile: resolve(authFile) }),
    userAgent: `yadokari/${version}`,
  };
}

function credentialOf(settings: Settings, prefix: SidePrefix): RegistrySide['credential'] {
  const text = (name: string): string | undefined => settings.text(`${prefix}${name}`);
  const [pair, user, password, token] = ['creds', 'username', 'password', 'registry-token'].map(text);
  const isNobody = settings.boolean(`${prefix}no-creds`);
  const ways = [pair !== undefined, user !== undefined || password !== undefined, token !== undefined, isNobody].filter(Boolean);
  if (ways.length > 1) {
    const names = ['creds', 'username', 'registry-token', 'no-creds'].map((name) => `--${prefix}${name}`).join(', ');
    throw new BuilderError('ERR_USAGE', `Cannot use several of ${names}: one says who it is`);
  }
  if (isNobody) return 'none';
  if (token !== undefined) return { kind: 'bearer', token };
  if (user !== undefined || password !== undefined) {
    if (user === undefined || password === undefined)
      throw new BuilderError('ERR_USAGE', `Cannot use --${prefix}username without --${prefix}password, nor the other way round`);
    return { kind: 'password', user, password };
  }
  if (pair === undefined) return undefined;
  const colon = pair.indexOf(':');
  if (colon <= 0)
    throw new BuilderError('ERR_USAGE', `Cannot use --${prefix}creds: expected USER:PASSWORD`, {
      hint: 'yadokari login keeps credentials out of command lines',
    });
  return { kind: 'password', user: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

/** What is chosen of an index unless something else is said, by flags that begin so. */
export function chosenPlatform(settings: Settings, prefixes: readonly string[] = ['override-', '']): Platform {
  const host = hostPlatform(process.arch);
  const text = (name: string): string | undefined =>
    prefixes.map((prefix) => settings.text(`${prefix}${name}`)).find((value) => value !== undefined);
  const [variant, architecture = host.architecture] = [text('variant'), text('arch')];
  const kept = architecture === host.architecture && host.variant !== undefined ? { variant: host.variant } : {};
  return normalizePlatform({
    os: text('os') ?? host.os,
    architecture,
    ...(variant === undefined ? kept : { variant }),
  });
}

/** @throws ERR_USAGE, ERR_UNSUPPORTED */
export function copyOptionsOf(settings: Settings): CopyOptions {
  const format = settings.choice('format', imageFormats, 'oci');
  if (settings.has('format') && format === 'v2s1')
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot use --format=v2s1: schema 1 says nothing that can be verified', {
      hint: 'every registry and engine since 2016 reads v2s2',
    });
  const compression = compressionOf(settings);
  if (['v2s2', 'docker'].includes(format) && compression === 'zstd')
    throw new BuilderError('ERR_USAGE', `Cannot use --format=${format} with --compress-format=zstd: Docker's format has no word for it`);
  return {
    selection: selectionOf(settings),
    ...(settings.has('format') ? { family: format === 'oci' ? 'oci' : 'docker' } : {}),
    ...given({ compression, level: compressionLevel(settings, 'compress-level', compression) }),
    preservesDigests: settings.boolean('preserve-digests'),
    withReferrers: settings.boolean('with-referrers'),
    removesSignatures: settings.boolean('remove-signatures'),
    moreNames: settings.list('additional-tag').flatMap((names) => names.split(',')),
  };
}

function compressionOf(settings: Settings): CopyOptions['compression'] {
  if (settings.has('compress-format')) return settings.choice('compress-format', compressFormats, 'gzip');
  const [compresses, decompresses] = [settings.boolean('dest-compress'), settings.boolean('dest-decompress')];
  if (compresses && decompresses) throw new BuilderError('ERR_USAGE', 'Cannot use --dest-compress with --dest-decompress');
  return compresses ? 'gzip' : decompresses ? 'none' : undefined;
}

/** Of an index. @throws ERR_USAGE, ERR_UNSUPPORTED */
export function selectionOf(settings: Settings): Selection {
  const kind = settings.choice('multi-arch', ['system', 'all', 'index-only'], 'system');
  if (kind === 'index-only')
    throw new BuilderError('ERR_UNSUPPORTED', 'Cannot use --multi-arch=index-only: an index without its images is of no use to anybody');
  const platforms = settings.list('platform').map((text) => parsePlatform(text, hostPlatform(process.arch)));
  const isAll = settings.boolean('all') || kind === 'all';
  if (isAll && platforms.length > 0) throw new BuilderError('ERR_USAGE', 'Cannot use --all with --platform: choose one');
  if (isAll) return { kind: 'all' };
  return platforms.length > 0 ? { kind: 'platforms', platforms } : { kind: 'host', platform: chosenPlatform(settings) };
}
