// Port specifications of EXPOSE: `[[ip:]host:]port[-port][/protocol]`.
import { isIP } from 'node:net';
import { didYouMean } from '../suggest.ts';

const protocols = ['tcp', 'udp', 'sctp'];

export interface PortSpecification {
  /** One entry a port, `80/tcp`. */
  readonly ports: readonly string[];
  /** An ip or host port was given; EXPOSE has no use for it. */
  readonly hasHostPart: boolean;
}

/** Reads one word of EXPOSE after expansion; the string returned for a bad one says what is wrong with it. */
export function parsePort(word: string): PortSpecification | { readonly problem: string; readonly hint: string } {
  const slash = word.indexOf('/');
  const protocol = slash < 0 ? 'tcp' : word.slice(slash + 1).toLowerCase();
  const numbers = slash < 0 ? word : word.slice(0, slash);
  if (!protocols.includes(protocol)) {
    return { problem: `unknown protocol ${JSON.stringify(protocol)}`, hint: didYouMean(protocol, protocols) ?? 'use tcp, udp or sctp' };
  }
  const colon = numbers.lastIndexOf(':');
  const range = numbers.slice(colon + 1);
  const [, from = '', to = from] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
  const example = 'for example 80, 8000-8010/tcp or 53/udp';
  if (from === '') return { problem: `${JSON.stringify(range)} is not a port`, hint: example };
  const [first, last] = [Number(from), Number(to)];
  if (first > 65535 || last > 65535) return { problem: `port ${Math.max(first, last)} is above 65535`, hint: example };
  if (last < first) return { problem: `the range ${range} runs backwards`, hint: `write ${last}-${first}` };
  const host = colon < 0 ? undefined : badHostPart(numbers.slice(0, colon));
  if (host !== undefined) return { problem: host, hint: `EXPOSE needs the container's port only: ${range}` };
  const ports = Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
  return { ports, hasHostPart: colon >= 0 };
}

// `ip:hostPort`, `ip:`, `hostPort` or `[ip6]:hostPort`; what is wrong with it, or undefined.
function badHostPart(text: string): string | undefined {
  const colon = text.lastIndexOf(':');
  const isBracketed = text.startsWith('[');
  const ip = colon < 0 ? (isBracketed ? text : '') : text.slice(0, colon);
  const port = colon < 0 ? (isBracketed ? '' : text) : text.slice(colon + 1);
  if (port !== '' && !/^\d+(?:-\d+)?$/.test(port)) return `${JSON.stringify(port)} is not a host port`;
  if (ip !== '' && isIP(ip.replace(/^\[(.*)\]$/, '$1')) === 0) return `${JSON.stringify(ip)} is not an IP address`;
  return undefined;
}
