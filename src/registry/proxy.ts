// Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, as Go's programs read them.
import { BlockList, isIP } from 'node:net';
import { BuilderError } from '../errors.ts';
import { given } from '../given.ts';

/** The variables' values; undefined where unset. */
export interface ProxySettings {
  readonly http?: URL;
  readonly https?: URL;
  /** True for a URL that is fetched directly. */
  readonly bypass: (url: URL) => boolean;
}

/**
 * Reads the proxy variables, lower case first.
 * @throws ERR_USAGE when one is not a URL of a kind that we can use; the value is not shown, it may hold a password.
 */
export function proxiesFrom(env: Readonly<Record<string, string | undefined>>): ProxySettings {
  const read = (name: string): URL | undefined => {
    const text = env[name.toLowerCase()] || env[name];
    if (text === undefined || text === '') return undefined;
    const full = /^[a-z0-9+.-]+:\/\//i.test(text) ? text : `http://${text}`;
    if (!URL.canParse(full)) throw new BuilderError('ERR_USAGE', `Cannot use ${name}: it is not a URL`);
    const url = new URL(full);
    if (!['http:', 'https:', 'socks5:'].includes(url.protocol)) {
      throw new BuilderError('ERR_USAGE', `Cannot use ${name}: a proxy is http, https or socks5, not ${url.protocol.slice(0, -1)}`);
    }
    return url;
  };
  const all = read('ALL_PROXY');
  const http = read('HTTP_PROXY') ?? all;
  const https = read('HTTPS_PROXY') ?? all;
  return {
    ...given({ http, https }),
    bypass: bypassFrom(env['no_proxy'] || env['NO_PROXY'] || ''),
  };
}

/** The proxy for one URL, or undefined for none. */
export function proxyFor(url: URL, settings: ProxySettings): URL | undefined {
  const proxy = url.protocol === 'https:' ? settings.https : settings.http;
  return proxy === undefined || settings.bypass(url) ? undefined : proxy;
}

/** What a NO_PROXY list exempts: names and their subdomains, `*`, ports, addresses and CIDR ranges; loopback always. */
export function bypassFrom(list: string): (url: URL) => boolean {
  const items = list.split(/[\s,]+/).filter((item) => item !== '');
  const ranges = new BlockList();
  const names: { readonly name: string; readonly port: string | undefined; readonly onlyBelow: boolean }[] = [];
  for (const item of items) {
    if (addRange(ranges, item)) continue;
    const match = /^(.*?)(?::(\d+))?$/.exec(item.toLowerCase());
    const name = match?.[1] ?? '';
    names.push({ name: name.replace(/^\*?\./, ''), port: match?.[2], onlyBelow: /^\*?\./.test(name) });
  }
  return (url) => {
    const host = bareHost(url.hostname).toLowerCase().replace(/\.$/, '');
    if (host === 'localhost' || isLoopback(host)) return true;
    if (items.includes('*')) return true;
    const family = isIP(host);
    if (family !== 0 && ranges.check(host, family === 4 ? 'ipv4' : 'ipv6')) return true;
    const port = url.port || (url.protocol === 'https:' ? '443' : '80');
    return names.some(({ name, port: only, onlyBelow }) => {
      if (only !== undefined && only !== port) return false;
      return (!onlyBelow && host === name) || host.endsWith(`.${name}`);
    });
  };
}

/** The host of a URL without an IPv6 literal's brackets. */
export function bareHost(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

/** True for a loopback address literal or `localhost`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.')) || /^::ffff:7f/i.test(host);
}

function addRange(ranges: BlockList, item: string): boolean {
  const [address = '', prefix] = item.replace(/^\[(.*)\]$/, '$1').split('/');
  const family = isIP(address);
  if (family === 0) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  if (prefix === undefined) ranges.addAddress(address, type);
  else if (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128)) ranges.addSubnet(address, Number(prefix), type);
  return true;
}
