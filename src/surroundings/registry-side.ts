// A registry client for one side of a copy: with credentials, certificates and leniency of its own.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { HostSettings } from '../build/request.ts';
import { BuilderError, systemReason, systemCode } from '../errors.ts';
import type { Emit } from '../events.ts';
import { given } from '../given.ts';
import { type RegistryClient, createRegistryClient } from '../registry/client.ts';
import { type CredentialOptions, type Credentials, anonymous, filesVariable, loadCredentials } from '../registry/credentials.ts';
import type { Credential } from '../registry/docker-config.ts';
import type { HostRules } from '../registry/http-client.ts';
import { proxiesFrom } from '../registry/proxy.ts';
import type { AttachmentRules } from '../trust/attachment-rules.ts';
import type { Policy } from '../trust/policy.ts';
import { openBasis, readHostRules } from './registries.ts';

/** How the registries of one side are reached. */
export interface RegistrySide {
  /** Plain HTTP and any certificate will do. */
  readonly isLenient: boolean;
  /** A folder with `*.crt` to trust, `*.cert` and `*.key` to show. */
  readonly certificateFolder?: string;
  readonly hosts: HostSettings;
  /** Nobody, or somebody, whatever files say; else what `authFile` or the usual files say. */
  readonly credential?: Credential | 'none';
  readonly authFile?: string;
  /** What is larger is sent in chunks of so many bytes. */
  readonly chunkBytes?: number;
  readonly userAgent: string;
}

/** @throws ERR_USAGE for a certificate that can't be read, ERR_AUTH for a file of credentials */
export async function openRegistrySide(
  side: RegistrySide,
  { env, emit }: { readonly env: Readonly<Record<string, string | undefined>>; readonly emit: Emit },
): Promise<{ readonly registry: RegistryClient; readonly policy: Policy; readonly rules: AttachmentRules }> {
  const { certificateFolder, chunkBytes, userAgent, hosts, isLenient } = side;
  const { names, clouds, conf, policy, rules, credentials } = await openBasis({ ...hosts, userAgent }, { env, emit }, async (common) => {
    return await credentialsOf(side, { ...common, env });
  });
  const folder = certificateFolder === undefined ? {} : readCertificates(certificateFolder);
  const ofHost = readHostRules(hosts, conf)(isLenient, isLenient);
  const hostRules = (host: string): HostRules => ({ ...folder, ...ofHost(host) });
  const proxies = proxiesFrom(env);
  const client = createRegistryClient({ names, proxies, userAgent, credentials, hostRules, conf, emit, ...given({ chunkBytes }) });
  const close = async (): Promise<void> => {
    await client.close();
    await clouds.close();
  };
  return { registry: { ...client, close }, policy, rules };
}

async function credentialsOf({ credential, authFile }: RegistrySide, options: CredentialOptions): Promise<Credentials> {
  if (credential === 'none') return anonymous;
  if (credential !== undefined) {
    const find = async (): Promise<Credential> => credential;
    return { find, reload: async () => undefined, sources: () => ['the command line'] };
  }
  if (authFile === undefined) return await loadCredentials(options);
  // A file that is named is the only one; its helpers are found as ever.
  return await loadCredentials({ ...options, env: { PATH: options.env['PATH'], [filesVariable]: authFile }, builtIn: new Set() });
}

/** As containers' and docker's certs.d folders. */
function readCertificates(folder: string): Pick<HostRules, 'certificates' | 'clientCertificate'> {
  const fail = (why: string, cause?: unknown): BuilderError =>
    new BuilderError('ERR_USAGE', `Cannot use the certificates in ${folder}: ${why}`, { cause });
  const read = (name: string): string => {
    try {
      return readFileSync(join(folder, name), 'utf8');
    } catch (error) {
      throw fail(`${name}: ${systemReason(error)}`, error);
    }
  };
  let names: readonly string[];
  try {
    names = readdirSync(folder).toSorted();
  } catch (error) {
    throw fail(systemCode(error) === 'ENOENT' ? 'there is no such folder' : systemReason(error), error);
  }
  const certificates = names.filter((name) => name.endsWith('.crt')).map(read);
  const shown = names.find((name) => name.endsWith('.cert'));
  const key = shown === undefined ? undefined : `${shown.slice(0, -'.cert'.length)}.key`;
  if (key !== undefined && !names.includes(key)) throw fail(`there is no ${key} for ${shown ?? ''}`);
  return {
    ...(certificates.length === 0 ? {} : { certificates }),
    ...(shown === undefined || key === undefined ? {} : { clientCertificate: { certificate: read(shown), key: read(key) } }),
  };
}
