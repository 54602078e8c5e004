// Which server keys are known. sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". Certificates of authorities are not read.
import { createHmac } from 'node:crypto';

export interface KnownKey {
  readonly type: string;
  /** As it comes over the wire. */
  readonly key: Buffer;
  readonly isRevoked: boolean;
}

/** The keys that `text` has for a server; a port other than 22 is part of its name. */
export function knownKeys(text: string, host: string, port: number): readonly KnownKey[] {
  const name = port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
  return text.split('\n').flatMap((line) => {
    const [, marker, hosts = '', type = '', key = ''] = /^(?:(@[\w-]+)\s+)?(\S+)\s+([\w.@-]+)\s+([A-Za-z0-9+/=]+)/.exec(line.trim()) ?? [];
    if (key === '' || hosts.startsWith('#') || (marker !== undefined && marker !== '@revoked')) return [];
    return isFor(hosts, name) ? [{ type, key: Buffer.from(key, 'base64'), isRevoked: marker === '@revoked' }] : [];
  });
}

function isFor(hosts: string, name: string): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|(.+)$/.exec(hosts) ?? [];
  if (salt !== undefined) return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
  const patterns = hosts.toLowerCase().split(',');
  const matches = (pattern: string): boolean => new RegExp(`^${escape(pattern)}$`).test(name);
  if (patterns.some((pattern) => pattern.startsWith('!') && matches(pattern.slice(1)))) return false;
  return patterns.some((pattern) => matches(pattern));
}

function escape(pattern: string): string {
  return pattern
    .replace(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replace(/\*+/g, '.*')
    .replace(/\?/g, '.');
}
