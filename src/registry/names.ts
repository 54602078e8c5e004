// Host names without getaddrinfo. Once the base image is unpacked, /etc and the C library's name service modules are
// the image's: the files are read once at the start, and c-ares asks the name servers itself.
import { Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { type LookupFunction, isIP } from 'node:net';
import { ifCode, inWords, systemCode } from '../errors.ts';
import { given } from '../given.ts';
import { relayTo } from './name-relay.ts';

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

export interface ResolvConf {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly ndots: number;
  readonly timeoutMs: number;
  readonly attempts: number;
}

/** Answers names as the machine would have at start-up. */
export interface Names {
  /** At least one address. Fails with a Node-like error: `ENOTFOUND` (no such name) or `EAI_AGAIN` (no answer). */
  readonly resolve: (host: string) => Promise<readonly Address[]>;
}

/** After an IPv4 answer, how long we wait for the IPv6 one (RFC 8305's resolution delay, the other way round). */
const secondFamilyDelayMs = 250;

/**
 * Reads /etc/hosts and /etc/resolv.conf, now and never again.
 * @throws ERR_ROOTFS when one of them is there but unreadable.
 */
export async function loadNames(files?: { readonly hosts?: string; readonly resolvConf?: string }): Promise<Names> {
  const hosts = parseHosts(await textOf(files?.hosts ?? '/etc/hosts'));
  const conf = parseResolvConf(await textOf(files?.resolvConf ?? '/etc/resolv.conf'));
  const resolver = new Resolver({ timeout: conf.timeoutMs, tries: conf.attempts, maxTimeout: conf.timeoutMs * 2 });
  resolver.setServers(await Promise.all(conf.servers.map(serverFor)));
  return { resolve: async (host) => await resolve(host, hosts, conf, resolver) };
}

/** A server as the resolver takes it, which knows no zones. */
async function serverFor(server: string): Promise<string> {
  if (server.includes('%')) return await relayTo(server);
  return isIP(server) === 6 ? `[${server}]` : server;
}

/** Names over a table alone, for tests and for machines without name servers. */
export function namesFromTable(table: ReadonlyMap<string, readonly Address[]>): Names {
  return {
    resolve: async (host) => {
      const found = literal(host) ?? table.get(host.toLowerCase()) ?? localhost(host);
      if (found === undefined) throw nameError('ENOTFOUND', host);
      return found;
    },
  };
}

/** The `lookup` that node:net and node:tls take. */
export function lookupWith(names: Names): LookupFunction {
  return (host, options, callback) => {
    const family =
      options.family === 4 || options.family === 'IPv4' ? 4 : options.family === 6 || options.family === 'IPv6' ? 6 : undefined;
    void (async () => {
      let found: readonly Address[] = [];
      let failure: NodeJS.ErrnoException = nameError('ENOTFOUND', host);
      try {
        found = (await names.resolve(host)).filter((item) => family === undefined || item.family === family);
      } catch (error) {
        failure = error instanceof Error ? error : nameError('EAI_AGAIN', host, error);
      }
      const [first] = found;
      if (first === undefined) callback(failure, []);
      else if (options.all === true) callback(null, [...found]);
      else callback(null, first.address, first.family);
    })();
  };
}

/** `hosts(5)`: lower-case name → addresses in the file's order. */
export function parseHosts(text: string): ReadonlyMap<string, readonly Address[]> {
  const table = new Map<string, Address[]>();
  for (const line of text.split('\n')) {
    const [ip = '', ...names] = (line.split('#', 1)[0] ?? '').trim().split(/\s+/);
    const [address] = literal(ip) ?? [];
    if (address === undefined) continue;
    for (const name of names) {
      const key = name.toLowerCase().replace(/\.$/, '');
      const known = table.get(key) ?? [];
      if (!known.some((item) => item.address === address.address)) table.set(key, [...known, address]);
    }
  }
  return table;
}

/** `resolv.conf(5)`; without servers the local one is meant, and `domain` is a search list of one. */
export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let search: readonly string[] = [];
  const numbers = { ndots: 1, timeout: 5, attempts: 2 };
  for (const line of text.split('\n')) {
    const [word = '', ...rest] = (line.split(/[#;]/, 1)[0] ?? '').trim().split(/\s+/);
    const [first] = rest;
    if (word === 'nameserver' && first !== undefined && isIP(first) !== 0 && servers.length < 3) servers.push(first);
    if (word === 'search') search = rest;
    if (word === 'domain' && first !== undefined) search = [first];
    if (word !== 'options') continue;
    for (const option of rest) {
      const match = /^(ndots|timeout|attempts):(\d{1,4})$/.exec(option);
      if (match?.[1] === 'ndots') numbers.ndots = Math.min(Number(match[2]), 15);
      if (match?.[1] === 'timeout') numbers.timeout = Math.min(Math.max(Number(match[2]), 1), 30);
      if (match?.[1] === 'attempts') numbers.attempts = Math.min(Math.max(Number(match[2]), 1), 5);
    }
  }
  return {
    servers: servers.length === 0 ? ['127.0.0.1'] : servers,
    search: search.map((name) => name.replace(/^\.+|\.+$/g, '')).filter((name) => name !== ''),
    ndots: numbers.ndots,
    timeoutMs: numbers.timeout * 1000,
    attempts: numbers.attempts,
  };
}

/** The names to ask for, in order: what `search` and `ndots` make of `host`. */
export function searchList(host: string, conf: Pick<ResolvConf, 'search' | 'ndots'>): readonly string[] {
  if (host.endsWith('.')) return [host.slice(0, -1)];
  const dots = host.split('.').length - 1;
  const longer = conf.search.map((domain) => `${host}.${domain}`);
  return dots >= conf.ndots ? [host, ...longer] : [...longer, host];
}

async function resolve(
  host: string,
  hosts: ReadonlyMap<string, readonly Address[]>,
  conf: ResolvConf,
  resolver: Resolver,
): Promise<readonly Address[]> {
  const known = literal(host) ?? hosts.get(host.toLowerCase().replace(/\.$/, '')) ?? localhost(host);
  if (known !== undefined) return known;
  let unanswered: unknown;
  for (const name of searchList(host, conf)) {
    const answer = await ask(name, resolver);
    if (answer.addresses.length > 0) return answer.addresses;
    unanswered ??= answer.failure;
  }
  throw unanswered === undefined ? nameError('ENOTFOUND', host) : nameError('EAI_AGAIN', host, unanswered);
}

async function ask(name: string, resolver: Resolver): Promise<{ readonly addresses: readonly Address[]; readonly failure?: unknown }> {
  const v4 = settle(resolver.resolve4(name), 4);
  const v6 = settle(resolver.resolve6(name), 6);
  const first = await v4;
  const second = first.addresses.length === 0 ? await v6 : await Promise.race([v6, pause()]);
  const failure = first.failure ?? second.failure;
  return { addresses: [...first.addresses, ...second.addresses], ...given({ failure }) };
}

async function settle(
  query: Promise<string[]>,
  family: 4 | 6,
): Promise<{ readonly addresses: readonly Address[]; readonly failure?: unknown }> {
  try {
    return { addresses: (await query).map((address) => ({ address, family })) };
  } catch (error) {
    const code = systemCode(error);
    // These say that there is no such address; anything else, that nobody could tell.
    return code === 'ENODATA' || code === 'ENOTFOUND' || code === 'EBADNAME' ? { addresses: [] } : { addresses: [], failure: error };
  }
}

async function pause(): Promise<{ readonly addresses: readonly Address[]; readonly failure?: unknown }> {
  const { promise, resolve: done } = Promise.withResolvers<void>();
  setTimeout(done, secondFamilyDelayMs).unref();
  await promise;
  return { addresses: [] };
}

function literal(host: string): readonly Address[] | undefined {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  const family = isIP(bare);
  return family === 4 || family === 6 ? [{ address: bare, family }] : undefined;
}

// RFC 6761 section 6.3: these names are the loopback interface whatever a server says.
function localhost(host: string): readonly Address[] | undefined {
  if (!/(?:^|\.)localhost\.?$/i.test(host)) return undefined;
  return [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ];
}

function nameError(code: 'ENOTFOUND' | 'EAI_AGAIN', host: string, cause?: unknown): NodeJS.ErrnoException {
  const why = code === 'ENOTFOUND' ? 'no such host' : 'no name server answered';
  const error: NodeJS.ErrnoException = new Error(`Cannot resolve ${host}: ${why}`, { cause });
  error.code = code;
  return error;
}

async function textOf(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(ifCode(['ENOENT'], '', inWords('ERR_ROOTFS', `Cannot read ${path}`)));
}
