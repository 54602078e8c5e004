// Port specifications of EXPOSE: `[[ip:]host[-host]:]port[-port][/[protocol]]`.
import { isIP } from 'node:net';
import { didYouMean } from '../suggest.ts';

const protocols = ['tcp', 'udp', 'sctp'];

export interface PortSpecification {
  /** One entry a port, `80/tcp`. */
  readonly ports: readonly string[];
  /** An ip or host port was given; EXPOSE has no use for it. */
  readonly hasHostPart: boolean;
}

interface PortRange {
  readonly first: number;
  readonly last: number;
}

interface Mistake {
  readonly problem: string;
  readonly hint: string;
}

/** Reads one word of EXPOSE after expansion; the string returned for a bad one says what is wrong with it. */
export function parsePort(word: string): PortSpecification | Mistake {
  const [numbers = '', ...rest] = word.split('/');
  const protocol = rest.join('/').toLowerCase() || 'tcp';
  if (!protocols.includes(protocol)) {
    return { problem: `unknown protocol ${JSON.stringify(protocol)}`, hint: didYouMean(protocol, protocols) ?? 'use tcp, udp or sctp' };
  }
  const colon = numbers.lastIndexOf(':');
  const text = numbers.slice(colon + 1);
  const range = readRange(text, 'port');
  if ('problem' in range) return range;
  const host = colon < 0 ? undefined : badHostPart(numbers.slice(0, colon), range);
  if (host !== undefined) return { problem: host, hint: `EXPOSE needs the container's port only: ${text}` };
  const ports = Array.from({ length: lengthOf(range) }, (_, index) => `${range.first + index}/${protocol}`);
  return { ports, hasHostPart: colon >= 0 };
}

function readRange(text: string, what: string): PortRange | Mistake {
  const [, from = '', to = from] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const hint = 'for example 80, 8000-8010/tcp or 53/udp';
  if (from === '') return { problem: `${JSON.stringify(text)} is not a ${what}`, hint };
  const [first, last] = [Number(from), Number(to)];
  if (first > 65535 || last > 65535) return { problem: `${what} ${Math.max(first, last)} is above 65535`, hint };
  if (last < first) return { problem: `the range ${text} runs backwards`, hint: `write ${last}-${first}` };
  return { first, last };
}

function lengthOf({ first, last }: PortRange): number {
  return last - first + 1;
}

// `ip:hostPort`, `ip:`, `hostPort` or `[ip6]:hostPort`; what is wrong with it, or undefined.
function badHostPart(text: string, range: PortRange): string | undefined {
  const colon = text.lastIndexOf(':');
  const isBracketed = text.startsWith('[');
  const ip = colon < 0 ? (isBracketed ? text : '') : text.slice(0, colon);
  const port = colon < 0 ? (isBracketed ? '' : text) : text.slice(colon + 1);
  if (port !== '') {
    const host = readRange(port, 'host port');
    if ('problem' in host) return host.problem;
    // Several host ports for one of the container are a choice.
    if (lengthOf(range) > 1 && lengthOf(host) !== lengthOf(range)) return `${port} are not as many ports as ${range.first}-${range.last}`;
  }
  if (ip !== '' && isIP(ip.replace(/^\[(.*)\]$/, '$1')) === 0) return `${JSON.stringify(ip)} is not an IP address`;
  return undefined;
}
